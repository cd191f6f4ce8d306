import type { MiddlewareHandler } from 'hono'
import { REQUEST_ID_HEADER } from '../../core/headers.ts'
import { requestIdFrom } from '../../core/runtime.ts'
import type { AppEnv } from '../app-env.ts'

/** Gives every request an id, the caller's own where it is sane, and answers with it. */
export function requestId(randomId: () => string): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const id = requestIdFrom(c.req.header(REQUEST_ID_HEADER), randomId)
    c.set('requestId', id)
    await next()
    // `c.header` would make a new Response now that there is one.
    c.res.headers.set(REQUEST_ID_HEADER, id)
  }
}
