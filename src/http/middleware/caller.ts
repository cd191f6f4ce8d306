import type { MiddlewareHandler } from 'hono'
import type { Caller } from '../../access/authorize.ts'
import { isOperatorKey } from '../../access/credentials.ts'
import { VergeError } from '../../core/errors.ts'
import type { AppEnv } from '../app-env.ts'

/** RFC 6750: one token of these characters after the scheme, which is case-insensitive. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/** The scheme of `access/signature.ts`. */
const SIGNED = /^verge-hmac-sha256 /i

/**
 * Who signed a request. A body that belongs to the signature is checked by whoever reads it.
 * @throws unauthorized
 */
export type SignatureCheck = (request: Request) => Promise<Caller>

/**
 * Learns who is calling. No credential: anonymous. A credential that is wrong or malformed is refused, never treated as
 * none: the caller meant to be somebody.
 */
export function caller(
  apiKeyDigest: Uint8Array | undefined,
  signatures: SignatureCheck | undefined,
): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const header = c.req.header('authorization')
    if (header === undefined) {
      c.set('caller', { kind: 'anonymous' })
    } else if (signatures !== undefined && SIGNED.test(header)) {
      c.set('caller', await signatures(c.req.raw))
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
