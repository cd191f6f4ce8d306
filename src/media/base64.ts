const SPACE = 64
const PADDING = 65
const OTHER = 255

/** By character: its six bits, or what else it is. */
const VALUES = new Uint8Array(128).fill(OTHER)
for (const [i, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'].entries()) {
  VALUES[character.charCodeAt(0)] = i
}
for (const [characters, value] of [
  ['+-', 62],
  ['/_', 63],
  ['=', PADDING],
  [' \t\n\f\r', SPACE],
] as const) {
  for (const character of characters) VALUES[character.charCodeAt(0)] = value
}

/**
 * Bytes of base64 text, standard or URL-safe, padded or not, with or without line breaks, as the web's `atob` takes it;
 * undefined if it is none. One pass and one allocation: texts come in megabytes.
 */
export function bytesFromBase64(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let at = 0
  let bits = 0
  let digits = 0
  let padding = 0
  for (let i = 0; i < text.length; i++) {
    const value = VALUES[text.charCodeAt(i)] ?? OTHER
    if (value < SPACE) {
      if (padding > 0) return undefined
      bits = (bits << 6) | value
      if ((++digits & 3) === 0) {
        bytes[at] = bits >> 16
        bytes[at + 1] = bits >> 8
        bytes[at + 2] = bits
        at += 3
        bits = 0
      }
    } else if (value === PADDING) padding++
    else if (value === OTHER) return undefined
  }
  const left = digits & 3
  if (left === 1 || padding > 2 || (padding > 0 && left + padding !== 4)) return undefined
  if (left === 2) bytes[at++] = bits >> 4
  if (left === 3) {
    bytes[at++] = bits >> 10
    bytes[at++] = bits >> 2
  }
  return bytes.subarray(0, at)
}

const DIGITS = Uint8Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', (digit) =>
  digit.charCodeAt(0),
)
const PAD = 0x3d

/** Standard base64 with padding. One pass, because pictures come in megabytes. */
export function base64FromBytes(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4)
  let to = 0
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    text[to++] = DIGITS[bits >> 18] ?? 0
    text[to++] = DIGITS[(bits >> 12) & 63] ?? 0
    text[to++] = at + 1 < bytes.length ? (DIGITS[(bits >> 6) & 63] ?? 0) : PAD
    text[to++] = at + 2 < bytes.length ? (DIGITS[bits & 63] ?? 0) : PAD
  }
  return new TextDecoder().decode(text)
}
