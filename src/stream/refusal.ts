import { type ErrorCode, isVergeError, VergeError } from '../core/errors.ts'

export interface ErrorBody {
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

/** Why a stream ends before its time: what the client is told, and the code that its socket is closed with. */
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

/** The refusal that a failure amounts to; what is not a typed error says nothing but `internal`. */
export function refusalOf(thrown: unknown): StreamRefusal {
  if (thrown instanceof StreamRefusal) return thrown
  const error = isVergeError(thrown)
    ? thrown
    : new VergeError('internal', 'Something went wrong on our side. Open the stream again.', { cause: thrown })
  switch (error.code) {
    case 'overloaded':
    case 'deadline_exceeded':
    case 'session_lost':
    case 'store_unavailable':
    case 'weights_unavailable':
      return new StreamRefusal(CLOSE.tryAgain, error)
    case 'model_not_found':
    case 'version_not_found':
    case 'forbidden':
    case 'invalid_request':
    case 'task_mismatch':
      return new StreamRefusal(CLOSE.policy, error)
    default:
      return new StreamRefusal(CLOSE.failed, error)
  }
}

export function errorBody({ error }: StreamRefusal, requestId: string): ErrorBody {
  return { error: { code: error.code, message: error.message, request_id: requestId, ...error.details } }
}
