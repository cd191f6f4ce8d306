import { bytePair } from './byte-pair.ts'
import { ByteTrie } from './compiled/byte-trie.ts'
import { SECTION, type TokenizerImage } from './compiled/format.ts'
import { MergeTable } from './compiled/merge-table.ts'
import { Pieces } from './compiled/pieces.ts'
import type { ModelProgram } from './compiled/program.ts'
import { TextHash } from './compiled/text-hash.ts'
import { TextTable } from './compiled/texts.ts'
import { remembering } from './kept-words.ts'
import type { StepCounter, WordModel } from './piece.ts'
import { unigram } from './unigram.ts'
import { wordPiece } from './word-piece.ts'

export interface Words {
  readonly pieces: Pieces
  readonly model: WordModel
}

/**
 * The model of a tokenizer, as Hugging Face's Rust library defines it, on the sections of an image. Each takes a number of
 * steps that grows with a word's length, and not with its square.
 * @throws Error where a section is missing or damaged
 */
export function wordsOf(image: TokenizerImage, program: ModelProgram, counter: StepCounter): Words {
  const texts = new TextTable(image.bytes(SECTION.pieceBytes), image.int32(SECTION.pieceOffsets))
  switch (program.type) {
    case 'WordPiece': {
      const trie = new ByteTrie(image.int32(SECTION.pieceTrie, 2), texts)
      return { pieces: new Pieces(texts, trie), model: remembering(wordPiece(program, trie, counter)) }
    }
    case 'Unigram': {
      const trie = new ByteTrie(image.int32(SECTION.pieceTrie, 2), texts)
      const pieces = new Pieces(texts, trie)
      const scored = { pieces, trie, scores: image.scores() }
      if (scored.scores.length !== texts.count) throw new Error('a tokenizer image has not a score for each piece')
      return { pieces, model: remembering(unigram(program, scored, counter)) }
    }
    case 'BPE': {
      const pieces = hashed(image, texts)
      const merges = new MergeTable(image.int32(SECTION.merges, 3), image.int32(SECTION.mergeSlots))
      return { pieces, model: bytePair(program, { pieces, merges }, counter) }
    }
    case 'WordLevel': {
      const pieces = hashed(image, texts)
      return { pieces, model: (word) => [{ id: pieces.idOf(word) ?? program.unknown, start: 0, end: word.length }] }
    }
  }
}

function hashed(image: TokenizerImage, texts: TextTable): Pieces {
  return new Pieces(texts, new TextHash(image.int32(SECTION.pieceSlots), texts))
}
