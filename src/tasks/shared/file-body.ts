import * as z from 'zod'
import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { bytesFromBase64 } from '../../media/base64.ts'
import type { TaskBody } from '../task.ts'

/** Requests that hold one file: as the body itself, in base64, or as a `data:` URL. */

/** A kind of file that tasks take, in the words of its messages. */
export interface FileKind {
  /** "image" */
  readonly noun: string
  /** "An image" */
  readonly one: string
  /** Media types of bodies that are the file itself, and the message for all others. Any type if left out. */
  readonly types?: { readonly accepted: readonly string[]; readonly ifOther: string }
  /** What to do: "Send a smaller one." */
  readonly ifTooLarge: string
  readonly ifEmpty: string
}

/** The JSON body of such a task, with the task's own parameters. @param id its name in the OpenAPI document */
export function fileRequestSchema<Parameters extends z.ZodType>(
  description: string,
  parameters: Parameters,
  id: string,
) {
  return z.strictObject({ inputs: z.string().meta({ description }), parameters: parameters.optional() }).meta({ id })
}

/**
 * The file's bytes and the parameters of a request.
 * @throws invalid_request, unsupported_media_type, empty_input, input_too_large
 */
export function readFileBody<Parameters>(
  body: TaskBody,
  parametersSchema: z.ZodType<Parameters>,
  kind: FileKind,
  maxBytes: number,
): { readonly bytes: Uint8Array; readonly parameters: Parameters } {
  const read =
    body.kind === 'json'
      ? fromJson(body.value, parametersSchema, kind, maxBytes)
      : fromBytes(body, parametersSchema, kind)
  if (read.bytes.length === 0) throw new VergeError('empty_input', kind.ifEmpty)
  if (read.bytes.length > maxBytes) throw tooLarge(kind, maxBytes)
  return read
}

const envelopeSchema = z.strictObject({ inputs: z.string(), parameters: z.unknown().optional() })

function fromJson<Parameters>(value: unknown, schema: z.ZodType<Parameters>, kind: FileKind, maxBytes: number) {
  const { inputs, parameters = {} } = validate(envelopeSchema, value, 'The request')
  const checked = validate(z.object({ parameters: schema }), { parameters }, 'The request')
  return { bytes: bytesOfInputs(inputs, kind, maxBytes), parameters: checked.parameters }
}

function fromBytes<Parameters>(
  { bytes, mediaType, parameters = {} }: Extract<TaskBody, { kind: 'bytes' }>,
  schema: z.ZodType<Parameters>,
  { types }: FileKind,
) {
  if (types !== undefined && !types.accepted.includes(mediaType)) {
    throw new VergeError('unsupported_media_type', types.ifOther)
  }
  return { bytes, parameters: validate(schema, parameters, 'The parameters') }
}

/** @throws invalid_request, input_too_large */
function bytesOfInputs(inputs: string, kind: FileKind, maxBytes: number): Uint8Array {
  if (/^\s*https?:/i.test(inputs)) {
    throw refused(`Verge does not fetch URLs. Send the bytes of the ${kind.noun}, or base64 in "inputs".`)
  }
  const base64 = inputs.startsWith('data:') ? dataUrlContent(inputs) : inputs
  // Four characters stand for three bytes; line breaks are allowed for.
  if (base64.length > Math.ceil(maxBytes / 3) * 4 * 1.05) throw tooLarge(kind, maxBytes)
  const bytes = bytesFromBase64(base64)
  if (bytes === undefined) throw refused('"inputs" is neither base64 nor a data: URL.')
  return bytes
}

function dataUrlContent(url: string): string {
  const comma = url.indexOf(',')
  if (comma === -1 || !url.slice(0, comma).toLowerCase().endsWith(';base64')) {
    throw refused('"inputs" is a data: URL without base64 content.')
  }
  return url.slice(comma + 1)
}

function refused(message: string): VergeError {
  return new VergeError('invalid_request', message, { details: { field: 'inputs' } })
}

function tooLarge({ ifTooLarge, one }: FileKind, maxBytes: number): VergeError {
  return new VergeError('input_too_large', `${one} may have at most ${maxBytes} bytes. ${ifTooLarge}`, {
    details: { limit_bytes: maxBytes },
  })
}
