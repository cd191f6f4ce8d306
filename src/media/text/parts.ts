import { type AddedTokens, addedTokensOf } from './added-tokens.ts'
import { ADDED, AddedTable } from './compiled/added-table.ts'
import { SECTION, TokenizerImage } from './compiled/format.ts'
import type { Pieces } from './compiled/pieces.ts'
import { type Program, readProgram } from './compiled/program.ts'
import { type Normalizer, normalizerOf } from './normalize.ts'
import type { StepCounter, WordModel } from './piece.ts'
import { type PreTokenizer, preTokenizerOf } from './pre-tokenize.ts'
import { wordsOf } from './words.ts'

/** What a tokenizer is made of. */
export interface Parts {
  readonly program: Program
  readonly pieces: Pieces
  readonly added: AddedTokens
  /** Added tokens as they are written. */
  readonly written: WrittenTokens
  readonly normalizer: Normalizer
  readonly preTokenizer: PreTokenizer
  readonly words: WordModel
}

export interface WrittenTokens {
  /** Their texts by their numbers. */
  readonly texts: ReadonlyMap<number, string>
  /** The numbers of those that are for the model alone, and no part of a text. */
  readonly special: ReadonlySet<number>
}

/** Opens the parts of a compiled tokenizer. @throws Error if it is damaged, or of a kind that is not known */
export function partsOf(bytes: Uint8Array, counter: StepCounter): Parts {
  const image = new TokenizerImage(bytes)
  const program = readProgram(image.bytes(SECTION.program))
  const added = new AddedTable(image)
  const words = wordsOf(image, program.model, counter)
  return {
    program,
    pieces: words.pieces,
    words: words.model,
    added: addedTokensOf(image, added),
    written: new LazyTokens(added),
    normalizer: normalizerOf(program.normalizer, image.all(SECTION.charsmap)),
    preTokenizer: preTokenizerOf(program.preTokenizer),
  }
}

/** Reads what encoding has no need of when it is first asked for: some files have thousands of added tokens. */
class LazyTokens implements WrittenTokens {
  readonly #table: AddedTable
  #texts: ReadonlyMap<number, string> | undefined
  #special: ReadonlySet<number> | undefined

  constructor(table: AddedTable) {
    this.#table = table
  }

  get texts(): ReadonlyMap<number, string> {
    this.#texts ??= new Map(
      this.#places().map((place) => [this.#table.idAt(place), this.#table.texts.textOf(place) ?? '']),
    )
    return this.#texts
  }

  get special(): ReadonlySet<number> {
    this.#special ??= new Set(
      this.#places()
        .filter((place) => this.#table.is(place, ADDED.special))
        .map((place) => this.#table.idAt(place)),
    )
    return this.#special
  }

  #places(): number[] {
    return Array.from({ length: this.#table.texts.count }, (_, place) => place)
  }
}
