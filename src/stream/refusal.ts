import { type ErrorCode, isVergeError, VergeError } from '../core/errors.ts'

export interface StreamErrorMessage {
  readonly error: Readonly<Record<string, unknown>> & { readonly code: ErrorCode; readonly message: string }
}

/** Close codes of RFC 6455, 7.4.1, and one of our own from the range that it leaves to applications. */
export const CLOSE = {
  done: 1000,
  unsupported: 1003,
  invalid: 1007,
  policy: 1008,
  tooLarge: 1009,
  failed: 1011,
  tryAgain: 1013,
  idle: 4408,
} as const

/** The close code of each failure. */
const CLOSED_WITH = {
  invalid_json: 'failed',
  invalid_request: 'policy',
  invalid_tensor: 'failed',
  unsupported_datatype: 'failed',
  unknown_input: 'failed',
  missing_input: 'failed',
  unknown_output: 'failed',
  unsupported_output: 'failed',
  empty_input: 'failed',
  invalid_image: 'failed',
  invalid_audio: 'failed',
  task_mismatch: 'policy',
  unsupported_media_type: 'failed',
  unsupported_encoding: 'failed',
  upgrade_required: 'failed',
  body_too_large: 'failed',
  body_too_slow: 'failed',
  input_too_large: 'failed',
  cost_too_high: 'failed',
  run_too_large: 'failed',
  integer_too_large: 'failed',
  context_length_exceeded: 'failed',
  run_rejected: 'failed',
  unauthorized: 'policy',
  forbidden: 'policy',
  not_downloadable: 'policy',
  not_found: 'failed',
  method_not_allowed: 'failed',
  model_not_found: 'policy',
  version_not_found: 'policy',
  overloaded: 'tryAgain',
  rate_limited: 'tryAgain',
  budget_spent: 'policy',
  limits_unavailable: 'tryAgain',
  cancelled: 'failed',
  deadline_exceeded: 'tryAgain',
  weights_unavailable: 'tryAgain',
  weights_corrupt: 'failed',
  manifest_invalid: 'failed',
  alias_invalid: 'failed',
  signature_invalid: 'failed',
  release_outdated: 'failed',
  conflict: 'failed',
  store_unavailable: 'tryAgain',
  model_invalid: 'failed',
  model_too_large: 'failed',
  engine_full: 'failed',
  engine_unsupported: 'failed',
  streams_unavailable: 'failed',
  tokens_unavailable: 'failed',
  not_implemented: 'failed',
  origin_unavailable: 'failed',
  origin_failed: 'failed',
  placement_impossible: 'failed',
  engine_aborted: 'failed',
  session_lost: 'tryAgain',
  internal: 'failed',
} satisfies Readonly<Record<ErrorCode, keyof typeof CLOSE>>

/** Why a stream ends early: the message to the client, and the close code. */
export class StreamRefusal extends Error {
  override readonly name = 'StreamRefusal'
  readonly closeCode: number
  readonly error: VergeError

  constructor(closeCode: number, error: VergeError) {
    super(error.message)
    this.closeCode = closeCode
    this.error = error
  }
}

/** The refusal for a failure; untyped errors become `internal`. */
export function streamRefusal(thrown: unknown): StreamRefusal {
  if (thrown instanceof StreamRefusal) return thrown
  const error = isVergeError(thrown)
    ? thrown
    : new VergeError('internal', 'Internal error. Open the stream again.', { cause: thrown })
  return new StreamRefusal(CLOSE[CLOSED_WITH[error.code]], error)
}

export function streamErrorMessage({ error }: StreamRefusal, requestId: string): StreamErrorMessage {
  const { code, details, message, retryAfter } = error
  return {
    error: {
      code,
      message,
      request_id: requestId,
      ...details,
      ...(retryAfter !== undefined && { retry_after: retryAfter }),
    },
  }
}
