import { modelTypeOf } from '../../media/text/compiled/compile-model.ts'
import { configsOf, isConfig, isTokenId, type TokenizerConfig } from '../../media/text/config.ts'
import { UsageError } from '../terminal/command-line.ts'

const KINDS = ['WordPiece', 'BPE', 'Unigram', 'WordLevel'] as const
export type VocabularyKind = (typeof KINDS)[number]

/** A `tokenizer.json` with what trimming looks at. */
export interface Vocabulary {
  readonly file: TokenizerConfig
  readonly model: TokenizerConfig
  readonly kind: VocabularyKind
  /** Texts of the model's pieces by number; undefined for numbers without a piece. */
  readonly texts: readonly (string | undefined)[]
  readonly idOf: ReadonlyMap<string, number>
  /** Of the pieces of a Unigram model. */
  readonly scores: readonly number[]
  /** Two pieces for each merge of a BPE model, and the piece that they make, in order of rank. */
  readonly merges: readonly Merge[]
  /** Numbers and texts of added tokens. */
  readonly added: ReadonlyMap<number, string>
  /** Whether pieces are written in the 256 characters that stand for bytes. */
  readonly byteLevel: boolean
  /** What pieces inside of a word begin with, and what pieces at the end of a word end with. */
  readonly prefix: string
  readonly suffix: string
}

export interface Merge {
  readonly left: number
  readonly right: number
  readonly whole: number
}

/**
 * Reads a `tokenizer.json` that Verge can compile.
 * @throws UsageError where its model is of no known kind
 */
export function readVocabulary(file: unknown): Vocabulary {
  const model = isConfig(file) && isConfig(file.model) ? file.model : undefined
  const type = model && modelTypeOf(model)
  const kind = KINDS.find((known) => known === type)
  if (!isConfig(file) || model === undefined || kind === undefined) {
    throw new UsageError(
      'The vocabulary of this tokenizer.json cannot be trimmed, because its model is not WordPiece, BPE, Unigram or WordLevel. Remove the options that trim the vocabulary.',
    )
  }
  const texts = textsOf(model.vocab)
  const idOf = new Map(texts.flatMap((text, id) => (text === undefined ? [] : [[text, id] as const])))
  const { continuing_subword_prefix: given = kind === 'WordPiece' ? '##' : '' } = model
  const prefix = typeof given === 'string' ? given : ''
  return {
    file,
    model,
    kind,
    texts,
    idOf,
    scores:
      kind === 'Unigram' && Array.isArray(model.vocab) ? model.vocab.map((entry: [string, number]) => entry[1]) : [],
    merges: kind === 'BPE' ? mergesOf(model, idOf, prefix.length) : [],
    added: new Map(
      configsOf(file.added_tokens).flatMap(({ content, id }) =>
        isTokenId(id) ? [[id, String(content)] as const] : [],
      ),
    ),
    byteLevel: [file.pre_tokenizer, file.normalizer].some(hasByteLevel),
    prefix,
    suffix: typeof model.end_of_word_suffix === 'string' ? model.end_of_word_suffix : '',
  }
}

/** The two pieces of a merge as the file has them: `"a b"`, or `["a", "b"]`. */
function partsOfMerge(merge: unknown): readonly [string, string] {
  const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge
  const [left, right] = Array.isArray(pair) ? (pair as unknown[]) : []
  return [String(left), String(right)]
}

function textsOf(vocab: unknown): (string | undefined)[] {
  if (Array.isArray(vocab)) return vocab.map((entry: unknown) => String(Array.isArray(entry) ? entry[0] : entry))
  const texts: (string | undefined)[] = []
  for (const [text, id] of Object.entries(isConfig(vocab) ? vocab : {})) if (isTokenId(id)) texts[id] = text
  // Holes are places with nothing, which `map` and `forEach` would leave out.
  return Array.from(texts)
}

function mergesOf({ merges }: TokenizerConfig, idOf: ReadonlyMap<string, number>, cut: number): Merge[] {
  return (Array.isArray(merges) ? merges : []).map((merge: unknown) => {
    const [left, right] = partsOfMerge(merge)
    const [first, second, whole] = [left, right, left + right.slice(cut)].map((text) => idOf.get(text) ?? -1)
    return { left: first ?? -1, right: second ?? -1, whole: whole ?? -1 }
  })
}

function hasByteLevel(step: unknown): boolean {
  if (Array.isArray(step)) return step.some(hasByteLevel)
  if (!isConfig(step)) return false
  return step.type === 'ByteLevel' || Object.values(step).some(hasByteLevel)
}
