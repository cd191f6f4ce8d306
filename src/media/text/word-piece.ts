import { type ByteTrie, TRIE_ROOT } from './compiled/byte-trie.ts'
import type { ModelProgram } from './compiled/program.ts'
import type { Piece, StepCounter, WordModel } from './piece.ts'
import { Utf8Text } from './utf8-text.ts'

/**
 * BERT's WordPiece: from left to right the longest piece of the vocabulary; a word with a part that is in none is the
 * unknown token as a whole, as is one that is too long. A walk in a trie finds the longest piece in as many steps as it
 * has characters; trying every shorter end would take the square of the word's length.
 */
export function wordPiece(
  { mostCharacters, prefix, unknown: unknownId }: ModelProgram & { type: 'WordPiece' },
  trie: ByteTrie,
  counter: StepCounter,
): WordModel {
  const text = new Utf8Text()
  text.read(prefix)
  const inside = trie.placeOf(text.bytes, text.length)
  return (word) => {
    const unknown = [{ id: unknownId, start: 0, end: word.length }]
    if (longerThan(word, mostCharacters)) return unknown
    text.read(word)
    const { bytes, length, places } = text
    const pieces: Piece[] = []
    for (let start = 0; start < length; ) {
      const from = start === 0 ? TRIE_ROOT : inside
      if (from === undefined) return unknown
      counter.steps += trie.longest(bytes, start, length, from)
      if (trie.found === -1) return unknown
      pieces.push({ id: trie.found, start: places[start] ?? 0, end: places[trie.end] ?? 0 })
      start = trie.end
    }
    return pieces
  }
}

function longerThan(word: string, characters: number): boolean {
  if (word.length <= characters) return false
  let count = 0
  for (const _ of word) if (++count > characters) return true
  return false
}
