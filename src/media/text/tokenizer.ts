import { VergeError } from '../../core/errors.ts'
import { decodeUtf8 } from '../../core/json.ts'
import { finish, type Work } from '../../core/work.ts'
import type { Literal } from './added-tokens.ts'
import { type Aligned, alignedOf, sourceOf } from './aligned.ts'
import { compileTokenizer } from './compiled/compile.ts'
import type { TokenizerConfig } from './config.ts'
import { beginning, type CutSide, ending, firstReading, keptTokens } from './cut.ts'
import { joinedTokens } from './decode.ts'
import type { FrameItem } from './frame.ts'
import { type Parts, partsOf } from './parts.ts'
import type { StepCounter } from './piece.ts'
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
  /** Number of its word in the text; a word is what the pre-tokenizer made, or an added token. */
  readonly word: number
}

/** What a model is given for one or two texts, token by token. */
export interface Encoding extends EncodedText {
  /** The texts' own tokens in their places; undefined for special ones. */
  readonly tokens: readonly (TextToken | undefined)[]
  /** Which text each token is of: 0, 1, or -1 for special ones. */
  readonly texts: readonly (-1 | 0 | 1)[]
}

export interface TokenizeOptions {
  /** No more than so many tokens; left out: all. */
  readonly most?: number
  /** The end of the text that loses tokens where there are more. */
  readonly side?: CutSide
  /** Stretches of the text in which no added token is looked for. */
  readonly literal?: Literal
  /** Called with the UTF-16 units that are read next; throws to refuse them. */
  readonly spend?: (units: number) => void
}

/**
 * Texts to token ids by a Hugging Face `tokenizer.json` with a WordPiece, BPE (also byte-level), Unigram or WordLevel
 * model, as Hugging Face's Rust library makes them. Its library for JavaScript loses the tokens' places, takes the square
 * of a text's length in several steps, and differs in the points that docs/tasks/text.md lists; only its translation of
 * regular expressions is used.
 */
export class TextTokenizer {
  readonly #parts: Parts
  #addedIds: ReadonlyMap<string, number> | undefined

  private constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * A compiled tokenizer, which is used where it lies.
   * @param counter counts the steps of the model's inner loops
   * @throws manifest_invalid if the bytes are no such tokenizer
   */
  static open(image: Uint8Array, counter: StepCounter = { steps: 0 }): TextTokenizer {
    try {
      return new TextTokenizer(partsOf(image, counter))
    } catch (cause) {
      throw unusable(cause)
    }
  }

  /**
   * A `tokenizer.json`, compiled first.
   * @param counter counts the steps of the model's inner loops
   * @throws manifest_invalid if the bytes are not a tokenizer that is known
   */
  static parse(bytes: Uint8Array, counter?: StepCounter): TextTokenizer {
    return TextTokenizer.open(compiledTokenizer(bytes), counter)
  }

  /** Stands for "no token" where a batch is padded. */
  get padId(): number {
    return this.#parts.program.padId
  }

  /** Stands for what the vocabulary does not know, where it has a token for it. */
  get unknownId(): number | undefined {
    return this.#parts.program.unknownId
  }

  /** What tokens inside of a word begin with ("##"); empty where none does. */
  get continuingPrefix(): string {
    return this.#parts.program.continuingPrefix
  }

  /** The file's `decoder`, which says how tokens become text again; undefined where it has none. */
  get decoder(): TokenizerConfig | undefined {
    return this.#parts.program.decoder
  }

  /** Added tokens as they are written, by their numbers. */
  get addedTexts(): ReadonlyMap<number, string> {
    return this.#parts.written.texts
  }

  /** Numbers of the added tokens that are for the model alone, and no part of a text. */
  get special(): ReadonlySet<number> {
    return this.#parts.written.special
  }

  /**
   * Token ids with the special tokens that the tokenizer puts around a text.
   * @param maxTokens longer texts are cut to so many, special tokens included and kept
   */
  encode(text: string, maxTokens: number): EncodedText {
    return this.frame(this.tokens(text, Math.max(0, maxTokens - this.specialTokens(false))))
  }

