import { onAbort } from '../core/abort.ts'
import { VergeError } from '../core/errors.ts'
import type { CallContext, Clock, Logger, RunCounter } from '../core/runtime.ts'

export interface CallOptions {
  readonly requestId: string
  /** Longest that the call may take. */
  readonly timeoutMs: number
  /** Raised when the caller leaves. */
  readonly left?: AbortSignal
  /** What is said when the time is over, where there is more to say than that. */
  readonly late?: VergeError
  readonly waitUntil: CallContext['waitUntil']
  /** What the caller allows and wants besides. */
  readonly more?: Pick<CallContext, 'cache' | 'ledger' | 'placement'>
}

/** Does work for a caller, with one signal for the caller's leaving and for the deadline. */
export async function withCall<T>(
  { clock, logger, runs }: { readonly clock: Clock; readonly logger: Logger; readonly runs: RunCounter },
  { late, left, more, requestId, timeoutMs, waitUntil }: CallOptions,
  work: (context: CallContext) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const release = onAbort(left, () => controller.abort(left?.reason))
  const cancelTimer = clock.after(timeoutMs, () => controller.abort(late ?? tooLate(timeoutMs)))
  try {
    return await work({
      ...more,
      requestId,
      signal: controller.signal,
      deadline: clock.now() + timeoutMs,
      runsBefore: runs.finished,
      waitUntil: (background) =>
        waitUntil(
          background.catch((reason: unknown) =>
            logger.warn('background_work_failed', { requestId, reason: String(reason) }),
          ),
        ),
    })
  } finally {
    cancelTimer()
    release()
  }
}

function tooLate(timeoutMs: number): VergeError {
  return new VergeError(
    'deadline_exceeded',
    `There was no answer within ${timeoutMs} ms. Try again, or send less work in one request.`,
    { details: { timeout_ms: timeoutMs } },
  )
}
