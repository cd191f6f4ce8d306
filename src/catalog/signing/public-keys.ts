import { fromBase64url } from '../../core/base64url.ts'
import { toHex } from '../../core/bytes.ts'

/** A public key of Ed25519 that releases may be signed with. */
export interface ReleaseKey {
  /** The first 16 hexadecimal digits of the SHA-256 of the key's 32 bytes. */
  readonly id: string
  readonly raw: Uint8Array<ArrayBuffer>
}

export const KEY_ID = /^[0-9a-f]{16}$/

/** Every model's signature is looked up among these: one that signs, one that replaces it, and a few to spare. */
const MOST_KEYS = 8
/** Eight keys as JWKs take less. */
const MOST_TEXT = 4_096
const RAW_BYTES = 32
/** What stands before the 32 bytes in a SubjectPublicKeyInfo of Ed25519 (RFC 8410), as `openssl pkey -pubout` writes it. */
const SPKI = '302a300506032b6570032100'
const PEM = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]*)-----END PUBLIC KEY-----/g

const EXPECTED =
  'public keys of Ed25519, each as 43 characters of base64url, as PEM ("BEGIN PUBLIC KEY") or as a JWK, separated by commas or white space'

/** The reason why a text holds no keys, worded to follow the setting's name. */
export class PublicKeyFault extends Error {}

/**
 * Reads public keys in any of the forms that people have them in: base64url of the 32 bytes, PEM, a JWK, a list of JWKs or
 * a JWK set.
 * @throws PublicKeyFault
 */
export function parsePublicKeys(text: string): Uint8Array<ArrayBuffer>[] {
  if (text.length > MOST_TEXT) throw new PublicKeyFault(`must have at most ${MOST_TEXT} characters`)
  const trimmed = text.trim()
  const keys = /^[[{]/.test(trimmed) ? fromJson(trimmed) : fromText(trimmed)
  if (keys.length > MOST_KEYS) throw new PublicKeyFault(`must be at most ${MOST_KEYS} keys`)
  const seen = new Set(keys.map(toHex))
  if (seen.size < keys.length) throw new PublicKeyFault('must have each key once')
  return keys
}

export async function releaseKey(raw: Uint8Array<ArrayBuffer>): Promise<ReleaseKey> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', raw))
  return { id: toHex(digest.subarray(0, 8)), raw }
}

function fromText(text: string): Uint8Array<ArrayBuffer>[] {
  // a file's line ends, as one line of a setting carries them
  const lines = text.replaceAll('\\n', '\n')
  if (lines.includes('PRIVATE KEY')) throw privateKey()
  const keys = [...lines.matchAll(PEM)].map(([, body = '']) => fromSpki(body))
  const rest = lines.replace(PEM, ' ')
  for (const word of rest.split(/[\s,]+/)) if (word !== '') keys.push(rawKey(word))
  return keys
}

function fromJson(text: string): Uint8Array<ArrayBuffer>[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new PublicKeyFault('begins like JSON and cannot be read')
  }
  const set = isObject(value) && Array.isArray(value.keys) ? value.keys : value
  const list: readonly unknown[] = Array.isArray(set) ? set : [set]
  return list.map((each) => {
    if (typeof each === 'string') return rawKey(each)
    if (!isObject(each) || each.kty !== 'OKP' || each.crv !== 'Ed25519' || typeof each.x !== 'string') {
      throw new PublicKeyFault('has a JWK whose "kty" is not "OKP" or whose "crv" is not "Ed25519"')
    }
    if ('d' in each) throw privateKey()
    return rawKey(each.x)
  })
}

function fromSpki(body: string): Uint8Array<ArrayBuffer> {
  const bytes = fromBase64url(
    body
      .replace(/\s+|=+\s*$/g, '')
      .replaceAll('+', '-')
      .replaceAll('/', '_'),
  )
  const prefix = SPKI.length / 2
  if (bytes?.length !== prefix + RAW_BYTES || toHex(bytes.subarray(0, prefix)) !== SPKI) {
    throw new PublicKeyFault('has a PEM block that is not a public key of Ed25519')
  }
  return bytes.slice(prefix)
}

function rawKey(text: string): Uint8Array<ArrayBuffer> {
  const bytes = fromBase64url(text)
  if (bytes?.length !== RAW_BYTES) throw new PublicKeyFault(`must be ${EXPECTED}`)
  return bytes
}

function privateKey(): PublicKeyFault {
  return new PublicKeyFault('holds a private key; take it out, make a new one, and set the public key instead')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
