import { constantTimeEqual } from '../core/bytes.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, RequestContext } from '../core/runtime.ts'
import type { Attempts } from './attempts.ts'
import type { Caller, GrantedCaller } from './authorize.ts'
import { KEY_PREFIX, parseKey } from './keys/form.ts'
import type { KeyReader } from './keys/reader.ts'
import { findSecret, type KeyRecord } from './keys/record.ts'
import { keyFault } from './keys/state.ts'

/** What is known of a request beside its credential. */
export interface CallerFacts {
  /** The page that sent it, as its browser says. */
  readonly origin?: string | undefined
  /** The client's, as the platform says. */
  readonly address?: string | undefined
}

/** Whose time a look-up takes, and what may go on after it. */
export interface CallerContext extends Pick<RequestContext, 'waitUntil'> {
  readonly signal?: AbortSignal | undefined
}

/**
 * Verifies a credential of one kind.
 * @param credential without Verge's own prefix
 * @throws unauthorized with what is wrong with it, and `details.reason`: "expired", "revoked", "replaced" or "origin" where it is
 *   no guess; store_unavailable where it cannot be verified at present
 */
export type CredentialCheck = (credential: string, facts: CallerFacts, context: CallerContext) => Promise<GrantedCaller>

export interface CredentialOptions {
  /** SHA-256 of the operator's key; absent: nobody is the operator. */
  readonly apiKeyDigest?: Uint8Array | undefined
  /** Absent where there are no keys, as on an origin. */
  readonly keys?: KeyReader | undefined
  readonly attempts: Attempts
  /** Its `now` must count from 1970. */
  readonly clock: Pick<Clock, 'now'>
  readonly limits: Pick<Limits, 'credentialLength'>
  /** Verifies what somebody else signed for people who signed in. Absent: nobody signs in. */
  readonly signIn?: CredentialCheck | undefined
  /** Verifies what Cloudflare Access adds to requests of people who signed in. Absent: its header is not read. */
  readonly access?: CredentialCheck | undefined
  /** Verifies tokens that browsers have. Absent: there are none. */
  readonly token?: CredentialCheck | undefined
}

/** What a browser's token begins with. */
const TOKEN_PREFIX = 'verge_bt_'

/** A JSON Web Token in its compact form, signed or not: its first part is an object in base64url. */
const JWT = /^ey[\w-]*\.[\w-]*\.[\w-]*$/

/**
 * Reasons that are no guesses: of credentials that were right once or are right elsewhere, and of tokens of other services,
 * which clients of those send with every request and which cost no look-up.
 */
const NO_GUESSES: readonly string[] = [
  'expired',
  'revoked',
  'replaced',
  'origin',
  'no_rule',
  'other_audience',
  'not_yet_valid',
  'unknown_issuer',
]

/** Finds out who calls by what a request brings: the same for HTTP, calls of Workers and streams. */
export class Credentials {
  readonly #options: CredentialOptions

  constructor(options: CredentialOptions) {
    this.#options = options
  }

