import type { TokenCounts } from './corpus.ts'
import { alphabetOf, piecesOf } from './languages.ts'
import type { Vocabulary } from './vocabulary.ts'

export interface Wishes {
  /** Codes of languages; empty where none are asked for. */
  readonly languages: readonly string[]
  readonly corpus: TokenCounts | undefined
}

/**
 * The pieces that are asked for, the most important first: those of the corpus by their counts, then those of the languages
 * by the tokenizer's own order, which is that of how often it met them in training: the scores of a Unigram model, the
 * numbers of others. Without either, all pieces.
 */
export function wantedIds(vocabulary: Vocabulary, { corpus, languages }: Wishes): number[] {
  const { kind, scores, texts } = vocabulary
  const isOwn = languages.length > 0 ? piecesOf(alphabetOf(languages), vocabulary) : () => corpus === undefined
  const ids = texts.flatMap((text, id) => (text !== undefined && (corpus?.has(id) === true || isOwn(text)) ? [id] : []))
  const priorOf = (id: number): number => (kind === 'Unigram' ? -(scores[id] ?? 0) : id)
  const countOf = (id: number): number => corpus?.get(id) ?? 0
  return ids.sort((a, b) => countOf(b) - countOf(a) || priorOf(a) - priorOf(b) || a - b)
}
