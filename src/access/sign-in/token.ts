import { fromBase64url } from '../../core/base64url.ts'
import { decodeUtf8 } from '../../core/json.ts'
import { repeatsName } from '../../core/json-names.ts'

/** A signed token (JWS, RFC 7515) whose signature nobody has verified yet. */
export interface UnverifiedToken {
  readonly algorithm: string
  /** Name of the key that signed it. */
  readonly keyId: string | undefined
  readonly issuer: string
}

/** Why a token is refused. `MESSAGES` in `sign-in.ts` has the words for each. */
export type TokenRefusal =
  | 'too_long'
  | 'malformed'
  | 'repeated_name'
  | 'header_not_allowed'
  | 'type_not_allowed'
  | 'unknown_issuer'
  | 'algorithm_not_allowed'
  | 'unknown_key'
  | 'bad_signature'
  | 'other_audience'
  | 'expired'
  | 'not_yet_valid'
  | 'incomplete'

/** Three parts of base64url without padding: a JWS in its compact form. Five would be an encrypted token. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/

/**
 * Header parameters that would bring the token's own key (`jwk`, `x5c`) or say where to fetch it (`jku`, `x5u`), and those
 * that change how it is read (`crit`, `b64`, `zip`). Keys come from the configured address alone.
 */
const REFUSED_PARAMETERS = ['jwk', 'jku', 'x5c', 'x5u', 'crit', 'b64', 'zip', 'enc', 'epk'] as const

/** What a token of a sign-in calls itself (RFC 7519, RFC 9068). A token for another use says so here (RFC 8725, 3.11). */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt'])

const MOST_KEY_ID = 256

/**
 * Reads of a token what says how to verify it. Pure.
 * @param mostLength of the token, in characters
 */
export function readUnverified(token: string, mostLength: number): UnverifiedToken | TokenRefusal {
  if (token.length > mostLength) return 'too_long'
  if (!COMPACT.test(token)) return 'malformed'
  const [headerPart = '', claimsPart = ''] = token.split('.')
  const header = objectIn(headerPart)
  if (typeof header === 'string') return header
  const claims = objectIn(claimsPart)
  if (typeof claims === 'string') return claims
  if (REFUSED_PARAMETERS.some((name) => Object.hasOwn(header, name))) return 'header_not_allowed'
  const { alg, kid, typ, cty } = header
  // A token inside of a token.
  if (cty !== undefined) return 'type_not_allowed'
  if (typ !== undefined && !(typeof typ === 'string' && TYPES.has(typ.toLowerCase()))) return 'type_not_allowed'
  if (typeof alg !== 'string') return 'malformed'
  if (kid !== undefined && !(typeof kid === 'string' && kid.length <= MOST_KEY_ID)) return 'malformed'
  if (typeof claims.iss !== 'string') return 'incomplete'
  return { algorithm: alg, keyId: kid, issuer: claims.iss }
}

function objectIn(part: string): Readonly<Record<string, unknown>> | 'malformed' | 'repeated_name' {
  const text = decodeUtf8(bytesOf(part))
  if (text === undefined) return 'malformed'
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'malformed'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'malformed'
  return repeatsName(text) ? 'repeated_name' : (value as Record<string, unknown>)
}

/** @param part whose characters were checked; what is no base64url for another reason gives no bytes */
function bytesOf(part: string): Uint8Array {
  return fromBase64url(part) ?? new Uint8Array(0)
}
