import type { Caller } from './authorize.ts'

/**
 * Whether a token is the operator's key. Digests are compared, so the time taken says nothing about the secret, its
 * length included.
 * @param keyDigest SHA-256 of the key; absent where none is set, and then no token is right
 */
async function isOperatorKey(token: string, keyDigest: Uint8Array | undefined): Promise<boolean> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token)))
  return keyDigest !== undefined && equal(digest, keyDigest)
}

/**
 * The caller of a key. An unknown key makes its caller anonymous, and the caller records that. Clients of other
 * services always send a key, even if none is needed. Anonymous callers have no access to private models.
 * @param token undefined if the credential contains no key
 */
export async function callerByKey(token: string | undefined, keyDigest: Uint8Array | undefined): Promise<Caller> {
  // Digested also where there is no key, so that both cases take the same time.
  const known = await isOperatorKey(token ?? '', keyDigest)
  return known && token !== undefined ? { kind: 'operator' } : { kind: 'anonymous', unaccepted: 'key' }
}

/** Takes the same time wherever the first difference lies. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}
