import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../app-env.ts'

/**
 * For every answer that is no page: should a browser show it as a document all the same, it loads nothing, runs nothing, and
 * no other site can put it into a frame.
 */
const POLICY = "default-src 'none'; frame-ancestors 'none'"

/** A year. Without its subdomains: they may belong to others. */
const TRANSPORT = 'max-age=31536000'

/**
 * Says to browsers what they may do with answers. An answer that says so itself, as the page does, is left as it is.
 * @param origins of pages that may call. Where that is any page, any page may also embed answers; otherwise none may, and
 * those that are named read them by CORS.
 */
export function securityHeaders(origins: readonly string[]): MiddlewareHandler<AppEnv> {
  const resourcePolicy = origins.includes('*') ? 'cross-origin' : 'same-origin'
  return async (c, next) => {
    await next()
    const { headers } = c.res
    headers.set('x-content-type-options', 'nosniff')
    if (!headers.has('content-security-policy')) headers.set('content-security-policy', POLICY)
    if (!headers.has('cross-origin-resource-policy')) headers.set('cross-origin-resource-policy', resourcePolicy)
    if (!headers.has('referrer-policy')) headers.set('referrer-policy', 'no-referrer')
    // On other connections browsers ignore it.
    if (c.req.url.startsWith('https:')) headers.set('strict-transport-security', TRANSPORT)
  }
}
