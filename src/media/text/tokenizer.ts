import { Tokenizer } from '@huggingface/tokenizers'
import { VergeError } from '../../core/errors.ts'
import { decodeUtf8 } from '../../core/utf8.ts'

export interface EncodedText {
  readonly ids: readonly number[]
  readonly typeIds: readonly number[]
}

/** What of tokenizer.json is read here; the library reads the rest. */
interface TokenizerFile {
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[]
  readonly padding?: { readonly pad_id?: number } | null
}

/** What a tokeniser's post-processor puts around every text. */
interface Frame {
  readonly before: EncodedText
  readonly after: EncodedText
  /** Type id of the text's own tokens. */
  readonly typeId: number
}

/** Texts to token ids by a Hugging Face `tokenizer.json`. */
export class TextTokenizer {
  readonly #tokenizer: Tokenizer
  readonly #frame: Frame
  /** Stands for "no token" where a batch is padded. */
  readonly padId: number

  private constructor(tokenizer: Tokenizer, frame: Frame, padId: number) {
    this.#tokenizer = tokenizer
    this.#frame = frame
    this.padId = padId
  }

  /** @throws manifest_invalid if the bytes are not a tokeniser that the library knows */
  static parse(bytes: Uint8Array): TextTokenizer {
    try {
      const file = JSON.parse(decodeUtf8(bytes) ?? '') as TokenizerFile
      const tokenizer = new Tokenizer(file, {})
      // The library takes a vocabulary of any type, and then knows no token.
      if (tokenizer.get_vocab().size === 0) throw new Error('the vocabulary is empty')
      return new TextTokenizer(tokenizer, frameOf(tokenizer), padIdOf(file, tokenizer))
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
  encode(text: string, maxTokens: number): EncodedText {
    const { before, after, typeId } = this.#frame
    const room = Math.max(0, maxTokens - before.ids.length - after.ids.length)
    const own = this.#firstIds(text, room)
    return {
      ids: [...before.ids, ...own, ...after.ids],
      typeIds: [...before.typeIds, ...own.map(() => typeId), ...after.typeIds],
    }
  }

  /**
   * The first ids of a text, from as much of it as they need: what is cut off anyway costs nothing, and the library,
   * which passes a word's tokens as arguments, does not run out of stack.
   */
  #firstIds(text: string, room: number): number[] {
    const enough = room + MARGIN_TOKENS
    for (let length = enough * CHARACTERS_PER_TOKEN; length < text.length; length *= 4) {
      const ids = bareIds(this.#tokenizer, beginning(text, length))
      if (ids.length >= enough) return ids.slice(0, room)
    }
    return bareIds(this.#tokenizer, text).slice(0, room)
  }
}

/** Tokens at a cut may be others than in the whole text. */
const MARGIN_TOKENS = 32
/** More than in any language's usual text, so that one attempt is enough. */
const CHARACTERS_PER_TOKEN = 8

/** About `length` characters, to the end of a word if one is near. */
function beginning(text: string, length: number): string {
  const cut = text.slice(0, length)
  const space = cut.search(/\s\S{0,200}$/)
  return space > 0 ? cut.slice(0, space) : cut.replace(/[\ud800-\udbff]$/, '')
}

/** Ids of a text alone. A vocabulary without a token for the unknown leaves holes. */
function bareIds(tokenizer: Tokenizer, text: string): number[] {
  const ids: readonly (number | undefined)[] = tokenizer.encode(text, { add_special_tokens: false }).ids
  return ids.filter((id) => id !== undefined)
}

/** Learns from a text of one letter what stands before and after every text. */
function frameOf(tokenizer: Tokenizer): Frame {
  const bare = bareIds(tokenizer, 'a')
  const { ids, token_type_ids: typeIds = ids.map(() => 0) } = tokenizer.encode('a', { return_token_type_ids: true })
  if (ids.some((id) => id === undefined) && bare.length > 0) throw new Error('a special token is not in the vocabulary')
  const start = ids.findIndex((_, i) => bare.every((id, j) => id === ids[i + j]))
  if (start === -1) throw new Error('the post-processor changes the tokens of a text')
  const end = start + bare.length
  return {
    before: { ids: ids.slice(0, start), typeIds: typeIds.slice(0, start) },
    after: { ids: ids.slice(end), typeIds: typeIds.slice(end) },
    typeId: typeIds[start] ?? 0,
  }
}

function padIdOf(file: TokenizerFile, tokenizer: Tokenizer): number {
  const declared = file.padding?.pad_id
  if (declared !== undefined) return declared
  const added = file.added_tokens?.find(({ content }) => content === '[PAD]' || content === '<pad>')
  return added?.id ?? tokenizer.token_to_id('[PAD]') ?? tokenizer.token_to_id('<pad>') ?? 0
}
