import { onAbort } from '../../core/abort.ts'
import { abortError, VergeError } from '../../core/errors.ts'
import type { CallContext, Clock } from '../../core/runtime.ts'

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
  const controller = new AbortController()
  const { signal } = context
  const release = onAbort(signal, () => controller.abort(abortError(signal)))
  const callOff = clock.after(ms, () =>
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
    callOff()
    release()
  }
}
