import type { MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { AppEnv, CountHttp } from '../app-env.ts'

/** Counts requests by the pattern of their route, because a path may hold anything. */
export function countedRequests(count: CountHttp): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    await next()
    count(routePath(c, -1), c.res.status, (work) => c.get('context').waitUntil(work))
  }
}
