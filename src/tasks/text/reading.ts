import type { Manifest } from '../../catalog/manifest.ts'
import type { ModelFile } from '../../catalog/model-file.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { finish, type Work } from '../../core/work.ts'
import type { CutSide } from '../../media/text/cut.ts'
import { firstReading } from '../../media/text/cut.ts'
import { openTokenizer, tokenizerFile } from '../../media/text/model-tokenizer.ts'
import { type Encoding, STEPS_PER_UNIT, type TextToken, type TextTokenizer } from '../../media/text/tokenizer.ts'
import { cutPair } from '../../media/text/truncate.ts'
import { performed, type TaskModel } from '../task.ts'
import { noRoom, tooManyTokens } from './texts.ts'

/** A text of a pair, and where it stands in the request. */
export interface PairText {
  readonly text: string
  readonly field: string
}

/** What happens to texts that are too long, where a request says so. */
export interface Cutting {
  /** False: such a text is refused, and not cut. */
  readonly truncate?: boolean
  /** The end that loses tokens; left out: as set for the model. */
  readonly side?: CutSide
  /** Most tokens, special ones included; left out, or more than the model's own: the model's own. */
  readonly maxTokens?: number
}

/**
 * Reads the texts of one request into tokens. What is read is bounded: each text by the tokens that its task can use, all
 * together by `textLengthTogether`, and both before a tokenizer looks at them.
 */
export class TextReader {
  readonly tokenizer: TextTokenizer
  /** Most tokens of a text with its special ones. */
  readonly maxTokens: number
  /** The end of a text that is cut where it has more. */
  readonly side: CutSide
  readonly #model: TaskModel
  readonly #limits: Limits
  #left: number

  private constructor(tokenizer: TextTokenizer, model: TaskModel, limits: Limits) {
    const { text }: Pick<Manifest, 'text'> = model.manifest
    this.tokenizer = tokenizer
    this.maxTokens = text?.maxTokens ?? limits.textTokens
    this.side = text?.truncationSide ?? 'right'
    this.#model = model
    this.#limits = limits
    this.#left = limits.textLengthTogether
  }

  /** Files of a model that reading texts takes. */
  static files(manifest: Manifest): readonly ModelFile[] {
    return [tokenizerFile(manifest)]
  }

  /** @throws manifest_invalid, weights_unavailable */
  static async open(model: TaskModel, limits: Limits): Promise<TextReader> {
    return new TextReader(await openTokenizer(model), model, limits)
  }

  /**
   * Does the reading that a task needs, with turns of the event loop in between where it is long.
   * @param texts all that are read, to be priced before the first of them is
   * @param most tokens that are wanted of each
   * @throws input_too_large, cancelled, deadline_exceeded, and what the work throws
   */
  async perform<T>(texts: readonly string[], most: number, work: Work<T>): Promise<T> {
    const units = texts.reduce((sum, { length }) => sum + Math.min(length, firstReading(most)), 0)
    if (units > this.#left) throw this.#tooMuch(undefined)
    // What takes less than a turn of the loop is worth no place in the lane.
    const steps = units * STEPS_PER_UNIT
    return steps < this.#limits.stepsBetweenPauses ? finish(work) : performed(this.#model, work, steps)
  }

  /** The first tokens of a text, or the last where its beginning is cut. @throws input_too_large */
  *read(text: string, most: number, field: string, side: CutSide = this.side): Work<TextToken[]> {
    const spend = (units: number): void => {
      this.#left -= units
      if (this.#left < 0) throw this.#tooMuch(field)
    }
    return yield* this.tokenizer.read(text, { most, side, spend })
  }

  /**
   * A text with its special tokens. @throws input_too_large
   */
  *encode(text: string, field: string, cutting: Cutting = {}): Work<Encoding> {
    const { side = this.side, truncate = true } = cutting
    const most = this.#most(cutting)
    const room = Math.max(0, most - this.tokenizer.specialTokens(false))
    if (room === 0 && cutting.maxTokens !== undefined) throw noRoom(field, most)
    const tokens = yield* this.read(text, truncate ? room : room + 1, field, side)
    if (tokens.length > room) throw tooManyTokens(field, most)
    return this.tokenizer.frame(tokens)
  }

  /**
   * Two texts in the tokenizer's form for pairs, the longer one cut first. Which one that is counts where both are too
   * long and an odd number of tokens is left to share: then both are read to their ends.
   * @param field names the pair where it is refused
   * @throws manifest_invalid if the tokenizer has no form for pairs, input_too_large
   */
  *pair(first: ReadText, second: ReadText, field = '', cutting: Omit<Cutting, 'side'> = {}): Work<Encoding> {
    const most = this.#most(cutting)
    const room = Math.max(0, most - this.tokenizer.specialTokens(true))
    if (room === 0 && cutting.maxTokens !== undefined) throw noRoom(field, most)
    const wanted = cutting.truncate === false ? room + 1 : room
    let [one, other] = [yield* first.tokens(wanted), yield* second.tokens(wanted)]
    let counts: readonly [number, number] = [one.length, other.length]
    if (cutting.truncate === false) {
      if (one.length + other.length > room) throw tooManyTokens(field, most)
      return this.tokenizer.frame(one, other)
    }
    if (room % 2 === 1 && counts.every((count) => count >= room)) {
      counts = [
        (yield* first.tokens(Number.POSITIVE_INFINITY)).length,
        (yield* second.tokens(Number.POSITIVE_INFINITY)).length,
      ]
    }
    const [keepFirst, keepSecond] = cutPair(...counts, room, 'longest_first')
    ;[one, other] = [first.cut(one, keepFirst), second.cut(other, keepSecond)]
    return this.tokenizer.frame(one, other)
  }

  /**
   * A text that may be part of several pairs, and is read once.
   * @param limit tokens that it may have before it is part of a pair
   */
  text({ text, field }: PairText, side: CutSide = this.side, limit = Number.POSITIVE_INFINITY): ReadText {
    let [read, wanted]: [TextToken[], number] = [[], 0]
    const reader = this
    const cut = (tokens: readonly TextToken[], keep: number): TextToken[] =>
      side === 'right' ? tokens.slice(0, keep) : tokens.slice(tokens.length - keep)
    return {
      cut,
      *tokens(asked) {
        const most = Math.min(asked, limit)
        const isWhole = wanted > read.length
        if (most > wanted && !isWhole) {
          read = yield* reader.read(text, most, field, side)
          wanted = most
        }
        return cut(read, Math.min(most, read.length))
      },
    }
  }

  #most({ maxTokens }: Cutting): number {
    return maxTokens === undefined ? this.maxTokens : Math.min(maxTokens, this.maxTokens)
  }

  #tooMuch(field: string | undefined): VergeError {
    const { textLengthTogether } = this.#limits
    return new VergeError(
      'input_too_large',
      `The texts of a request may have ${textLengthTogether} characters together, counting only what the model can use. Send several requests, or shorter texts.`,
      { details: { ...(field !== undefined && { field }), limit_characters: textLengthTogether } },
    )
  }
}

export interface ReadText {
  tokens(most: number): Work<TextToken[]>
  /** So many of its tokens, without those of the end that is cut. */
  cut(tokens: readonly TextToken[], keep: number): TextToken[]
}
