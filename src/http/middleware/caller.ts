import type { Context, MiddlewareHandler } from 'hono'
import type { Caller } from '../../access/authorize.ts'
import type { CallerFacts } from '../../access/credentials.ts'
import { claimsSignature } from '../../access/signature.ts'
import { VergeError } from '../../core/errors.ts'
import { protocolAt } from '../address-of.ts'
import type { AppConfig, AppDeps, AppEnv } from '../app-env.ts'

/** RFC 6750: one token of these characters after the scheme, which is case-insensitive. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/** Longer headers are not matched. Above the limit on credentials. */
const LONGEST_HEADER = 9_000

/**
 * Who signed a request. A body that belongs to the signature is checked by whoever reads it.
 * @throws unauthorized
 */
export type SignatureCheck = (request: Request) => Promise<Caller>

/** Who calls, where what handed the request over knows it: a binding. Undefined where the request itself has to say. */
export type KnownCaller = (bindings: unknown) => Caller | undefined

type CallerDeps = Pick<AppDeps, 'credentials' | 'signatures' | 'knownCaller'> & {
  readonly config: Pick<AppConfig, 'defaultProtocol' | 'defaultModel'>
}

/**
 * Learns who is calling. No credential, or one that is not accepted here: anonymous, so that clients which insist on a key
 * can use public models; where more is needed, `inference/access.ts` answers 401 to the latter. A signature of Verge's own
 * servers is never optional: a wrong one is refused at once.
 */
export function caller({ config, credentials, knownCaller, signatures }: CallerDeps): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const bound = knownCaller?.(c.env)
    const { headers } = c.req.raw
    if (bound !== undefined) c.set('caller', bound)
    else if ((headers.get('authorization') ?? headers.get('signature-input')) !== null && claimsSignature(headers))
      c.set('caller', await checked(c.req.raw, signatures))
    else {
      const sent = sentCredential(c, config)
      const own: Caller = sent === undefined ? { kind: 'anonymous' } : await callerOf(credentials, c, sent.credential)
      const assertion = own.kind === 'anonymous' ? c.req.header('cf-access-jwt-assertion') : undefined
      c.set('caller', assertion === undefined ? own : await signedInCaller(credentials, c, assertion, own))
    }
    await next()
  }
}

/** The caller of a credential that a request brings, in whichever place. @throws what `Credentials` throws */
export async function callerOf(
  credentials: AppDeps['credentials'],
  c: Context<AppEnv>,
  credential: string | undefined,
): Promise<Caller> {
  if (credentials === undefined) return { kind: 'anonymous', unaccepted: 'key' }
  return credentials.callerOf(credential, factsOf(c), c.get('context'))
}

/**
 * The caller of a token that Cloudflare Access added. Access goes by a cookie, which browsers also send with what pages of other
 * sites begin: such a request is not its visitor's doing.
 */
async function signedInCaller(
  credentials: AppDeps['credentials'],
  c: Context<AppEnv>,
  assertion: string,
  otherwise: Caller,
): Promise<Caller> {
  const facts = factsOf(c)
  const site = c.req.header('sec-fetch-site') ?? 'none'
  const isForeign = facts.origin !== undefined && facts.origin !== new URL(c.req.url).origin
  if (credentials === undefined || isForeign || !['none', 'same-origin'].includes(site)) return otherwise
  return credentials.callerOfAccess(assertion, otherwise, facts, c.get('context'))
}

function factsOf(c: Context<AppEnv>): CallerFacts {
  return { origin: pageOf(c), address: c.req.header('cf-connecting-ip') }
}

/**
 * The page that sent a request. Browsers leave `Origin` out of a GET to the page's own origin, and say that it is one in a
 * header that no page can set.
 */
function pageOf(c: Context<AppEnv>): string | undefined {
  const origin = c.req.header('origin')
  if (origin !== undefined) return origin
  const isOwn = ['GET', 'HEAD'].includes(c.req.method) && c.req.header('sec-fetch-site') === 'same-origin'
  return isOwn ? new URL(c.req.url).origin : undefined
}

/**
 * What a request brings to say who sends it: undefined if nothing, and with no credential if it is in a form that has none.
 * Clients of Anthropic send their key in a header of its own.
 */
function sentCredential(
  c: Context<AppEnv>,
  defaults: CallerDeps['config'],
): { readonly credential: string | undefined } | undefined {
  const header = c.req.header('authorization')
  if (header !== undefined) return { credential: bearerIn(header) }
  const key = c.req.header('x-api-key')
  const theirs = key !== undefined && protocolAt(c.req.path, defaults).protocol === 'anthropic'
  return theirs ? { credential: key } : undefined
}

/** A header that is longer than any credential is passed on as it is, to be refused by its length. */
function bearerIn(header: string): string | undefined {
  return header.length > LONGEST_HEADER ? header : BEARER.exec(header)?.[1]
}

async function checked(request: Request, signatures: SignatureCheck | undefined): Promise<Caller> {
  if (signatures !== undefined) return signatures(request)
  throw new VergeError('unauthorized', 'The signature is invalid, because no origins are configured.')
}
