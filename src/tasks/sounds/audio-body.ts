import type * as z from 'zod'
import type { Manifest } from '../../catalog/manifest.ts'
import type { AudioSettings } from '../../catalog/settings/audio.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type FileKind, fileRequestSchema, readFileBody } from '../shared/file-body.ts'
import type { TaskBody } from '../task.ts'

export const AUDIO_MEDIA_TYPES = [
  'audio/wav',
  'audio/x-wav',
  'audio/wave',
  'audio/vnd.wave',
  'application/octet-stream',
] as const

const AUDIO_FILE: FileKind = {
  noun: 'audio',
  one: 'An audio file',
  ifTooLarge: 'Send a shorter recording.',
  ifEmpty: 'The request has no audio. Send a WAV file.',
  types: {
    accepted: AUDIO_MEDIA_TYPES,
    ifOther: 'This model takes audio. Send audio/wav, or application/json with {"inputs": "<base64>"}.',
  },
}

/** The JSON body of an audio task, with the task's own parameters. @param id its name in the document */
export function audioRequestSchema<Parameters extends z.ZodType>(parameters: Parameters, id: string) {
  return fileRequestSchema('A WAV file in base64, or as a data: URL', parameters, id)
}

/** Of the example: short enough for a document, long enough for models that take no fewer than 400 samples at 16 kHz. */
const EXAMPLE = { rate: 4000, samples: 800, pitch: 440 }

/** A fifth of a second of the concert pitch in 8 bits, so that the document's example can be sent as it stands. */
export const EXAMPLE_WAV = exampleWav(EXAMPLE)

function exampleWav({ rate, samples, pitch }: typeof EXAMPLE): string {
  const bytes = new Uint8Array(44 + samples)
  const view = new DataView(bytes.buffer)
  const tag = (at: number, text: string): void => {
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i)
  }
  tag(0, 'RIFF')
  view.setUint32(4, 36 + samples, true)
  tag(8, 'WAVEfmt ')
  view.setUint32(16, 16, true)
  // PCM, one channel, one byte a sample.
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, rate, true)
  view.setUint32(28, rate, true)
  view.setUint16(32, 1, true)
  view.setUint16(34, 8, true)
  tag(36, 'data')
  view.setUint32(40, samples, true)
  for (let i = 0; i < samples; i++) bytes[44 + i] = 128 + Math.round(96 * Math.sin((2 * Math.PI * pitch * i) / rate))
  return btoa(String.fromCharCode(...bytes))
}

/**
 * A WAV file's bytes and the parameters beside it, out of a body of any kind.
 * @throws invalid_request, unsupported_media_type, empty_input, input_too_large
 */
export function readAudioBody<Parameters>(
  body: TaskBody,
  parametersSchema: z.ZodType<Parameters>,
  { audioBytes }: Limits,
): { readonly bytes: Uint8Array; readonly parameters: Parameters } {
  return readFileBody(body, parametersSchema, AUDIO_FILE, audioBytes)
}

/** @throws manifest_invalid */
export function audioSettings({ audio, model, version }: Manifest): AudioSettings {
  if (audio !== undefined) return audio
  throw new VergeError(
    'manifest_invalid',
    `Model "${model}" version "${version}" has no audio settings. Set "preprocess.audio" in its verge.json and push it again.`,
  )
}
