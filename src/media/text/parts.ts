import { type AddedTokens, addedTokensOf } from './added-tokens.ts'
import { configsOf, isConfig, isTokenId, type TokenizerConfig } from './config.ts'
import { frameOf, type TokenFrame } from './frame.ts'
import { type Normalizer, normalizerOf } from './normalize.ts'
import type { StepCounter, WordModel } from './piece.ts'
import { type PreTokenizer, preTokenizerOf } from './pre-tokenize.ts'
import { type Vocabulary, vocabularyOf } from './vocabulary.ts'
import { wordModelOf } from './words.ts'

/** What a `tokenizer.json` is made of. */
export interface Parts {
  readonly vocabulary: Vocabulary
  readonly added: AddedTokens
  readonly normalizer: Normalizer
  readonly preTokenizer: PreTokenizer
  readonly words: WordModel
  readonly frame: TokenFrame
  readonly padId: number
  readonly unknownId: number | undefined
  readonly continuingPrefix: string
  /** How tokens become text again; undefined where the file does not say. */
  readonly decoder: TokenizerConfig | undefined
  /** Added tokens as they are written, by their numbers. */
  readonly addedTexts: ReadonlyMap<number, string>
  /** Numbers of the added tokens that are for the model alone, and no part of a text. */
  readonly special: ReadonlySet<number>
}

/** Reads the parts of a `tokenizer.json`. @throws Error if it is damaged, or of a kind that is not known */
export function partsOf(file: unknown, counter: StepCounter): Parts {
  if (!isConfig(file)) throw new Error('tokenizer.json is not an object')
  const model = isConfig(file.model) ? file.model : {}
  const vocabulary = vocabularyOf(model)
  const normalizer = normalizerOf(file.normalizer)
  const declared = configsOf(file.added_tokens)
  const added = addedTokensOf(declared, normalizer)
  const addedIds = new Map(declared.map(({ content, id }) => [String(content), Number(id)]))
  const idOf = (token: string): number | undefined => addedIds.get(token) ?? vocabulary.idOf(token)
  return {
    vocabulary,
    normalizer,
    added,
    preTokenizer: preTokenizerOf(file.pre_tokenizer),
    words: wordModelOf(model, vocabulary, counter),
    frame: frameOf(file.post_processor, idOf),
    padId: padIdOf(file, idOf),
    unknownId: unknownIdOf(model, idOf),
    continuingPrefix: typeof model.continuing_subword_prefix === 'string' ? model.continuing_subword_prefix : '',
    decoder: isConfig(file.decoder) ? file.decoder : undefined,
    addedTexts: new Map(declared.map(({ id, content }) => [Number(id), String(content)])),
    special: new Set(declared.flatMap(({ id, special }) => (special === true ? [Number(id)] : []))),
  }
}

function unknownIdOf({ unk_id: id, unk_token: token }: TokenizerConfig, idOf: (token: string) => number | undefined) {
  if (isTokenId(id)) return id
  return typeof token === 'string' ? idOf(token) : undefined
}

function padIdOf(file: TokenizerConfig, idOf: (token: string) => number | undefined): number {
  const declared = isConfig(file.padding) ? file.padding.pad_id : undefined
  if (isTokenId(declared)) return declared
  return idOf('[PAD]') ?? idOf('<pad>') ?? 0
}
