import { type Aligned, sourceOf } from './aligned.ts'

/** GPT-2's letter for each byte: itself where it can be seen, else one from U+0100 on. */
export const LETTERS: readonly string[] = (() => {
  const seen = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(seen(byte) ? byte : next++))
})()

const utf8 = new TextEncoder()

/** A letter for each byte of a word; all letters of a character stand for it. */
export function toBytes(word: Aligned): Aligned {
  // A UTF-16 unit takes at most three bytes.
  const starts = new Uint32Array(3 * word.text.length)
  const ends = new Uint32Array(3 * word.text.length)
  let letters = ''
  for (let at = 0; at < word.text.length; ) {
    const code = word.text.codePointAt(at) ?? 0
    const width = code > 0xffff ? 2 : 1
    const from = letters.length
    if (code < 0x80) letters += LETTERS[code]
    else for (const byte of utf8.encode(word.text.slice(at, at + width))) letters += LETTERS[byte]
    const [start, end] = sourceOf(word, at, at + width)
    starts.fill(start, from, letters.length)
    ends.fill(end, from, letters.length)
    at += width
  }
  return { text: letters, starts, ends, from: 0 }
}