  /**
   * Token ids of two texts in the tokenizer's form for pairs.
   * @param maxTokens longer pairs are cut to so many, special tokens included and kept
   * @param cut which text loses tokens; if it has none left, the other one does
   * @throws manifest_invalid if the tokenizer has no form for two texts
   */
  encodePair(first: string, second: string, maxTokens: number, cut: PairTruncation = 'longest_first'): Encoding {
    const room = Math.max(0, maxTokens - this.specialTokens(true))
    const [one, other] = [this.tokens(first), this.tokens(second)]
    const [keepFirst, keepSecond] = cutPair(one.length, other.length, room, cut)
    return this.frame(one.slice(0, keepFirst), other.slice(0, keepSecond))
  }

  /**
   * The tokens of a text alone, in order.
   * @param most no more than the first so many; what is cut off then costs nothing
   * @param literal stretches of the text in which no added token is looked for
   */
  tokens(text: string, most: number = Number.POSITIVE_INFINITY, literal?: Literal): TextToken[] {
    return finish(this.read(text, { most, ...(literal && { literal }) }))
  }

  /**
   * As `tokens`, in pieces of work. Only as much of the text is read as holds `most` tokens: some characters for each,
   * and four times as many for as long as they hold too few.
   * @throws what `spend` throws
   */
  *read(text: string, options: TokenizeOptions = {}): Work<TextToken[]> {
    const { most = Number.POSITIVE_INFINITY, side = 'right', spend } = options
    for (let length = firstReading(most); length < text.length; length *= 4) {
      const part = side === 'right' ? beginning(text, length) : ending(text, length)
      spend?.(part.length)
      const kept = keptTokens(yield* this.#tokenize(part, options), part, most, side)
      const offset = side === 'right' ? 0 : text.length - part.length
      if (kept !== undefined) return offset === 0 ? kept : kept.map((token) => moved(token, offset))
    }
    spend?.(text.length)
    const tokens = yield* this.#tokenize(text, options)
    if (tokens.length <= most) return tokens
    return side === 'right' ? tokens.slice(0, most) : tokens.slice(tokens.length - most)
  }

  /** How many special tokens stand around one text, or two. @throws manifest_invalid if it has no form for two */
  specialTokens(pair: boolean): number {
    return this.#items(pair).reduce((sum, item) => sum + (item.kind === 'special' ? item.ids.length : 0), 0)
  }

  /** Whether it has a form for two texts. */
  get readsPairs(): boolean {
    return this.#parts.program.frame.pair !== undefined
  }

  /** The special token that stands before every text; undefined where there is none. */
  get firstToken(): string | undefined {
    const [item] = this.#parts.program.frame.single
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

  /** Whether a number is a token's. */
  knows(id: number): boolean {
    return this.#parts.pieces.has(id) || this.addedTexts.has(id)
  }

  /** The number of a token as the vocabulary writes it; undefined if there is no such token. */
  idOf(token: string): number | undefined {
    this.#addedIds ??= new Map([...this.addedTexts].map(([id, text]) => [text, id]))
    return this.#addedIds.get(token) ?? this.#parts.pieces.idOf(token)
  }

  /** A token as the vocabulary writes it; empty for a number that is no token's. */
  tokenText(id: number): string {
    return this.addedTexts.get(id) ?? this.#parts.pieces.textOf(id) ?? ''
  }

  /**
   * Tokens as the vocabulary writes them to text, as the tokenizer's decoder joins them.
   * @throws manifest_invalid for a decoder that is not known
   */
  join(tokens: readonly string[]): string {
    try {
      return joinedTokens(tokens, this.decoder)
    } catch (cause) {
      throw unusable(cause)
    }
  }

  #items(pair: boolean): readonly FrameItem[] {
    const { frame } = this.#parts.program
    const items = pair ? frame.pair : frame.single
    if (items !== undefined) return items
    throw new VergeError(
      'manifest_invalid',
      "The model's tokenizer.json does not support pairs of texts. Push the model again with another task or tokenizer.",
    )
  }

  *#tokenize(text: string, { literal, spend }: TokenizeOptions): Work<TextToken[]> {
    const { added, normalizer, preTokenizer } = this.#parts
    const tokens: TextToken[] = []
    let word = 0
    let unpaid = 0
    for (const outer of added.before(alignedOf(text), literal)) {
      const changed = outer.id === undefined ? normalizer(outer.text) : outer.text
      spend?.(Math.max(0, changed.text.length - MOST_GROWTH * outer.text.text.length))
      const sections = outer.id === undefined ? added.after(changed, literal) : [outer]
      for (const section of sections) {
        if (section.id !== undefined) {
          const [start, end] = this.#placeOf(text, section.text, 0, section.text.text.length, tokens.length === 0)
          tokens.push({ id: section.id, start, end, word: word++ })
          continue
        }
        for (const piece of preTokenizer(section.text)) {
          this.#addWord(tokens, text, piece, word++)
          unpaid += piece.text.length
          if (unpaid < UNITS_BETWEEN_YIELDS) continue
          yield unpaid * STEPS_PER_UNIT
          unpaid = 0
        }
      }
    }
    // What leaves no word costs as well.
    yield Math.max(unpaid, text.length / 4) * STEPS_PER_UNIT
    return tokens
  }

