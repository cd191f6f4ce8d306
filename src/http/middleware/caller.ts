import type { MiddlewareHandler } from 'hono'
import type { Caller } from '../../access/authorize.ts'
import { callerByKey } from '../../access/credentials.ts'
import { claimsSignature } from '../../access/signature.ts'
import { VergeError } from '../../core/errors.ts'
import { protocolAt } from '../address-of.ts'
import type { AppConfig, AppEnv } from '../app-env.ts'

/** RFC 6750: one token of these characters after the scheme, which is case-insensitive. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/**
 * Who signed a request. A body that belongs to the signature is checked by whoever reads it.
 * @throws unauthorized
 */
export type SignatureCheck = (request: Request) => Promise<Caller>

/** Who calls, where what handed the request over knows it: a binding. Undefined where the request itself has to say. */
export type KnownCaller = (bindings: unknown) => Caller | undefined

/**
 * Learns who is calling. The operator's key: the operator. No credential, or one that is not known here: anonymous, so
 * that clients which insist on a key can use public models; where more is needed, `model-access.ts` answers 401 to the
 * latter. A signature of Verge's own servers is never optional: a wrong one is refused at once.
 */
export function caller(
  { apiKeyDigest, ...defaults }: Pick<AppConfig, 'apiKeyDigest' | 'defaultProtocol' | 'defaultModel'>,
  signatures: SignatureCheck | undefined,
  known?: KnownCaller,
): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const header = c.req.header('authorization')
    const input = c.req.header('signature-input')
    const bound = known?.(c.env)
    if (bound !== undefined) c.set('caller', bound)
    else if ((header ?? input) !== undefined && claimsSignature(c.req.raw.headers))
      c.set('caller', await checked(c.req.raw, signatures))
    else if (header !== undefined) c.set('caller', await callerByKey(BEARER.exec(header)?.[1], apiKeyDigest))
    else {
      // Clients of Anthropic send their key in a header of its own.
      const key = c.req.header('x-api-key')
      const theirs = key !== undefined && protocolAt(c.req.path, defaults).protocol === 'anthropic'
      c.set('caller', theirs ? await callerByKey(key, apiKeyDigest) : { kind: 'anonymous' })
    }
    await next()
  }
}

async function checked(request: Request, signatures: SignatureCheck | undefined): Promise<Caller> {
  if (signatures !== undefined) return signatures(request)
  throw new VergeError('unauthorized', 'The signature is invalid, because no origins are configured.')
}
