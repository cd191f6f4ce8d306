import type { MiddlewareHandler } from 'hono'
import { isOperatorKey } from '../../access/credentials.ts'
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
      const known = await isOperatorKey(token ?? '', apiKeyDigest)
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
