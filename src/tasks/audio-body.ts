import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import type { AudioSettings } from '../catalog/settings/audio.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { validate } from '../core/validation.ts'
import { bytesFromBase64 } from '../media/base64.ts'
import type { TaskBody } from './task.ts'

export const AUDIO_MEDIA_TYPES = [
  'audio/wav',
  'audio/x-wav',
  'audio/wave',
  'audio/vnd.wave',
  'application/octet-stream',
] as const

/** `inputs` of a JSON request for an audio task. */
export const audioInputSchema = z.string().meta({ description: 'A WAV file in base64, or as a data: URL' })

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
  request: z.ZodType<{ inputs: string; parameters?: Parameters | undefined }>,
  parameters: z.ZodType<Parameters>,
  { audioBytes }: Limits,
): { readonly bytes: Uint8Array; readonly parameters: Parameters } {
  const read = readBody(body, request, parameters, audioBytes)
  if (read.bytes.length === 0) throw new VergeError('empty_input', 'The request has no audio. Send a WAV file.')
  if (read.bytes.length > audioBytes) throw tooLarge(audioBytes)
  return read
}

function readBody<Parameters>(
  body: TaskBody,
  request: z.ZodType<{ inputs: string; parameters?: Parameters | undefined }>,
  schema: z.ZodType<Parameters>,
  maxBytes: number,
): { bytes: Uint8Array; parameters: Parameters } {
  if (body.kind === 'json') {
    const { inputs, parameters } = validate(request, body.value, 'The request')
    return { bytes: audioBytesOf(inputs, maxBytes), parameters: parameters ?? validate(schema, {}, 'The parameters') }
  }
  if (!(AUDIO_MEDIA_TYPES as readonly string[]).includes(body.mediaType)) {
    throw new VergeError(
      'unsupported_media_type',
      'This model takes a sound. Send audio/wav, or application/json with {"inputs": "<base64>"}.',
    )
  }
  return { bytes: body.bytes, parameters: validate(schema, body.parameters ?? {}, 'The parameters') }
}

function audioBytesOf(inputs: string, maxBytes: number): Uint8Array {
  if (/^\s*https?:/i.test(inputs)) {
    throw notAudio('No URL is ever fetched. Send the sound itself: its bytes, or base64 in "inputs".')
  }
  const comma = inputs.startsWith('data:') ? inputs.indexOf(',') : -1
  if (inputs.startsWith('data:') && !inputs.slice(0, Math.max(comma, 0)).toLowerCase().endsWith(';base64')) {
    throw notAudio('"inputs" is a data: URL without base64 content.')
  }
  // Four characters stand for three bytes; line breaks are allowed for.
  if (inputs.length - comma > Math.ceil(maxBytes / 3) * 4 * 1.05) throw tooLarge(maxBytes)
  const bytes = bytesFromBase64(inputs.slice(comma + 1))
  if (bytes === undefined) throw notAudio('"inputs" is neither base64 nor a data: URL.')
  return bytes
}

function notAudio(message: string): VergeError {
  return new VergeError('invalid_request', message, { details: { field: 'inputs' } })
}

function tooLarge(maxBytes: number): VergeError {
  return new VergeError('input_too_large', `A sound may have at most ${maxBytes} bytes. Send a shorter one.`, {
    details: { limit_bytes: maxBytes },
  })
}

/** @throws manifest_invalid */
export function audioSettings({ audio, model, version }: Manifest): AudioSettings {
  if (audio !== undefined) return audio
  throw new VergeError(
    'manifest_invalid',
    `Model "${model}" version "${version}" does not say how a sound becomes a tensor. Its operator has to add audio settings and push it again.`,
  )
}
