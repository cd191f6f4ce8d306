import type { MiddlewareHandler } from 'hono'
import { VergeError } from '../../core/errors.ts'
import type { AppEnv } from '../app-env.ts'

/** RFC 6750: one token of these characters after the scheme, which is case-insensitive. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/**
 * Learns who is calling. No credential: anonymous. A credential that is wrong or malformed is refused, never treated as
 * none: the caller meant to be somebody.
 */
export function caller(apiKeyDigest: Uint8Array | undefined): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const header = c.req.header('authorization')
    if (header === undefined) {
      c.set('caller', { kind: 'anonymous' })
    } else {
      const token = BEARER.exec(header)?.[1]
      // Digests are compared, so the time taken says nothing about the secret, its length included.
      const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token ?? ''))
      const known = apiKeyDigest !== undefined && equal(new Uint8Array(digest), apiKeyDigest)
      if (token === undefined || !known) {
        throw new VergeError(
          'unauthorized',
          'The credential was not accepted. Send "Authorization: Bearer <key>" with the operator\'s key, or no credential for public models.',
        )
      }
      c.set('caller', { kind: 'operator' })
    }
    await next()
  }
}

/** Takes the same time wherever the first difference lies. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}
