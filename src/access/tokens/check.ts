import { compactVerify, decodeProtectedHeader } from 'jose'
import * as z from 'zod'
import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'
import type { Attempts } from '../attempts.ts'
import type { GrantedCaller } from '../authorize.ts'
import type { CredentialCheck } from '../credentials.ts'
import { KEY_ID } from '../keys/form.ts'
import type { KeyReader } from '../keys/reader.ts'
import type { KeyRecord } from '../keys/record.ts'
import { keyFault } from '../keys/state.ts'
import { parseClaims, TOKEN_TYPE, type TokenClaims, WORKER_KID } from './claims.ts'

export interface TokenCheckOptions {
  /** What the Worker signs its own tokens with; absent: it has signed none. */
  readonly key?: Uint8Array | undefined
  readonly keys: Pick<KeyReader, 'record' | 'remembered'>
  readonly attempts: Pick<Attempts, 'beforeLookUp'>
  /** Its `now` must count from 1970. */
  readonly clock: Pick<Clock, 'now'>
  readonly limits: Pick<Limits, 'tokenSeconds' | 'tokenSkewSeconds'>
}

/**
 * The whole header of a token. It names no address, certificate or key of its own, and `kid` alone decides which algorithm
 * is meant: what the token says of `alg` has to agree.
 */
const headerSchema = z.strictObject({
  alg: z.enum(['HS256', 'EdDSA']),
  typ: z.literal(TOKEN_TYPE),
  kid: z.string().regex(KEY_ID).or(z.literal(WORKER_KID)),
})

/** Public keys as they are used, of records that are in memory. */
type ImportedKeys = WeakMap<KeyRecord, readonly CryptoKey[]>

/**
 * Verifies browser tokens: the signature, by the Worker's own key or by a public key of the key that it names; that this key
 * is still valid; the time; and the page. @throws unauthorized, forbidden, store_unavailable
 */
export function tokenCheck(options: TokenCheckOptions): CredentialCheck {
  const importedKeys: ImportedKeys = new WeakMap()
  return async (token, { address, origin }, { signal }) => {
    const kid = kidOf(token)
    const { clock, limits } = options
    if (kid === WORKER_KID) {
      const claims = claimsOf(await ownPayload(token, options.key))
      const record = await parentOf(claims.sub, options, signal)
      // Where its key may mint no more, neither may what it minted before be used.
      if (!record.grant.actions.includes('mint')) throw refused('revoked', 'Its key may not mint tokens any more.')
      assertTime(claims, clock.now(), limits)
      const caller = callerOf(claims, record, origin)
      return { ...caller, ...(caller.parent && { parent: { ...caller.parent, mints: true } }) }
    }
    // Nothing proves yet that this key has anything to do with the token.
    if (options.keys.remembered(kid) === undefined) await options.attempts.beforeLookUp(address)
    const record = await parentOf(kid, options, signal)
    const claims = claimsOf(await payloadBy(record, token, importedKeys))
    if (claims.sub !== record.id) throw refused('malformed', 'It names another key than the one that signed it.')
    assertTime(claims, clock.now(), limits)
    return callerOf(claims, record, origin)
  }
}

/** Which key a token says it is signed by. @throws unauthorized where its header is not exactly as Verge writes it */
function kidOf(token: string): string {
  let header: unknown
  try {
    header = decodeProtectedHeader(token)
  } catch (cause) {
    throw refused('malformed', 'It is not a signed token.', cause)
  }
  const parsed = headerSchema.safeParse(header)
  if (!parsed.success) throw refused('malformed', 'Its header is not the one of a token.')
  const { alg, kid } = parsed.data
  if ((kid === WORKER_KID) !== (alg === 'HS256')) throw refused('malformed', 'Its algorithm is not the one of its key.')
  return kid
}

async function ownPayload(token: string, key: Uint8Array | undefined): Promise<Uint8Array> {
  if (key === undefined) throw refused('signature', 'This Worker signs no tokens.')
  try {
    return (await compactVerify(token, key, { algorithms: ['HS256'] })).payload
  } catch (cause) {
    throw refused('signature', 'Its signature is wrong.', cause)
  }
}

