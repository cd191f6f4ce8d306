import type { Manifest } from '../catalog/manifest.ts'
import type { ModelFile } from '../catalog/model-file.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { finish, type Work } from '../core/work.ts'
import type { CutSide } from '../media/text/cut.ts'
import { firstReading } from '../media/text/cut.ts'
import { openTokenizer, tokenizerFile } from '../media/text/model-tokenizer.ts'
import { type Encoding, STEPS_PER_UNIT, type TextToken, type TextTokenizer } from '../media/text/tokenizer.ts'
import { cutPair } from '../media/text/truncate.ts'
import { performed, type TaskModel } from './task.ts'

/** A text of a pair, and where it stands in the request. */
export interface PairText {
  readonly text: string
  readonly field: string
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
  *encode(text: string, field: string): Work<Encoding> {
    const room = Math.max(0, this.maxTokens - this.tokenizer.specialTokens(false))
    return this.tokenizer.frame(yield* this.read(text, room, field))
  }

  /**
   * Two texts in the tokenizer's form for pairs, the longer one cut first. Which one that is counts where both are too
   * long and an odd number of tokens is left to share: then both are read to their ends.
   * @throws manifest_invalid if the tokenizer has no form for pairs, input_too_large
   */
  *pair(first: ReadText, second: ReadText): Work<Encoding> {
    const room = Math.max(0, this.maxTokens - this.tokenizer.specialTokens(true))
    let [one, other] = [yield* first.tokens(room), yield* second.tokens(room)]
    let counts: readonly [number, number] = [one.length, other.length]
    if (room % 2 === 1 && counts.every((count) => count >= room)) {
      counts = [
        (yield* first.tokens(Number.POSITIVE_INFINITY)).length,
        (yield* second.tokens(Number.POSITIVE_INFINITY)).length,
      ]
    }
    const [keepFirst, keepSecond] = cutPair(...counts, room, 'longest_first')
    ;[one, other] = [this.#cut(one, keepFirst), this.#cut(other, keepSecond)]
    return this.tokenizer.frame(one, other)
  }

  /** A text that may be part of several pairs, and is read once. */
  text({ text, field }: PairText): ReadText {
    let [read, wanted]: [TextToken[], number] = [[], 0]
    const reader = this
    return {
      *tokens(most) {
        const isWhole = wanted > read.length
        if (most > wanted && !isWhole) {
          read = yield* reader.read(text, most, field)
          wanted = most
        }
        return reader.#cut(read, Math.min(most, read.length))
      },
    }
  }

  #cut(tokens: readonly TextToken[], keep: number): TextToken[] {
    return this.side === 'right' ? tokens.slice(0, keep) : tokens.slice(tokens.length - keep)
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
}
