/** Says what the derived bytes are for: other uses of the same secret have other bytes. */
const LABEL = 'verge browser tokens 1'
const BITS = 256

/**
 * What the Worker signs its own tokens with: `TOKEN_SECRET`, or the operator's key where that is not set, each by way of HKDF
 * (RFC 5869), so that the bytes are as long as HS256 wants them and say nothing about the secret.
 */
export async function tokenKey(secret: string): Promise<Uint8Array<ArrayBuffer>> {
  const material = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), 'HKDF', false, ['deriveBits'])
  const options = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: new TextEncoder().encode(LABEL) }
  return new Uint8Array(await crypto.subtle.deriveBits(options, material, BITS))
}
