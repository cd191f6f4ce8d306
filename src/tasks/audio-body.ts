import { z } from 'zod'
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

/** A fiftieth of a second of the concert pitch at 8 kHz, so that the document's example can be sent as it stands. */
export const EXAMPLE_WAV =
  'UklGRsQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YaAAAACAgYaMk5ial46BcF5NQDo9SV56mrrS4OPaxqqJZ0cvHxwk' +
  'N1JzlbXP3+Pcy7CPbU0yIRwhMk1tj7DL3OPfz7WVc1I3JBwfL0dniarG2uPg0rqbeVg7JhweK0Jhg6TC1+Li1r+hf15AKR0dKD1bfJ69' +
  '1OHj2cSnhmRFLR8cJTlVdpi40ODj28itjGpKMCUmMENbdYyeqq+tpZqPhHx4eHuA'

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
