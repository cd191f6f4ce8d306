import { type Aligned, sourceOf } from './aligned.ts'

/** GPT-2's letter for each byte: itself where it can be seen, else one from U+0100 on. */
export const LETTERS: readonly string[] = (() => {
  const seen = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(seen(byte) ? byte : next++))
})()

const utf8 = new TextEncoder()

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
    if (code < 0x80) letters += LETTERS[code]
    else for (const byte of utf8.encode(whole.slice(at, at + width))) letters += LETTERS[byte]
    const [start, end] = sourceOf(word, at, at + width)
    for (; length < letters.length; length++) {
      starts[length] = start
      ends[length] = end
    }
    at += width
  }
  return { text: letters, starts, ends, from: 0, lead: 0 }
}

function lettersOf(ascii: string): string {
  let letters = ''
  for (let at = 0; at < ascii.length; at++) letters += LETTERS[ascii.charCodeAt(at)]
  return letters
}
