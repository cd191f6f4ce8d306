import { Tokenizer } from '@huggingface/tokenizers'
import { type AddedTokens, addedTokensOf } from './added-tokens.ts'
import { type Config, configsOf, isConfig, isTokenId } from './config.ts'
import { type Frame, frameOf } from './frame.ts'
import { type Normaliser, normaliserOf } from './normalise.ts'
import { type PreTokeniser, preTokeniserOf } from './pre-tokenise.ts'
import { type WordModel, wordModelOf } from './words.ts'

/** What a `tokenizer.json` is made of. */
export interface Parts {
  readonly library: Tokenizer
  readonly added: AddedTokens
  readonly normaliser: Normaliser
  readonly preTokeniser: PreTokeniser
  readonly words: WordModel
  readonly frame: Frame
  readonly padId: number
  readonly unknownId: number | undefined
  readonly continuingPrefix: string
  /** How tokens become text again; undefined where the file does not say. */
  readonly decoder: Config | undefined
  /** Added tokens as they are written, by their numbers. */
  readonly addedTexts: ReadonlyMap<number, string>
  /** Numbers of the added tokens that are for the model alone, and no part of a text. */
  readonly special: ReadonlySet<number>
}

/** Reads the parts of a `tokenizer.json`. @throws Error if it is damaged, or of a kind that is not known */
export function partsOf(file: unknown): Parts {
  if (!isConfig(file)) throw new Error('tokenizer.json is no object')
  const library = new Tokenizer(file, {})
  // The library takes a vocabulary of any type, and then knows no token.
  if (library.get_vocab().size === 0) throw new Error('the vocabulary is empty')
  for (const [token, id] of library.model?.tokens_to_ids ?? []) {
    if (!isTokenId(id)) throw new Error(`the vocabulary has no number for ${JSON.stringify(token).slice(0, 80)}`)
  }
  const model = isConfig(file.model) ? file.model : {}
  const normaliser = normaliserOf(file.normalizer)
  const idOf = (token: string): number | undefined => library.token_to_id(token)
  const declared = configsOf(file.added_tokens)
  return {
    library,
    normaliser,
    added: addedTokensOf(file.added_tokens, normaliser),
    preTokeniser: preTokeniserOf(file.pre_tokenizer),
    words: wordModelOf(library.model, model),
    frame: frameOf(file.post_processor, idOf),
    padId: padIdOf(file, idOf),
    unknownId: unknownIdOf(library, model),
    continuingPrefix: typeof model.continuing_subword_prefix === 'string' ? model.continuing_subword_prefix : '',
    decoder: isConfig(file.decoder) ? file.decoder : undefined,
    addedTexts: new Map(declared.map(({ id, content }) => [Number(id), String(content)])),
    special: new Set(declared.flatMap(({ id, special }) => (special === true ? [Number(id)] : []))),
  }
}

function unknownIdOf({ model }: Tokenizer, config: Config): number | undefined {
  const named = typeof config.unk_token === 'string' ? model?.tokens_to_ids.get(config.unk_token) : undefined
  const id = model?.unk_token_id ?? named
  if (id !== undefined && !isTokenId(id)) throw new Error('the token for the unknown has no number')
  return id
}

function padIdOf(file: Config, idOf: (token: string) => number | undefined): number {
  const declared = isConfig(file.padding) ? file.padding.pad_id : undefined
  if (isTokenId(declared)) return declared
  const added = configsOf(file.added_tokens).find(({ content }) => content === '[PAD]' || content === '<pad>')
  return isTokenId(added?.id) ? added.id : (idOf('[PAD]') ?? idOf('<pad>') ?? 0)
}
