import { JWTClaimValidationFailed, JWTExpired } from 'jose/errors'
import { jwtVerify } from 'jose/jwt/verify'
import { importJWK } from 'jose/key/import'
import { toHex } from '../../core/bytes.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { GrantedCaller } from '../authorize.ts'
import type { CallerContext } from '../credentials.ts'
import { IssuerKeys, type IssuerKeysOptions } from './issuer-keys.ts'
import type { Issuer, SignInHeader } from './issuers.ts'
import type { Algorithm, PublicKey } from './key-set.ts'
import { type Claims, grantOf } from './rules.ts'
import { readUnverified, type TokenRefusal } from './token.ts'

export interface SignInOptions extends IssuerKeysOptions {
  readonly limits: IssuerKeysOptions['limits'] & Pick<Limits, 'signInTokenLength'>
}

type VerifiedClaims = Claims & { readonly exp: number }

interface Accepted {
  readonly issuer: Issuer
  readonly keys: IssuerKeys
  /** Ready for use, by the key that the issuer published. */
  readonly imported: WeakMap<PublicKey, Awaited<ReturnType<typeof importJWK>>>
}

/** The words for each reason, for whoever sent the token. */
const MESSAGES: Readonly<Record<TokenRefusal | 'no_rule', string>> = {
  too_long: 'The sign-in token is too long.',
  malformed: 'The sign-in token is not a signed JWT in its compact form.',
  repeated_name: 'The sign-in token has a name twice in one of its objects.',
  header_not_allowed:
    'The header of the sign-in token has a field that is not accepted. Keys come from the configured issuer alone.',
  type_not_allowed: 'The sign-in token is of a type that is not accepted here.',
  unknown_issuer: 'The issuer of the sign-in token is not accepted here.',
  algorithm_not_allowed: 'The sign-in token is signed with an algorithm that is not accepted here.',
  unknown_key: 'The sign-in token is signed with a key that its issuer does not publish.',
  bad_signature: 'The signature of the sign-in token is wrong.',
  other_audience: 'The sign-in token is for another audience.',
  expired: 'The sign-in token has expired. Sign in again.',
  not_yet_valid: 'The sign-in token is not valid yet.',
  incomplete: 'The sign-in token lacks a claim: "iss", "aud", "exp" and "sub" are needed.',
  no_rule: 'The sign-in is valid, but no rule of this Worker gives its user any rights.',
}

/**
 * Learns who signed in from a token of a configured issuer (JWT, RFC 7519; the advice of RFC 8725). The algorithm is one that
 * the issuer was configured with, and the key one that the issuer published for it: nothing in the token chooses either.
 */
export class SignIn {
  readonly #issuers: ReadonlyMap<string, Accepted>
  readonly #options: SignInOptions

  constructor(issuers: readonly Issuer[], options: SignInOptions) {
    this.#options = options
    this.#issuers = new Map(
      issuers.map((issuer) => [
        issuer.issuer,
        { issuer, keys: new IssuerKeys(issuer, options), imported: new WeakMap() },
      ]),
    )
  }

  /** Whether tokens are accepted in a header at all. */
  reads(header: SignInHeader): boolean {
    return [...this.#issuers.values()].some(({ issuer }) => issuer.header === header)
  }

  /**
   * The caller of a token: granted what the first rule says that its claims meet.
   * @param header that it came in
   * @throws unauthorized with the reason in its details; store_unavailable if the issuer's keys cannot be had; cancelled,
   * deadline_exceeded
   */
  async callerOf(token: string, header: SignInHeader, context: CallerContext): Promise<GrantedCaller> {
    const verified = await this.#verify(token, header, context)
    if (typeof verified === 'string') throw refused(verified)
    const { issuer, claims, subject } = verified
    const grant = grantOf(claims, issuer.grants)
    if (grant === undefined) throw refused('no_rule')
    return {
      kind: 'granted',
      by: 'sign-in',
      principal: `user:${issuer.name}:${await shortDigest(subject)}`,
      name: issuer.name,
      grant,
      expiresAt: claims.exp,
    }
  }

  async #verify(
    token: string,
    header: SignInHeader,
    context: CallerContext,
  ): Promise<{ readonly issuer: Issuer; readonly claims: VerifiedClaims; readonly subject: string } | TokenRefusal> {
    const unverified = readUnverified(token, this.#options.limits.signInTokenLength)
    if (typeof unverified === 'string') return unverified
    const accepted = this.#issuers.get(unverified.issuer)
    if (accepted === undefined || accepted.issuer.header !== header) return 'unknown_issuer'
    const { issuer, keys } = accepted
    const algorithm = issuer.algorithms.find((each) => each === unverified.algorithm)
    if (algorithm === undefined) return 'algorithm_not_allowed'
    const key = await keys.find(unverified.keyId, algorithm, context)
    if (key === undefined) return 'unknown_key'
    const claims = await this.#claims(token, accepted, key, algorithm)
    if (typeof claims === 'string') return claims
    const subject = subjectOf(claims)
    return subject === undefined ? 'incomplete' : { issuer, claims, subject }
  }

  async #claims(
    token: string,
    { issuer, imported }: Accepted,
    key: PublicKey,
    algorithm: Algorithm,
  ): Promise<VerifiedClaims | TokenRefusal> {
    const now = this.#options.clock.now()
    try {
      let ready = imported.get(key)
      if (ready === undefined) {
        ready = await importJWK({ kty: key.kty, ...key.jwk }, algorithm)
        imported.set(key, ready)
      }
      const { payload } = await jwtVerify(token, ready, {
        algorithms: [algorithm],
        issuer: issuer.issuer,
        audience: [...issuer.audience],
        clockTolerance: issuer.clockSkewSeconds,
        currentDate: new Date(now),
        requiredClaims: ['exp'],
      })
      const { exp, iat } = payload
      // A number that no clock reaches is read as infinite.
      if (typeof exp !== 'number' || !Number.isFinite(exp)) return 'incomplete'
      // A token from the future comes from a broken clock, and would live longer than its issuer meant.
      if (iat !== undefined && !(typeof iat === 'number' && iat * 1000 <= now + issuer.clockSkewSeconds * 1000)) {
        return 'not_yet_valid'
      }
      return { ...payload, exp }
    } catch (error) {
      return reasonOf(error)
    }
  }
}

function refused(reason: keyof typeof MESSAGES): VergeError {
  return new VergeError('unauthorized', MESSAGES[reason], { details: { reason } })
}

function reasonOf(error: unknown): TokenRefusal {
  if (error instanceof JWTExpired) return 'expired'
  if (!(error instanceof JWTClaimValidationFailed)) return 'bad_signature'
  if (error.reason !== 'check_failed') return 'incomplete'
  return error.claim === 'nbf' ? 'not_yet_valid' : 'other_audience'
}

/**
 * Whom a token is about. A service token of Cloudflare Access has an empty `sub`, and its client's id in `common_name`.
 */
function subjectOf({ sub, common_name: client }: Claims): string | undefined {
  if (typeof sub === 'string' && sub !== '') return sub
  // No user is called like this.
  return typeof client === 'string' && client !== '' ? `common_name\0${client}` : undefined
}

/** 64 bits tell users of one issuer apart, and do not tell anybody their names. */
async function shortDigest(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return toHex(new Uint8Array(digest).subarray(0, 8))
}
