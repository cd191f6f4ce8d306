import type { VergeErrorCode, VergeErrorDetails } from './wire.ts'

/**
 * The server's codes, and three of the client's own: `network_error`, where no complete answer arrived,
 * `unexpected_answer`, where something other than Verge answered, or in another form than the request asked for, and
 * `token_unavailable`, where the function that makes tokens failed.
 */
export type ClientErrorCode = VergeErrorCode | 'network_error' | 'unexpected_answer' | 'token_unavailable'

export interface VergeErrorFields {
  /** HTTP status of the answer; 0 if there was none. */
  readonly status?: number
  readonly requestId?: string | undefined
  readonly details?: VergeErrorDetails
  /** Seconds after which the same request may succeed. */
  readonly retryAfter?: number | undefined
  readonly cause?: unknown
}

/** What every method of the client throws. The message says what is wrong and what to do. */
export class VergeError extends Error {
  override readonly name = 'VergeError'
  /** A server that is newer than this client may have codes that the type does not list. */
  readonly code: ClientErrorCode
  /** HTTP status of the answer; 0 if there was none. */
  readonly status: number
  /** Id of the request in the server's logs. */
  readonly requestId: string | undefined
  readonly details: VergeErrorDetails
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | undefined

  constructor(code: ClientErrorCode, message: string, fields: VergeErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.code = code
    this.status = fields.status ?? 0
    this.requestId = fields.requestId
    this.details = fields.details ?? {}
    this.retryAfter = fields.retryAfter
  }
}

/** @param why follows "The answer cannot be read: " */
export function unexpected(why: string, response?: Response, cause?: unknown): VergeError {
  return new VergeError('unexpected_answer', `The answer cannot be read: ${why}. Check the url of the client.`, {
    ...(response && { status: response.status, requestId: requestIdOf(response) }),
    cause,
  })
}

export function requestIdOf(response: Response): string | undefined {
  return response.headers.get('x-request-id') ?? undefined
}

/** The failure that an answer reports. @param now milliseconds since 1970 */
export async function failureIn(response: Response, now: number): Promise<VergeError> {
  let body: unknown
  if (isJson(response)) body = await response.json().catch(() => undefined)
  else await response.body?.cancel().catch(() => {})
  return failureFrom(body, response, now) ?? unexpected(`HTTP ${response.status} without an error of Verge`, response)
}

/**
 * The failure in a JSON body, in any of the shapes that the server's protocols have: `{"error": {...}}`, or
 * `{"error": "..."}` with fields beside it.
 */
export function failureFrom(body: unknown, response: Response, now: number): VergeError | undefined {
  const outer = isObject(body) ? body : {}
  const { code, error, message, param, request_id, type, ...more } = isObject(outer.error) ? outer.error : outer
  const text = message ?? error
  if (typeof code !== 'string' || typeof text !== 'string') return undefined
  const own = OPENAI_CODES[code]
  const { reason, ...others } = more
  const details = own !== undefined && reason === own ? others : more
  return new VergeError(own ?? (code as ClientErrorCode), text, {
    status: response.status,
    requestId: typeof request_id === 'string' ? request_id : requestIdOf(response),
    details: details as VergeErrorDetails,
    retryAfter: secondsOf(response.headers.get('retry-after'), now),
  })
}

/** Codes that OpenAI's shape has in its own words, so that OpenAI's clients know them. */
const OPENAI_CODES: Readonly<Record<string, ClientErrorCode>> = {
  insufficient_quota: 'budget_spent',
  rate_limit_exceeded: 'rate_limited',
}

export function isJson(response: Response): boolean {
  return /^application\/json\b/i.test(response.headers.get('content-type') ?? '')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** A `Retry-After` header has seconds or a date. */
function secondsOf(header: string | null, now: number): number | undefined {
  if (header === null) return undefined
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds)
}
