import { type BodyOptions, readBody } from '../core/body.ts'
import { VergeError } from '../core/errors.ts'
import { tooLarge } from './measure.ts'

/** Bytes that are still to be read when a call comes in. */
export type Unread = ReadableStream | Blob | Response | Request

export function isUnread(value: unknown): value is Unread {
  return (
    value instanceof ReadableStream || value instanceof Blob || value instanceof Response || value instanceof Request
  )
}

export type UnreadOptions = Required<Pick<BodyOptions, 'maxBytes' | 'signal' | 'hold' | 'reading' | 'pace'>>

export interface ReadInput {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** As it came; undefined where nothing says. */
  readonly contentType: string | undefined
}

/**
 * Reads bytes that another Worker passes on, within the same bounds as a request's body.
 * @throws body_too_large, body_too_slow, overloaded, cancelled, deadline_exceeded; invalid_request for a response that is an error
 */
export async function readUnread(given: Unread, options: UnreadOptions): Promise<ReadInput> {
  if (given instanceof Response && !given.ok) {
    throw new VergeError(
      'invalid_request',
      `The response has the status ${given.status}. Give a successful response with the input of the model.`,
    )
  }
  const { stream, contentType, declared } = partsOf(given)
  if (declared > options.maxBytes) throw tooLarge(options.maxBytes)
  const bytes = stream === null ? new Uint8Array(0) : await readBody(asRequest(stream), options)
  return { bytes, contentType: contentType === '' ? undefined : contentType }
}

function partsOf(given: Unread): {
  readonly stream: ReadableStream | null
  readonly contentType: string | undefined
  /** Bytes, where they are known; 0 where they are not. */
  readonly declared: number
} {
  if (given instanceof ReadableStream) return { stream: given, contentType: undefined, declared: 0 }
  if (given instanceof Blob) return { stream: given.stream(), contentType: given.type, declared: given.size }
  return { stream: given.body, contentType: given.headers.get('content-type') ?? undefined, declared: 0 }
}

/** What reads bodies takes requests. The address is never asked. */
function asRequest(body: ReadableStream): Request {
  return new Request('https://binding.invalid/', { method: 'POST', body })
}
