import type { TokenCounts } from './corpus.ts'
import { type Evidence, evidenceFor } from './evidence.ts'
import { alphabetOf, piecesOf } from './languages.ts'
import type { Vocabulary } from './vocabulary.ts'

export interface Wishes {
  /** Codes of languages; empty where none are asked for. */
  readonly languages: readonly string[]
  readonly corpus: TokenCounts | undefined
  /** Whether there may be no room for all, so that their order counts. */
  readonly bounded: boolean
}

/**
 * How much evidence of a piece's language counts beside the logarithm of its frequency. Chosen by the shares of tokens that
 * 65,000 of 262,144 pieces cover in texts of six languages (docs/quantize.md).
 */
const EVIDENCE = 0.2

/**
 * The pieces that are asked for, the most important first: those of the corpus by their counts, then those of the languages
 * by how often the tokenizer met them in training, as its scores (Unigram) or the order of its numbers say, and by evidence of
 * their language. Without either, all pieces.
 */
export async function wantedIds(vocabulary: Vocabulary, { bounded, corpus, languages }: Wishes): Promise<number[]> {
  const { texts } = vocabulary
  const alphabet = languages.length > 0 ? alphabetOf(languages) : undefined
  const isOwn = alphabet ? piecesOf(alphabet, vocabulary) : () => corpus === undefined
  const ids = texts.flatMap((text, id) => (text !== undefined && (corpus?.has(id) === true || isOwn(text)) ? [id] : []))
  const evidence = alphabet && bounded ? await evidenceFor(languages, alphabet, vocabulary) : undefined
  const ranks = new Map(ids.map((id) => [id, rankOf(vocabulary, id, evidence)] as const))
  const [countOf, placeOf] = [(id: number) => corpus?.get(id) ?? 0, (id: number) => ranks.get(id) ?? 0]
  return ids.sort((a, b) => countOf(b) - countOf(a) || placeOf(a) - placeOf(b) || a - b)
}

/** Smaller for more important pieces: about the negative logarithm of a frequency, which falls with the number (Zipf). */
function rankOf({ kind, scores, texts }: Vocabulary, id: number, evidence: Evidence | undefined): number {
  const prior = kind === 'Unigram' ? -(scores[id] ?? 0) : Math.log(id + 1)
  return evidence === undefined ? prior : prior - EVIDENCE * evidence(texts[id] ?? '')
}
