import { crc32 } from '../../core/crc32.ts'

/**
 * The text of a key: `verge_sk_<id>_<secret><checksum>`. The prefix lets scanners find keys that were published by
 * mistake; the checksum refuses mistyped and invented ones before anything is looked up. It is no secret: anyone can
 * compute it.
 */
export const KEY_PREFIX = 'verge_sk_'

/** Crockford's base32, lower case: no "i", "l", "o" and "u". */
const BASE32 = '0123456789abcdefghjkmnpqrstvwxyz'
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** 60 bits: names a record, and is no secret. */
const ID_LENGTH = 12
/** 190 bits. */
const SECRET_LENGTH = 32
/** 62^6 is more than 2^32. */
const CHECKSUM_LENGTH = 6
export const KEY_LENGTH = KEY_PREFIX.length + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH

export const KEY_ID = /^[0-9a-hjkmnp-tv-z]{12}$/
const KEY = /^verge_sk_([0-9a-hjkmnp-tv-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/

/** Fills bytes with what nobody can guess. */
export type RandomBytes = (length: number) => Uint8Array

export interface KeyParts {
  readonly id: string
  readonly secret: string
}

/**
 * A new key, or a new secret for the key with this id.
 * @returns its parts, and the text for whoever is to have it
 */
export function makeKey(
  random: RandomBytes,
  id: string = randomText(BASE32, ID_LENGTH, random),
): KeyParts & { readonly text: string } {
  const secret = randomText(BASE62, SECRET_LENGTH, random)
  const before = `${KEY_PREFIX}${id}_${secret}`
  return { id, secret, text: before + checksumOf(before) }
}

/** The parts of a key; undefined for every text that is none, mistyped ones included. */
export function parseKey(text: string): KeyParts | undefined {
  if (text.length !== KEY_LENGTH) return undefined
  const [, id, secret, checksum] = KEY.exec(text) ?? []
  if (id === undefined || secret === undefined) return undefined
  return checksum === checksumOf(text.slice(0, -CHECKSUM_LENGTH)) ? { id, secret } : undefined
}

function checksumOf(text: string): string {
  let rest = crc32(new TextEncoder().encode(text))
  let digits = ''
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    digits = BASE62.charAt(rest % BASE62.length) + digits
    rest = Math.floor(rest / BASE62.length)
  }
  return digits
}

/** Each character as likely as any other: bytes beyond the last whole multiple of the alphabet are thrown away. */
function randomText(alphabet: string, length: number, random: RandomBytes): string {
  const bound = 256 - (256 % alphabet.length)
  let text = ''
  while (text.length < length) {
    for (const byte of random(length)) {
      if (byte < bound && text.length < length) text += alphabet.charAt(byte % alphabet.length)
    }
  }
  return text
}
