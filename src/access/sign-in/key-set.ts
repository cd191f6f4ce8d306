/** A public key as an issuer publishes it (RFC 7517), of a kind that can verify one of `ALGORITHMS`. */
export interface PublicKey {
  readonly kid: string | undefined
  readonly kty: 'RSA' | 'EC' | 'OKP'
  readonly alg: string | undefined
  readonly crv: string | undefined
  /** The members that make the key, and nothing else. */
  readonly jwk: Readonly<Record<string, string>>
}

/** What the keys of each algorithm are. None of them is symmetric: whoever verifies could forge those. */
export const ALGORITHMS = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
} as const satisfies Record<string, { readonly kty: PublicKey['kty']; readonly crv?: string }>

export type Algorithm = keyof typeof ALGORITHMS

/** Members of each kind of key. */
const MEMBERS = { RSA: ['n', 'e'], EC: ['crv', 'x', 'y'], OKP: ['crv', 'x'] } as const

/** Keys of an issuer: two or three while it replaces one, a few dozen for issuers that many tenants share. */
const MOST_KEYS = 100

/**
 * Keys in an issuer's answer. Keys for other uses and of other kinds are left out, as RFC 7517 asks; so is a private or a
 * symmetric key, which has no business in a public place.
 * @returns undefined if the text is no key set, or has no key that can be used
 */
export function parseKeySet(text: string): readonly PublicKey[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const entries = isObject(value) && Array.isArray(value.keys) ? (value.keys as unknown[]) : []
  if (entries.length > MOST_KEYS) return undefined
  const keys = entries.flatMap((entry) => publicKey(entry) ?? [])
  return keys.length === 0 ? undefined : keys
}

/** The key set as text that `parseKeySet` reads again. */
export function writeKeySet(keys: readonly PublicKey[]): string {
  return JSON.stringify({ keys: keys.map(({ kid, kty, alg, jwk }) => ({ kid, kty, alg, ...jwk })) })
}

/**
 * The key that verifies a token: the one of its name and kind. A token that names none is verified by the only key of its
 * kind. Undefined where there is no such key, or more than one.
 */
export function keyFor(
  keys: readonly PublicKey[],
  keyId: string | undefined,
  algorithm: Algorithm,
): PublicKey | undefined {
  const suited = keys.filter((key) => isOf(key, algorithm) && (keyId === undefined || key.kid === keyId))
  return suited.length === 1 ? suited[0] : undefined
}

/** Whether a key verifies signatures of an algorithm. */
export function isOf({ alg, crv, kty }: PublicKey, algorithm: Algorithm): boolean {
  const wanted: { readonly kty: string; readonly crv?: string } = ALGORITHMS[algorithm]
  return (
    kty === wanted.kty && (wanted.crv === undefined || crv === wanted.crv) && (alg === undefined || alg === algorithm)
  )
}

function publicKey(entry: unknown): PublicKey | undefined {
  if (!isObject(entry)) return undefined
  const { kty, use, key_ops: operations } = entry
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined
  if (Object.hasOwn(entry, 'd')) return undefined
  if (use !== undefined && use !== 'sig') return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined
  const jwk: Record<string, string> = {}
  for (const name of MEMBERS[kty]) {
    const member = entry[name]
    if (typeof member !== 'string') return undefined
    jwk[name] = member
  }
  return { kid: textOf(entry.kid), kty, alg: textOf(entry.alg), crv: jwk.crv, jwk }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
