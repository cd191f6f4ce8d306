import { lettersToBytes } from '../../media/text/bytes.ts'
import { bareText } from './required.ts'
import type { Vocabulary } from './vocabulary.ts'

/**
 * What pieces stand for in a text, with one character before: a space where a piece begins a word, else nothing that a text
 * has. Undefined for pieces with parts of characters.
 */
export function plainText({ byteLevel, kind, prefix, suffix }: Vocabulary): (piece: string) => string | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decoded = (piece: string): string | undefined => {
    const bytes = lettersToBytes(piece)
    try {
      return bytes === undefined ? piece : decoder.decode(bytes)
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
