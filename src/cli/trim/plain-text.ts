import { bareText } from './required.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Characters by which byte-level models write bytes, as GPT-2 does. */
export function byteValues(): ReadonlyMap<string, number> {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  const values = new Map<string, number>()
  for (let byte = 0, others = 0; byte < 256; byte++) {
    values.set(String.fromCodePoint(printable(byte) ? byte : 256 + others++), byte)
  }
  return values
}

/**
 * What pieces stand for in a text, with one character before: a space where a piece begins a word, else nothing that a text
 * has. Undefined for pieces with parts of characters.
 */
export function plainText({ byteLevel, kind, prefix, suffix }: Vocabulary): (piece: string) => string | undefined {
  const bytes = byteValues()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decoded = (piece: string): string | undefined => {
    const values = [...piece].map((character) => bytes.get(character))
    try {
      return values.includes(undefined) ? piece : decoder.decode(Uint8Array.from(values as number[]))
    } catch {
      return undefined
    }
  }
  return (piece) => {
    const inside = prefix !== '' && piece.startsWith(prefix)
    const ends = suffix !== '' && piece.endsWith(suffix)
    const bare = bareText(piece, prefix, suffix)
    const text = (byteLevel ? decoded(bare) : bare)?.replaceAll('\u2581', ' ')
    if (text === undefined) return undefined
    const begins = text.startsWith(' ') ? '' : (kind === 'WordPiece' || kind === 'WordLevel') && !inside ? ' ' : '\0'
    return `${begins}${text}${ends ? ' ' : ''}`
  }
}