async function payloadBy(record: KeyRecord, token: string, known: ImportedKeys): Promise<Uint8Array> {
  const keys = known.get(record) ?? (await imported(record))
  known.set(record, keys)
  for (const key of keys) {
    const verified = await compactVerify(token, key, { algorithms: ['EdDSA'] }).catch(() => undefined)
    if (verified !== undefined) return verified.payload
  }
  throw refused('signature', 'Its signature is not one of its key.')
}

async function imported({ signing = [] }: KeyRecord): Promise<readonly CryptoKey[]> {
  const keys = signing.map(({ publicKey }) =>
    crypto.subtle.importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x: publicKey }, 'Ed25519', false, ['verify']),
  )
  // One that is damaged takes the others nothing.
  const settled = await Promise.allSettled(keys)
  return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
}

function strictText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
}

function claimsOf(payload: Uint8Array): TokenClaims {
  try {
    const value: unknown = JSON.parse(strictText(payload))
    return parseClaims(value, 'The token')
  } catch (cause) {
    throw refused('malformed', isVergeError(cause) ? cause.message : 'Its claims are not JSON.', cause)
  }
}

/** The key behind a token, where it is still one. */
async function parentOf(
  id: string,
  { clock, keys }: TokenCheckOptions,
  signal: AbortSignal | undefined,
): Promise<KeyRecord> {
  const record = KEY_ID.test(id) ? await keys.record(id, signal) : null
  if (record === null) throw refused('unknown', 'Its key is not known here.')
  const fault = keyFault(record, undefined, clock.now())
  // What the key is called is not for pages to know.
  if (fault !== undefined)
    throw refused(fault.reason, `Its key ${fault.reason === 'revoked' ? 'was revoked' : 'expired'}.`)
  return record
}

function assertTime(
  { exp, iat }: TokenClaims,
  nowMs: number,
  { tokenSeconds, tokenSkewSeconds }: TokenCheckOptions['limits'],
): void {
  const now = nowMs / 1000
  if (exp - iat > tokenSeconds || exp <= iat) {
    throw refused('malformed', `A token lives for ${tokenSeconds / 60} minutes at most.`)
  }
  if (iat > now + tokenSkewSeconds) {
    throw refused('not_yet', 'It was made in the future. The clock of the backend that made it is wrong.')
  }
  if (now >= exp) throw refused('expired', `It expired at ${new Date(exp * 1000).toISOString()}.`)
}

/** @throws forbidden if a page sent it that it is not for */
function callerOf(claims: TokenClaims, record: KeyRecord, origin: string | undefined): GrantedCaller {
  const { grant } = record
  const pages = claims.origins.filter((each) => grant.origins === undefined || grant.origins.includes(each))
  if (origin === undefined || !pages.includes(origin)) {
    const sender = origin === undefined ? 'no page' : 'another page'
    throw new VergeError(
      'forbidden',
      `The token is for certain pages only, and the request is from ${sender}. Browsers name the page in the header "Origin": use the token there, or mint one for this page.`,
      { details: { reason: 'origin' } },
    )
  }
  return {
    kind: 'granted',
    by: 'token',
    // With the key's id: those who hold a signing key choose the ids of their tokens.
    principal: `token:${record.id}:${claims.jti}`,
    name: record.name,
    expiresAt: claims.exp,
    grant: {
      models: claims.models,
      actions: claims.actions,
      places: grant.places,
      origins: pages,
      ...(claims.limits && { limits: claims.limits }),
    },
    parent: { principal: `key:${record.id}`, grant },
  }
}

type Reason = 'malformed' | 'signature' | 'unknown' | 'revoked' | 'expired' | 'replaced' | 'not_yet'

function refused(reason: Reason, why: string, cause?: unknown): VergeError {
  return new VergeError(
    'unauthorized',
    `The browser token is not accepted. ${why} Ask the page's backend for a new one.`,
    {
      details: { reason },
      cause,
    },
  )
}
