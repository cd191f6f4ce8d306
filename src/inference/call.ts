import { abortError, VergeError } from '../core/errors.ts'
import { type Clock, type Logger, onAbort, type RunCounter } from '../core/runtime.ts'
import type { PlacementContext } from '../placement/placement.ts'

/** What an inference passes down to everything that works for it: each room below knows the part that concerns it. */
export type CallContext = PlacementContext

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
  readonly more?: Pick<CallContext, 'cache' | 'ledger' | 'placement' | 'sticky'>
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

const MICROSECONDS = 1000

/**
 * Does work within a request's own timeout, which may shorten its deadline and never lengthen it.
 * @param timeout microseconds, as Triton's schedule policy extension has it; 0 or undefined: none
 */
export async function withTimeout<T>(
  timeout: number | undefined,
  context: CallContext,
  clock: Clock,
  work: (context: CallContext) => Promise<T>,
): Promise<T> {
  if (timeout === undefined || timeout === 0) return work(context)
  const ms = Math.max(1, timeout / MICROSECONDS)
  const deadline = clock.now() + ms
  if (context.deadline !== undefined && context.deadline <= deadline) return work(context)
  if (context.ledger !== undefined) context.ledger.paced = true
  const controller = new AbortController()
  const { signal } = context
  const release = onAbort(signal, () => controller.abort(abortError(signal)))
  const cancelTimer = clock.after(ms, () =>
    controller.abort(
      new VergeError(
        'deadline_exceeded',
        `There was no answer within the request's timeout of ${timeout} microseconds.`,
        {
          details: { timeout_ms: ms },
        },
      ),
    ),
  )
  try {
    return await work({ ...context, signal: controller.signal, deadline })
  } finally {
    cancelTimer()
    release()
  }
}
