const BITS = new Int8Array(256).fill(-1)
for (const [i, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) {
  BITS[character.charCodeAt(0)] = i
}

/** Length of the base64 text of so many bytes, with its padding. */
export function base64Length(bytes: number): number {
  return 4 * Math.ceil(bytes / 3)
}

/**
 * Bytes of a standard base64 text with padding, as Verge writes it; undefined if the text is any other.
 * @param length of the bytes: `text` has `base64Length(length)` characters
 */
export function bytesOfBase64(text: string, length: number): Uint8Array<ArrayBuffer> | undefined {
  const whole = length - (length % 3)
  const bytes = new Uint8Array(length)
  let seen = 0
  // of all codes: one above 255 is no character of base64
  let codes = 0
  let at = 0
  for (let i = 0; at < whole; i += 4, at += 3) {
    const a = text.charCodeAt(i)
    const b = text.charCodeAt(i + 1)
    const c = text.charCodeAt(i + 2)
    const d = text.charCodeAt(i + 3)
    codes |= a | b | c | d
    const bits = (bitsOf(a) << 18) | (bitsOf(b) << 12) | (bitsOf(c) << 6) | bitsOf(d)
    seen |= bits
    bytes[at] = bits >> 16
    bytes[at + 1] = bits >> 8
    bytes[at + 2] = bits
  }
  if (seen < 0 || codes > 255) return undefined
  return at === length || endsWell(text, bytes, at) ? bytes : undefined
}

/** Of a character code below 256; negative where it is not of the alphabet. */
function bitsOf(code: number): number {
  return BITS[code & 255] as number
}

/** Reads the last one or two bytes. Bits that belong to no byte are 0, so that a page has one text. */
function endsWell(text: string, bytes: Uint8Array, at: number): boolean {
  const end = text.slice(text.length - 4)
  const two = bytes.length - at === 2
  const digits = [...end.slice(0, two ? 3 : 2)].map((character) =>
    character.charCodeAt(0) > 255 ? -1 : bitsOf(character.charCodeAt(0)),
  )
  if (end.slice(digits.length) !== (two ? '=' : '==') || digits.some((value) => value < 0)) return false
  const bits = digits.reduce((sum, value) => (sum << 6) | value, 0)
  if (two) {
    bytes[at] = bits >> 10
    bytes[at + 1] = bits >> 2
    return (bits & 3) === 0
  }
  bytes[at] = bits >> 4
  return (bits & 15) === 0
}
