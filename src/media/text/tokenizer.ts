import { VergeError } from '../../core/errors.ts'
import { decodeUtf8 } from '../../core/utf8.ts'
import type { Literal } from './added-tokens.ts'
import { alignedOf, sourceOf } from './aligned.ts'
import type { Config } from './config.ts'
import type { FrameItem } from './frame.ts'
import { type Parts, partsOf } from './parts.ts'
import { cutPair, type PairTruncation } from './truncate.ts'

export interface EncodedText {
  readonly ids: readonly number[]
  readonly typeIds: readonly number[]
}

/** A token of a text, and where it stands there. */
export interface TextToken {
  readonly id: number
  /** UTF-16 units [start, end) of the text. */
  readonly start: number
  readonly end: number
  /** Number of its word in the text; a word is what the pre-tokeniser made, or an added token. */
  readonly word: number
}

/** What a model is given for one or two texts, token by token. */
export interface Encoding extends EncodedText {
  /** The texts' own tokens in their places; undefined for special ones. */
  readonly tokens: readonly (TextToken | undefined)[]
  /** Which text each token is of: 0, 1, or -1 for special ones. */
  readonly texts: readonly (-1 | 0 | 1)[]
}

/**
 * Texts to token ids by a Hugging Face `tokenizer.json` with a WordPiece, BPE (also byte-level), Unigram or WordLevel
 * model. `@huggingface/tokenizers` reads the file and holds vocabulary, merges and patterns; the way from text to tokens
 * is walked here, because the library loses the tokens' places and leaves the Rust library's path in a few points
 * (docs/tasks/text.md lists them).
 */
export class TextTokenizer {
  readonly #parts: Parts
  /** Stands for "no token" where a batch is padded. */
  readonly padId: number
  /** Stands for what the vocabulary does not know, where it has a token for it. */
  readonly unknownId: number | undefined
  /** What tokens inside of a word begin with ("##"); empty where none does. */
  readonly continuingPrefix: string
  /** The file's `decoder`, which says how tokens become text again; undefined where it has none. */
  readonly decoder: Config | undefined
  /** Added tokens as they are written, by their numbers. */
  readonly addedTexts: ReadonlyMap<number, string>
  /** Numbers of the added tokens that are for the model alone, and no part of a text. */
  readonly special: ReadonlySet<number>

  private constructor(parts: Parts) {
    this.#parts = parts
    this.padId = parts.padId
    this.unknownId = parts.unknownId
    this.continuingPrefix = parts.continuingPrefix
    this.decoder = parts.decoder
    this.addedTexts = parts.addedTexts
    this.special = parts.special
  }

