import { abortError, VergeError } from '../../core/errors.ts'
import type { CallContext, Clock } from '../../core/runtime.ts'
import type { InferRequest } from '../../protocols/oip/wire.ts'

/** Triton's sequence extension: state that a server keeps between requests. */
const SEQUENCE = /^sequence_/
/** What Triton's clients send for "no sequence". */
const NEUTRAL: ReadonlySet<unknown> = new Set([0, '', false])

/** Refuses parameters of a request that would change its answer and mean nothing here. @throws invalid_request */
export function refuseSequences(parameters: InferRequest['parameters']): void {
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (!SEQUENCE.test(name) || NEUTRAL.has(value)) continue
    throw new VergeError(
      'invalid_request',
      `The parameter "${name.slice(0, 64)}" is not supported: no state is kept between requests. Leave it out, and send the model's state as tensors.`,
      { details: { field: `parameters.${name.slice(0, 64)}` } },
    )
  }
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
  const controller = new AbortController()
  const { signal } = context
  const onAbort = (): void => controller.abort(abortError(signal))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
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
    signal.removeEventListener('abort', onAbort)
  }
}
