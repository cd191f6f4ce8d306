import type { MiddlewareHandler } from 'hono'
import { REQUEST_ID_HEADER } from '../../core/headers.ts'
import type { AppEnv } from '../app-env.ts'

/** What may be echoed into headers and logs without escaping. */
const SANE = /^[A-Za-z0-9._-]{1,128}$/

/** Gives every request an id, the caller's own where it is sane, and answers with it. */
export function requestId(randomId: () => string): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const given = c.req.header(REQUEST_ID_HEADER)
    const id = given !== undefined && SANE.test(given) ? given : randomId()
    c.set('requestId', id)
    await next()
    // `c.header` would make a new Response now that there is one.
    c.res.headers.set(REQUEST_ID_HEADER, id)
  }
}
