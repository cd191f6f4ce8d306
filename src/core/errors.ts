/**
 * Every failure that Verge answers for has a code from this list. Tables that classify codes are exhaustive by type, so a
 * new code does not compile until each of them has a line for it; `protocols/status.ts` has the statuses.
 */
export type ErrorCode =
  // what the caller sent
  | 'invalid_json'
  | 'invalid_request'
  | 'invalid_tensor'
  | 'unsupported_datatype'
  | 'unknown_input'
  | 'missing_input'
  | 'unknown_output'
  | 'unsupported_output'
  | 'empty_input'
  | 'invalid_image'
  | 'invalid_audio'
  | 'task_mismatch'
  | 'unsupported_media_type'
  | 'unsupported_encoding'
  | 'upgrade_required'
  | 'body_too_large'
  | 'body_too_slow'
  | 'input_too_large'
  | 'cost_too_high'
  | 'run_too_large'
  | 'integer_too_large'
  // as OpenAI calls it, because its clients look for it
  | 'context_length_exceeded'
  | 'run_rejected'
  // who the caller is, and what it asked for
  | 'unauthorized'
  | 'forbidden'
  | 'not_downloadable'
  | 'not_found'
  | 'method_not_allowed'
  | 'model_not_found'
  | 'version_not_found'
  // time and load
  | 'overloaded'
  // more requests than the caller's rate, or than may be tried
  | 'rate_limited'
  | 'budget_spent'
  | 'limits_unavailable'
  | 'cancelled'
  | 'deadline_exceeded'
  // what the operator has to fix
  | 'weights_unavailable'
  | 'weights_corrupt'
  | 'manifest_invalid'
  | 'alias_invalid'
  | 'signature_invalid'
  | 'release_outdated'
  | 'conflict'
  | 'store_unavailable'
  | 'model_invalid'
  | 'model_too_large'
  | 'engine_full'
  | 'engine_unsupported'
  | 'streams_unavailable'
  | 'tokens_unavailable'
  // addresses of a protocol that come later
  | 'not_implemented'
  // origins
  | 'origin_unavailable'
  | 'origin_failed'
  | 'placement_impossible'
  | 'engine_aborted'
  | 'session_lost'
  | 'internal'

/** Facts about a failure that a client may see: never a path, a stack, a key or a credential. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | readonly (string | number)[]>>

export interface VergeErrorOptions {
  /** The underlying failure: for logs only, never for an answer. */
  readonly cause?: unknown
  readonly details?: ErrorDetails
  /** Seconds after which the same request may succeed; becomes `Retry-After`. */
  readonly retryAfter?: number
}

/** A typed failure. `message` is written for the person who gets it: what is wrong, and what to do next. */
export class VergeError extends Error {
  override readonly name = 'VergeError'
  readonly code: ErrorCode
  readonly details: ErrorDetails | undefined
  readonly retryAfter: number | undefined

  constructor(code: ErrorCode, message: string, options: VergeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details
    this.retryAfter = options.retryAfter
  }
}

export function isVergeError(error: unknown, code?: ErrorCode): error is VergeError {
  return error instanceof VergeError && (code === undefined || error.code === code)
}

/** The reason an `AbortSignal` was raised for, as a typed error: `deadline_exceeded` if it says so, else `cancelled`. */
export function abortError(signal: AbortSignal): VergeError {
  const reason: unknown = signal.reason
  if (isVergeError(reason)) return reason
  return new VergeError('cancelled', 'The caller closed the connection before the answer was ready.', { cause: reason })
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal)
}

/** Causes of one error that a log line holds; further ones, and circles, end there. */
const MOST_CAUSES = 4

/** An error's fields as a value that JSON can hold: by themselves they are not enumerable. Anything else as it is. */
export function errorFields(value: unknown, depth = 0): unknown {
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  const code = 'code' in value ? value.code : undefined
  return {
    name,
    ...(code !== undefined && { code }),
    message,
    stack,
    ...(cause !== undefined && depth < MOST_CAUSES && { cause: errorFields(cause, depth + 1) }),
  }
}
