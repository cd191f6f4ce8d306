import { ADDED_SECTIONS, type TokenizerImage } from './format.ts'
import { TextTable } from './texts.ts'

/** What is said of an added token, a bit each. */
export const ADDED = { special: 1, singleWord: 2, takesSpaceBefore: 4, takesSpaceAfter: 8 } as const

/** Added tokens by their places in a list: a text, and two numbers, the token's own and its flags. */
export class AddedTable {
  readonly texts: TextTable
  readonly #info: Int32Array

  /** @throws Error if a section is missing, or has not two numbers for each text */
  constructor(image: TokenizerImage) {
    const { bytes, info, offsets } = ADDED_SECTIONS
    this.texts = new TextTable(image.bytes(bytes), image.int32(offsets))
    this.#info = image.int32(info)
    if (this.#info.length !== 2 * this.texts.count) {
      throw new Error('an added token of a tokenizer image lacks its number')
    }
  }

  /** A negative number is none. */
  idAt(place: number): number {
    return this.#info[2 * place] ?? -1
  }

  /** @param flag one of `ADDED` */
  is(place: number, flag: number): boolean {
    return ((this.#info[2 * place + 1] ?? 0) & flag) !== 0
  }
}
