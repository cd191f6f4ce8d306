/** Names of Verge's own headers, for all who write or read them: the server, its origins, other Workers, the command line. */

/** Of requests and answers: names a request in logs. */
export const REQUEST_ID_HEADER = 'x-request-id'
/** Of requests: milliseconds that the caller waits at most. */
export const TIMEOUT_HEADER = 'verge-timeout-ms'
/** Of requests: those with the same text are answered by one version while several are live. */
export const STICKY_HEADER = 'verge-sticky'
/** Of requests: where the caller wants the request to be computed: `edge`, `origin` or `auto`. */
export const PLACE_HEADER = 'verge-place'
/** Of answers: where the request was computed, and why. An RFC 9651 item. */
export const PLACEMENT_HEADER = 'verge-placement'
/** Of answers that took a run: whether the result cache answered: `hit`, `miss` or `bypass`. */
export const RESULT_CACHE_HEADER = 'verge-cache'
/** Of answers: the version that answered, `name@version`. On errors too, once the version is known. */
export const MODEL_HEADER = 'verge-model'

/** Of answers: `low` where little is left of a budget, and something cheaper than what was asked for may have answered. */
export const BUDGET_HEADER = 'verge-budget'
/** Of requests to Verge's own origins: what the caller's plan allows. An RFC 9651 dictionary. */
export const BOUNDS_HEADER = 'verge-bounds'
/** Of answers to the operator and to a Worker: what they took. An RFC 9651 dictionary; in a stream of events a comment. */
export const USAGE_HEADER = 'verge-usage'

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
