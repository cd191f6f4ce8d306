import type { Piece, WordModel } from './piece.ts'

/**
 * Words that are kept with their pieces, and the length of the longest: what a page of text repeats. V8 copies so short a
 * part of a text; a longer one would keep all of the text.
 */
const KEPT_WORDS = 4_096
const KEPT_LENGTH = 12

/** A model that keeps what it made of the words that a page repeats. */
export function remembering(model: WordModel): WordModel {
  const kept = new Map<string, readonly Piece[]>()
  return (word) => {
    const known = kept.get(word)
    if (known !== undefined) return known
    const pieces = model(word)
    if (word.length <= KEPT_LENGTH) {
      if (kept.size >= KEPT_WORDS) kept.clear()
      kept.set(word, pieces)
    }
    return pieces
  }
}