  /**
   * The caller of a credential. One that is not accepted makes its caller anonymous, and the caller records that: clients
   * of other services always send a key, even if none is needed. A browser's token is never sent by accident, and refused
   * at once. Where a credential cannot be checked, its caller is refused.
   * @param credential undefined if something was sent that contains no credential
   * @throws unauthorized, rate_limited, store_unavailable, and the reason of the signal
   */
  async callerOf(credential: string | undefined, facts: CallerFacts, context: CallerContext): Promise<Caller> {
    const { credentialLength } = this.#options.limits
    if (credential !== undefined && credential.length > credentialLength) {
      throw new VergeError('unauthorized', `The credential has more than ${credentialLength} characters. Send a key.`, {
        details: { reason: 'too_long' },
      })
    }
    // Digested also where there is no key, so that both cases take the same time.
    if ((await this.#isOperatorKey(credential ?? '')) && credential !== undefined) return { kind: 'operator' }
    if (credential === undefined) return unaccepted()
    if (credential.startsWith(KEY_PREFIX)) return this.#byKey(credential, facts, context)
    const { signIn, token } = this.#options
    if (credential.startsWith(TOKEN_PREFIX)) {
      if (token === undefined) return unaccepted('Browser tokens are not accepted here.')
      return this.#checked(token, credential.slice(TOKEN_PREFIX.length), facts, context)
    }
    return signIn === undefined || !JWT.test(credential)
      ? unaccepted()
      : this.#signedIn(signIn, credential, facts, context)
  }

  /**
   * The caller of a request that brings no other credential, or none that is accepted: whoever Cloudflare Access says that it is.
   * @param assertion the token that Access added; undefined if there is none
   * @param otherwise the caller without it
   * @throws rate_limited, store_unavailable, and the reason of the signal
   */
  async callerOfAccess(
    assertion: string | undefined,
    otherwise: Caller,
    facts: CallerFacts,
    context: CallerContext,
  ): Promise<Caller> {
    const { access } = this.#options
    return access === undefined || assertion === undefined
      ? otherwise
      : this.#signedIn(access, assertion, facts, context)
  }

  /**
   * Whether a caller of a while ago may go on, and with what grant: for what lasts longer than a request. Its key may have been
   * revoked, or allow something else by now.
   * @throws unauthorized, store_unavailable, and the reason of the signal
   */
  async stillCaller(caller: Caller, { signal }: Pick<CallerContext, 'signal'>): Promise<Caller> {
    if (caller.kind !== 'granted') return caller
    if (caller.expiresAt !== undefined && this.#options.clock.now() >= caller.expiresAt * 1000) {
      throw new VergeError('unauthorized', 'The credential has expired. Open a new stream with a valid one.', {
        details: { reason: 'expired' },
      })
    }
    const own = await this.#grantOf(caller.principal, caller.salt, signal)
    const parent = caller.parent && (await this.#grantOf(caller.parent.principal, undefined, signal))
    if (caller.parent?.mints === true && parent?.actions.includes('mint') === false) {
      throw new VergeError('unauthorized', 'The key of the browser token may not mint tokens any more.', {
        details: { reason: 'revoked' },
      })
    }
    return {
      ...caller,
      ...(own && { grant: own }),
      ...(caller.parent && parent && { parent: { ...caller.parent, grant: parent } }),
    }
  }

  /**
   * The grant of a key as it is now; undefined for principals of another kind.
   * @param salt of the secret that was sent; undefined: whichever it was
   * @throws unauthorized
   */
  async #grantOf(
    principal: string,
    salt: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<KeyRecord['grant'] | undefined> {
    const { clock, keys } = this.#options
    const id = keyIdOf(principal)
    if (id === undefined || keys === undefined) return undefined
    const record = await keys.record(id, signal)
    const secret = record?.secrets.find((each) => each.salt === salt)
    const isKnown = record !== null && (salt === undefined || secret !== undefined)
    const fault = isKnown ? keyFault(record, secret?.expiresAt, clock.now()) : UNKNOWN
    if (isKnown && fault === undefined) return record.grant
    throw new VergeError('unauthorized', fault?.why ?? UNKNOWN.why, {
      details: { reason: fault?.reason ?? UNKNOWN.reason },
    })
  }

  /** Digests are compared, so the time taken says nothing about the secret, its length included. */
  async #isOperatorKey(text: string): Promise<boolean> {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
    const { apiKeyDigest } = this.#options
    return apiKeyDigest !== undefined && constantTimeEqual(digest, apiKeyDigest)
  }

  async #byKey(text: string, facts: CallerFacts, { signal }: CallerContext): Promise<Caller> {
    const { attempts, clock, keys } = this.#options
    if (keys === undefined) return unaccepted()
    const parts = parseKey(text)
    // Mistyped: nothing was looked up for it, and it is no guess.
    if (parts === undefined)
      return unaccepted('The key is incomplete or mistyped: its checksum is wrong. Copy the key again.')
    const remembered = keys.remembered(parts.id)
    // A key that is remembered costs no look-up, so its holder is let in however many wrong ones come from the address.
    if (remembered === undefined) await attempts.beforeLookUp(facts.address)
    const record = remembered === undefined ? await keys.record(parts.id, signal) : remembered
    const secret = record === null ? undefined : await findSecret(record, parts.secret)
    if (record === null || secret === undefined) {
      attempts.failed(facts.address)
      return unaccepted(UNKNOWN.why)
    }
    const fault = keyFault(record, secret.expiresAt, clock.now())
    if (fault !== undefined) return unaccepted(fault.why, fault.reason)
    const expiresAt = earlier(record.expiresAt, secret.expiresAt)
    const caller: GrantedCaller = {
      kind: 'granted',
      by: 'key',
      principal: `${KEY_PRINCIPAL}${record.id}`,
      name: record.name,
      grant: record.grant,
      salt: secret.salt,
      ...(expiresAt !== undefined && { expiresAt }),
    }
    const elsewhere = foreignPage(caller, facts)
    return elsewhere === undefined ? caller : unaccepted(elsewhere, 'origin')
  }

  /** Whoever signed in; anonymous, with the reason, if the token is not accepted. */
  async #signedIn(check: CredentialCheck, token: string, facts: CallerFacts, context: CallerContext): Promise<Caller> {
    // Its issuer's keys may have to be fetched.
    await this.#options.attempts.beforeCheck(facts.address)
    try {
      return await this.#checked(check, token, facts, context)
    } catch (error) {
      if (!isVergeError(error, 'unauthorized')) throw error
      const { reason } = error.details ?? {}
      return unaccepted(error.message, typeof reason === 'string' ? reason : undefined)
    }
  }

  /** A credential that another part verifies. @throws what that throws, rate_limited */
  async #checked(check: CredentialCheck, credential: string, facts: CallerFacts, context: CallerContext) {
    try {
      const caller = await check(credential, facts, context)
      const elsewhere = foreignPage(caller, facts)
      if (elsewhere === undefined) return caller
      throw new VergeError('unauthorized', elsewhere, { details: { reason: 'origin' } })
    } catch (error) {
      const isGuess = isVergeError(error, 'unauthorized') && !NO_GUESSES.includes(String(error.details?.reason))
      if (isGuess) this.#options.attempts.failed(facts.address)
      throw error
    }
  }
}

const KEY_PRINCIPAL = 'key:'
const UNKNOWN = { reason: 'unknown', why: 'The key is not known here. Ask the operator for a key.' } as const

/** The id of a principal that is a key. */
function keyIdOf(principal: string): string | undefined {
  return principal.startsWith(KEY_PRINCIPAL) ? principal.slice(KEY_PRINCIPAL.length) : undefined
}

function unaccepted(why?: string, reason?: string): Caller {
  return {
    kind: 'anonymous',
    unaccepted: 'key',
    ...(why !== undefined && { why }),
    ...(reason !== undefined && { reason }),
  }
}

/** What is wrong where a grant names pages, and the request is from none of them. */
function foreignPage({ by, grant }: GrantedCaller, { origin }: CallerFacts): string | undefined {
  if (grant.origins === undefined || (origin !== undefined && grant.origins.includes(origin))) return undefined
  const what = by === 'token' ? 'token' : by === 'key' ? 'key' : 'sign-in'
  return `The ${what} may be used by certain pages only, and the request is from none of them. Use it on its own page.`
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}
