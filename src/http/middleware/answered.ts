import type { Context, MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import { declaredLength } from '../../core/header-values.ts'
import { MODEL_HEADER, PLACEMENT_HEADER } from '../../core/headers.ts'
import type { Logger } from '../../core/runtime.ts'
import type { AppEnv } from '../app-env.ts'

/** Which requests that succeed leave a line in the log. */
export interface RequestLog {
  /** Share of them, 0 to 1. */
  readonly sampleRate: number
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/**
 * Says on an answer which version it is from, and logs a sample of the requests that succeed. Stands behind the
 * middleware that opens the ledger.
 */
export function answered(logger: Logger, log: RequestLog | undefined): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    await next()
    const { model } = c.get('context').ledger ?? {}
    if (model !== undefined) c.res.headers.set(MODEL_HEADER, model)
    // Errors are logged with their reasons, each of them, by the error handler.
    if (log !== undefined && c.res.status < 400 && c.get('refused') !== true && log.random() < log.sampleRate) {
      logger.info('request_answered', fieldsOf(c))
    }
  }
}

/** What is known when an answer begins: never a body, a query, a key or anything else that the caller wrote freely. */
function fieldsOf(c: Context<AppEnv>) {
  const { ledger } = c.get('context')
  return {
    requestId: c.get('requestId'),
    method: c.req.method,
    // The pattern, because a path may hold anything.
    route: routePath(c, -1),
    model: ledger?.model,
    status: c.res.status,
    caller: c.get('caller').kind,
    placement: c.res.headers.get(PLACEMENT_HEADER) ?? undefined,
    cache: ledger?.cache,
    cost: ledger?.cost,
    requestBytes: declaredLength(c.req.header('content-length')),
  }
}
