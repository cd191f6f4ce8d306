import type { Context, MiddlewareHandler } from 'hono'
import { VergeError } from '../../core/errors.ts'
import type { Clock, Logger, RunCounter } from '../../core/runtime.ts'
import type { AppEnv } from '../app-env.ts'

export interface ContextOptions {
  readonly clock: Clock
  readonly deadlineMs: number
  readonly logger: Logger
  readonly runs: RunCounter
}

/**
 * Gives handlers a `CallContext`: one signal for the caller's leaving and for the deadline, and `waitUntil`.
 * `verge-timeout-ms` may shorten the deadline, never lengthen it.
 */
export function callContext({ clock, deadlineMs, logger, runs }: ContextOptions): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const timeoutMs = Math.min(deadlineMs, requestedTimeout(c.req.header('verge-timeout-ms')) ?? deadlineMs)
    const controller = new AbortController()
    const client = c.req.raw.signal
    const onLeave = (): void => controller.abort(client.reason)
    if (client.aborted) onLeave()
    else client.addEventListener('abort', onLeave, { once: true })
    const callOff = clock.after(timeoutMs, () => controller.abort(deadlineError(timeoutMs)))
    c.set('context', {
      requestId: c.get('requestId'),
      signal: controller.signal,
      deadline: clock.now() + timeoutMs,
      runsBefore: runs.finished,
      waitUntil: (work) => keepAlive(c, work, logger),
    })
    try {
      await next()
    } finally {
      callOff()
      client.removeEventListener('abort', onLeave)
    }
  }
}

function deadlineError(timeoutMs: number): VergeError {
  return new VergeError(
    'deadline_exceeded',
    `There was no answer within ${timeoutMs} ms. Try again, or send less work in one request.`,
    { details: { timeout_ms: timeoutMs } },
  )
}

function requestedTimeout(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const milliseconds = Number(header)
  if (!/^\d{1,9}$/.test(header) || milliseconds === 0) {
    throw new VergeError(
      'invalid_request',
      'The header "verge-timeout-ms" must be a whole number of milliseconds above 0.',
    )
  }
  return milliseconds
}

function keepAlive(c: Context<AppEnv>, work: Promise<unknown>, logger: Logger): void {
  const watched = work.catch((reason: unknown) =>
    logger.warn('background_work_failed', { requestId: c.get('requestId'), reason: String(reason) }),
  )
  try {
    c.executionCtx.waitUntil(watched)
  } catch {
    // Hono throws where the runtime has no execution context (Node); there, promises live as long as the process.
  }
}
