/**
 * Whether a token is the operator's key. Digests are compared, so the time taken says nothing about the secret, its
 * length included.
 * @param keyDigest SHA-256 of the key; absent where none is set, and then no token is right
 */
export async function isOperatorKey(token: string, keyDigest: Uint8Array | undefined): Promise<boolean> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token)))
  return keyDigest !== undefined && equal(digest, keyDigest)
}

/** Takes the same time wherever the first difference lies. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}
