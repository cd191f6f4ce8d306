import { Tokenizer } from '@huggingface/tokenizers'
import { VergeError } from '../../core/errors.ts'

export interface EncodedText {
  readonly ids: readonly number[]
  readonly typeIds: readonly number[]
}

/** What of tokenizer.json is read here; the library reads the rest. */
interface TokenizerFile {
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[]
  readonly padding?: { readonly pad_id?: number } | null
}

/** Texts to token ids by a Hugging Face `tokenizer.json`. */
export class TextTokenizer {
  readonly #tokenizer: Tokenizer
  /** Stands for "no token" where a batch is padded. */
  readonly padId: number

  private constructor(tokenizer: Tokenizer, padId: number) {
    this.#tokenizer = tokenizer
    this.padId = padId
  }

  /** @throws manifest_invalid if the bytes are not a tokeniser that the library knows */
  static parse(bytes: Uint8Array): TextTokenizer {
    try {
      const file = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as TokenizerFile
      const tokenizer = new Tokenizer(file, {})
      // Some faults show only when a text comes.
      tokenizer.encode('a')
      return new TextTokenizer(tokenizer, padIdOf(file, tokenizer))
    } catch (cause) {
      throw new VergeError(
        'manifest_invalid',
        "The model's tokenizer.json cannot be used. Its operator has to push the model again with a working one.",
        { cause },
      )
    }
  }

  /**
   * Token ids with the special tokens that the tokeniser puts around a text.
   * @param maxTokens longer texts are cut to so many, special tokens included and kept
   */
  encode(text: string, maxTokens = Number.POSITIVE_INFINITY): EncodedText {
    const { ids, token_type_ids: typeIds } = this.#tokenizer.encode(text, { return_token_type_ids: true })
    const full = { ids, typeIds: typeIds ?? ids.map(() => 0) }
    if (ids.length <= maxTokens) return full
    const around = this.#specialTokens(text, ids)
    const kept = Math.max(0, maxTokens - around.before - around.after)
    const cut = (values: readonly number[]): number[] => [
      ...values.slice(0, around.before + kept),
      ...values.slice(values.length - around.after),
    ]
    return { ids: cut(full.ids), typeIds: cut(full.typeIds) }
  }

  /** How many special tokens stand before and after a text: the post-processor says so only by what it adds. */
  #specialTokens(text: string, ids: readonly number[]): { before: number; after: number } {
    const bare = this.#tokenizer.encode(text, { add_special_tokens: false }).ids
    const added = ids.length - bare.length
    for (let before = 0; before <= added; before++) {
      if (bare.every((id, i) => id === ids[before + i])) return { before, after: added - before }
    }
    return { before: 0, after: 0 }
  }
}

function padIdOf(file: TokenizerFile, tokenizer: Tokenizer): number {
  const declared = file.padding?.pad_id
  if (declared !== undefined) return declared
  const added = file.added_tokens?.find(({ content }) => content === '[PAD]' || content === '<pad>')
  return added?.id ?? tokenizer.token_to_id('[PAD]') ?? tokenizer.token_to_id('<pad>') ?? 0
}
