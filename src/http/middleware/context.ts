import type { Context, MiddlewareHandler } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { TIMEOUT_HEADER } from '../../core/headers.ts'
import type { Clock, Logger, RunCounter } from '../../core/runtime.ts'
import { withCall } from '../../inference/call.ts'
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
    const timeoutMs = Math.min(deadlineMs, requestedTimeout(c.req.header(TIMEOUT_HEADER)) ?? deadlineMs)
    const requestId = c.get('requestId')
    await withCall(
      { clock, logger, runs },
      { requestId, timeoutMs, left: c.req.raw.signal, waitUntil: (work) => keepAlive(c, work) },
      (context) => {
        c.set('context', context)
        return next()
      },
    )
  }
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

function keepAlive(c: Context<AppEnv>, work: Promise<unknown>): void {
  try {
    c.executionCtx.waitUntil(work)
  } catch {
    // Hono throws where the runtime has no execution context (Node); there, promises live as long as the process.
  }
}
