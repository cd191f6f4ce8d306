import { type Aligned, sourceOf } from './aligned.ts'

/** GPT-2's letter for each byte: itself where it can be seen, else one from U+0100 on. */
const LETTERS: readonly string[] = (() => {
  const seen = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(seen(byte) ? byte : next++))
})()

/** The byte of each letter. */
export const BYTES: ReadonlyMap<string, number> = new Map(LETTERS.map((letter, byte) => [letter, byte]))

/** Undefined if a character is no letter for a byte: then the token stands for itself. */
export function lettersToBytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const byte = BYTES.get(text[i] ?? '')
    if (byte === undefined) return undefined
    bytes[i] = byte
  }
  return bytes
}

/** ASCII whose bytes have other letters than themselves. */
const UNSEEN = /[^!-~]/
const ASCII = /^[\0-\x7f]*$/

/** A letter for each byte of a word; all letters of a character stand for it. */
export function toBytes(word: Aligned): Aligned {
  const whole = word.text
  // A letter for each, in its place.
  if (ASCII.test(whole)) return UNSEEN.test(whole) ? { ...word, text: lettersOf(whole) } : word
  // A UTF-16 unit takes at most three bytes.
  const starts = new Uint32Array(3 * whole.length)
  const ends = new Uint32Array(3 * whole.length)
  let letters = ''
  for (let at = 0; at < whole.length; ) {
    const code = whole.codePointAt(at) ?? 0
    const width = code > 0xffff ? 2 : 1
    let length = letters.length
    letters += lettersOfCharacter(code)
    const [start, end] = sourceOf(word, at, at + width)
    for (; length < letters.length; length++) {
      starts[length] = start
      ends[length] = end
    }
    at += width
  }
  return { text: letters, starts, ends, from: 0, lead: 0 }
}

/** Half of a character counts as U+FFFD, as UTF-8 has it. */
function lettersOfCharacter(code: number): string {
  if (code < 0x80) return LETTERS[code] ?? ''
  if (code < 0x800) return `${LETTERS[0xc0 | (code >> 6)]}${LETTERS[0x80 | (code & 0x3f)]}`
  if (code >= 0xd800 && code <= 0xdfff) return lettersOfCharacter(0xfffd)
  const last = `${LETTERS[0x80 | ((code >> 6) & 0x3f)]}${LETTERS[0x80 | (code & 0x3f)]}`
  if (code < 0x10000) return `${LETTERS[0xe0 | (code >> 12)]}${last}`
  return `${LETTERS[0xf0 | (code >> 18)]}${LETTERS[0x80 | ((code >> 12) & 0x3f)]}${last}`
}

function lettersOf(ascii: string): string {
  let letters = ''
  for (let at = 0; at < ascii.length; at++) letters += LETTERS[ascii.charCodeAt(at)]
  return letters
}
