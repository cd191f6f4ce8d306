/** Names of Verge's own headers, for all who write or read them: the server, its origins, other Workers, the command line. */

/** Of requests and answers: names a request in logs. */
export const REQUEST_ID_HEADER = 'x-request-id'
/** Of requests: milliseconds that the caller waits at most. */
export const TIMEOUT_HEADER = 'verge-timeout-ms'
/** Of requests: where the caller wants the request to be computed: `edge`, `origin` or `auto`. */
export const PLACE_HEADER = 'verge-place'
/** Of answers: where the request was computed, and why. An RFC 9651 item. */
export const PLACEMENT_HEADER = 'verge-placement'
/** Of answers that took a run: whether the result cache answered: `hit`, `miss` or `bypass`. */
export const RESULT_CACHE_HEADER = 'verge-cache'
/** Of answers: the version that answered, `name@version`. On errors too, once the version is known. */
export const MODEL_HEADER = 'verge-model'

/** A Content-Length header's bytes; undefined where it is missing or is no number. */
export function declaredLength(header: string | null | undefined): number | undefined {
  return header !== undefined && header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}

/** A Retry-After header's milliseconds: it has seconds or a date (RFC 9110). Undefined where it is missing or neither. */
export function retryAfterMs(header: string | null | undefined, now: number): number | undefined {
  const value = header?.trim()
  if (value === undefined || value === '') return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/** A Retry-After header of whole seconds, at least one. */
export function retryAfterHeader(seconds: number): string {
  return String(Math.max(1, Math.ceil(seconds)))
}

/** Names that browsers, systems and older programs give to media types, by the names that are registered. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['image/jpg', 'image/jpeg'],
  ['image/pjpeg', 'image/jpeg'],
  ['image/x-png', 'image/png'],
  ['audio/x-wav', 'audio/wav'],
  ['audio/x-pn-wav', 'audio/wav'],
  ['audio/wave', 'audio/wav'],
  ['audio/vnd.wave', 'audio/wav'],
  ['application/csv', 'text/csv'],
  ['application/x-csv', 'text/csv'],
  ['text/x-csv', 'text/csv'],
  ['text/comma-separated-values', 'text/csv'],
  ['text/tsv', 'text/tab-separated-values'],
])

/** A Content-Type header's media type, lower case, by its registered name; empty if there is none. */
export function mediaTypeOf(header: string | null | undefined): string {
  const type = (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return ALIASES.get(type) ?? type
}

/** A Content-Type header's charset, as it is written. */
export function charsetOf(header: string | null | undefined): string | undefined {
  return /;\s*charset\s*=\s*"?([^\s";]{1,64})/i.exec(header ?? '')?.[1]
}

/** Request ids that may be echoed into headers and logs without escaping. */
export const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** The caller's own id where it may be echoed, otherwise a new one. */
export function requestIdFrom(given: string | null | undefined, randomId: () => string): string {
  return given !== undefined && given !== null && REQUEST_ID.test(given) ? given : randomId()
}