  /** @throws manifest_invalid if the bytes are not a tokeniser that is known */
  static parse(bytes: Uint8Array): TextTokenizer {
    try {
      return new TextTokenizer(partsOf(JSON.parse(decodeUtf8(bytes) ?? '')))
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
    return this.frame(this.tokens(text, Math.max(0, maxTokens - this.specialTokens(false))))
  }

  /**
   * Token ids of two texts in the tokeniser's form for pairs.
   * @param maxTokens longer pairs are cut to so many, special tokens included and kept
   * @param cut which text loses tokens; if it has none left, the other one does
   * @throws manifest_invalid if the tokeniser has no form for two texts
   */
  encodePair(first: string, second: string, maxTokens: number, cut: PairTruncation = 'longest_first'): Encoding {
    const room = Math.max(0, maxTokens - this.specialTokens(true))
    return this.framePair(this.tokens(first, room), this.tokens(second, room), maxTokens, cut)
  }

  /** As `encodePair`, from tokens that are there already. */
  framePair(
    first: readonly TextToken[],
    second: readonly TextToken[],
    maxTokens: number,
    cut: PairTruncation = 'longest_first',
  ): Encoding {
    const room = Math.max(0, maxTokens - this.specialTokens(true))
    const [keepFirst, keepSecond] = cutPair(first.length, second.length, room, cut)
    return this.frame(first.slice(0, keepFirst), second.slice(0, keepSecond))
  }

  /**
   * The tokens of a text alone, in order.
   * @param most no more than the first so many; what is cut off then costs nothing
   * @param literal stretches of the text in which no added token is looked for
   */
  tokens(text: string, most: number = Number.POSITIVE_INFINITY, literal?: Literal): TextToken[] {
    const enough = most + MARGIN_TOKENS
    for (let length = enough * CHARACTERS_PER_TOKEN; length < text.length; length *= 4) {
      const tokens = this.#tokenise(beginning(text, length), literal)
      if (tokens.length >= enough) return tokens.slice(0, most)
    }
    return this.#tokenise(text, literal).slice(0, most)
  }

  /** How many special tokens stand around one text, or two. @throws manifest_invalid if it has no form for two */
  specialTokens(pair: boolean): number {
    return this.#items(pair).reduce((sum, item) => sum + (item.kind === 'special' ? item.ids.length : 0), 0)
  }

  /** The special token that stands before every text; undefined where there is none. */
  get firstToken(): string | undefined {
    const [item] = this.#parts.frame.single
    return item?.kind === 'special' && item.ids[0] !== undefined ? this.tokenText(item.ids[0]) : undefined
  }

  /** Puts the special tokens around the tokens of one or two texts. @throws manifest_invalid if it has no form for two */
  frame(first: readonly TextToken[], second?: readonly TextToken[]): Encoding {
    const ids: number[] = []
    const typeIds: number[] = []
    const tokens: (TextToken | undefined)[] = []
    const texts: (-1 | 0 | 1)[] = []
    for (const item of this.#items(second !== undefined)) {
      if (item.kind === 'special') {
        for (const id of item.ids) {
          ids.push(id)
          typeIds.push(item.typeId)
          tokens.push(undefined)
          texts.push(-1)
        }
        continue
      }
      for (const token of (item.which === 0 ? first : second) ?? []) {
        ids.push(token.id)
        typeIds.push(item.typeId)
        tokens.push(token)
        texts.push(item.which)
      }
    }
    return { ids, typeIds, tokens, texts }
  }

  /** A token as the vocabulary writes it. */
  tokenText(id: number): string {
    return this.#parts.library.id_to_token(id) ?? ''
  }

  /** Tokens as the vocabulary writes them to text, as the tokeniser's decoder joins them. */
  join(tokens: readonly string[]): string {
    return this.#parts.library.decoder?.decode([...tokens]) ?? tokens.join(' ')
  }

  #items(pair: boolean): readonly FrameItem[] {
    const { frame } = this.#parts
    const items = pair ? frame.pair : frame.single
    if (items !== undefined) return items
    throw new VergeError(
      'manifest_invalid',
      "The model's tokenizer.json has no form for two texts. Its operator has to push it with another task, or another tokeniser.",
    )
  }

  #tokenise(text: string, literal?: Literal): TextToken[] {
    const { added, normaliser, preTokeniser, words, frame } = this.#parts
    const tokens: TextToken[] = []
    let word = 0
    const add = (id: number, [start, end]: readonly [number, number]): void => {
      if (frame.trimOffsets) [start, end] = trimmed(text, start, end)
      tokens.push({ id, start, end, word })
    }
    for (const outer of added.before(alignedOf(text), literal)) {
      const sections = outer.id === undefined ? added.after(normaliser(outer.text), literal) : [outer]
      for (const section of sections) {
        if (section.id !== undefined) {
          add(section.id, sourceOf(section.text, 0, section.text.text.length))
          word++
          continue
        }
        for (const piece of preTokeniser(section.text)) {
          for (const { id, start, end } of piece.text === '' ? [] : words(piece.text)) {
            // A vocabulary without a token for the unknown leaves holes.
            if (id !== undefined) add(id, sourceOf(piece, start, end))
          }
          word++
        }
      }
    }
    return tokens
  }
}

/** Unicode's and Rust's; JavaScript's `\s` takes in U+FEFF and leaves out U+0085. */
const SPACE = /\p{White_Space}/u

function trimmed(text: string, start: number, end: number): [number, number] {
  let [from, to] = [start, end]
  while (from < to && SPACE.test(text[from] ?? '')) from++
  while (to > from && SPACE.test(text[to - 1] ?? '')) to--
  return [from, to]
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
