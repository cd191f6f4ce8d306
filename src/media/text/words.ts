import { bytePair, looksLikeBytePair } from './byte-pair.ts'
import type { TokenizerConfig } from './config.ts'
import type { StepCounter, WordModel } from './piece.ts'
import { unigram } from './unigram.ts'
import type { Vocabulary } from './vocabulary.ts'
import { wordPiece } from './word-piece.ts'

/**
 * The model of a `tokenizer.json`, as Hugging Face's Rust library defines it. Each takes a number of steps that grows
 * with a word's length, and not with its square.
 * @throws Error for a kind that is not known, or a damaged one
 */
export function wordModelOf(config: TokenizerConfig, vocabulary: Vocabulary, counter: StepCounter): WordModel {
  const type = config.type ?? inferredType(config)
  switch (type) {
    case 'WordPiece':
      return wordPiece(config, vocabulary, counter)
    case 'BPE':
      return bytePair(config, vocabulary, counter)
    case 'Unigram':
      return unigram(config, vocabulary, counter)
    case 'WordLevel': {
      const unknown = typeof config.unk_token === 'string' ? vocabulary.idOf(config.unk_token) : undefined
      return (word) => [{ id: vocabulary.idOf(word) ?? unknown, start: 0, end: word.length }]
    }
    default:
      throw new Error(`Unknown model type: ${String(type)}`)
  }
}

/** Old files leave the type out. */
function inferredType(config: TokenizerConfig): string {
  if (Array.isArray(config.vocab)) return 'Unigram'
  if (looksLikeBytePair(config)) return 'BPE'
  return config.continuing_subword_prefix === undefined ? 'WordLevel' : 'WordPiece'
}