  #addWord(tokens: TextToken[], text: string, word: Aligned, number: number): void {
    if (word.text === '') return
    const { pieces, words } = this.#parts
    let [from, to, place] = [-1, -1, NOWHERE]
    for (const { id, start, end } of words(word.text)) {
      // The bytes of something long and unknown all have its place, which takes as long to find as it is long.
      if (from !== start || to !== end) place = this.#placeOf(text, word, start, end, tokens.length === 0)
      from = start
      to = end
      // A vocabulary without a token for the unknown leaves holes.
      if (id === undefined) continue
      if (!pieces.has(id)) throw unusable(new Error(`a token has the number ${id}`))
      tokens.push({ id, start: place[0], end: place[1], word: number })
    }
  }

  /** @param first whether it is the first of the text's tokens */
  #placeOf(text: string, part: Aligned, from: number, to: number, first: boolean): readonly [number, number] {
    const place = sourceOf(part, from, to)
    const { keepsFirstSpace, trimOffsets } = this.#parts.program.frame
    if (!trimOffsets) return place
    const [start, end] = trimmed(text, place[0], place[1])
    const keeps = keepsFirstSpace && start === place[0] + 1 && (first || place[0] === 0)
    if (!keeps) return [start, end]
    // Of spaces alone nothing is left either way.
    return [start - 1, start === end ? start - 1 : end]
  }
}

const NOWHERE: readonly [number, number] = [0, 0]

/** Steps that a UTF-16 unit takes: half as many in most tokenizers, and twice as many in the slowest (docs/limits.md). */
export const STEPS_PER_UNIT = 1_000

/** A text that a normalizer makes so many times longer costs more than its own length: "\ufdfa" has 18 letters by NFKC. */
const MOST_GROWTH = 4

const UNITS_BETWEEN_YIELDS = 4_096

function moved({ id, start, end, word }: TextToken, by: number): TextToken {
  return { id, start: start + by, end: end + by, word }
}

/** A `tokenizer.json` in the form that is used. @throws manifest_invalid if it is not a tokenizer that is known */
export function compiledTokenizer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  try {
    return compileTokenizer(JSON.parse(decodeUtf8(bytes) ?? ''))
  } catch (cause) {
    throw unusable(cause)
  }
}

function unusable(cause: unknown): VergeError {
  return new VergeError(
    'manifest_invalid',
    "The model's tokenizer.json is invalid, or of a kind that Verge does not support. Push the model again with a valid one.",
    { cause },
  )
}

/** Spaces alone: what the letter of a byte-level model stands for, as the Rust library has it. */
function trimmed(text: string, start: number, end: number): [number, number] {
  let [from, to] = [start, end]
  while (from < to && text.charCodeAt(from) === 0x20) from++
  while (to > from && text.charCodeAt(to - 1) === 0x20) to--
  return [from, to]
}
