import type { TokenizerConfig } from './config.ts'
import type { Piece, StepCounter, WordModel } from './piece.ts'
import { splitsCharacter, Trie } from './trie.ts'
import type { Vocabulary } from './vocabulary.ts'

/** As the Rust library has it where a file does not say. */
const MOST_CHARACTERS = 100

/**
 * BERT's WordPiece: from left to right the longest piece of the vocabulary; a word with a part that is in none is the
 * unknown token as a whole, as is one that is too long. A walk in a trie finds the longest piece in as many steps as it
 * has characters; trying every shorter end would take the square of the word's length.
 */
export function wordPiece(config: TokenizerConfig, vocabulary: Vocabulary, counter: StepCounter): WordModel {
  const { max_input_chars_per_word: most = MOST_CHARACTERS, continuing_subword_prefix: prefix = '##' } = config
  if (typeof most !== 'number' || typeof prefix !== 'string') {
    throw new Error('a WordPiece model has a limit or a prefix of the wrong type')
  }
  const trie = new Trie()
  for (const [text, id] of vocabulary.entries) trie.add(text, id)
  const inside = trie.nodeOf(prefix)
  const unknownId = typeof config.unk_token === 'string' ? vocabulary.idOf(config.unk_token) : undefined
  return (word) => {
    const unknown = [{ id: unknownId, start: 0, end: word.length }]
    if (longerThan(word, most)) return unknown
    const pieces: Piece[] = []
    for (let start = 0; start < word.length; ) {
      let [id, end] = [-1, start]
      let node = start === 0 ? Trie.ROOT : inside
      for (let at = start; at < word.length && node !== -1; ) {
        counter.steps++
        node = trie.step(node, word.charCodeAt(at++))
        if (node === -1) break
        const found = trie.valueAt(node)
        if (found !== -1 && !splitsCharacter(word, at)) [id, end] = [found, at]
      }
      if (id === -1) return unknown
      pieces.push({ id, start, end })
      start = end
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
