/** A number without a text, in the array of where texts begin. */
const HOLE = 0x8000_0000 | 0
const PLACE = 0x7fff_ffff

/** Texts by number, in one run of UTF-8: `offsets` has where each begins, and one more entry for the end of the last. */
export class TextTable {
  readonly bytes: Uint8Array
  readonly offsets: Int32Array
  readonly count: number

  /** @throws Error if there is no end */
  constructor(bytes: Uint8Array, offsets: Int32Array) {
    if (offsets.length === 0) throw new Error('a table of texts is empty')
    this.bytes = bytes
    this.offsets = offsets
    this.count = offsets.length - 1
  }

  has(number: number): boolean {
    return number >= 0 && number < this.count && (this.offsets[number] ?? HOLE) >= 0
  }

  startOf(number: number): number {
    return (this.offsets[number] ?? 0) & PLACE
  }

  /** Undefined for a number without a text. */
  textOf(number: number): string | undefined {
    if (!this.has(number)) return undefined
    return new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(
      this.bytes.subarray(this.startOf(number), this.startOf(number + 1)),
    )
  }

  /** Whether a text is the `length` bytes of `other` from `at` on. */
  equals(number: number, other: Uint8Array, at: number, length: number): boolean {
    const start = this.startOf(number)
    if (!this.has(number) || this.startOf(number + 1) - start !== length) return false
    for (let i = 0; i < length; i++) if (this.bytes[start + i] !== other[at + i]) return false
    return true
  }
}

/** Writes texts in order of their numbers. */
export class TextTableWriter {
  #bytes = new Uint8Array(4_096)
  #length = 0
  readonly #offsets: number[] = []

  /** @param text undefined for a number without one. @throws Error for half a character, which UTF-8 cannot write */
  add(text: string | undefined): void {
    this.#offsets.push(text === undefined ? this.#length | HOLE : this.#length)
    if (text === undefined) return
    if (!text.isWellFormed()) throw new Error(`a token has half of a character: ${JSON.stringify(text).slice(0, 80)}`)
    if (this.#bytes.length < this.#length + 3 * text.length) {
      const grown = new Uint8Array(2 * this.#bytes.length + 3 * text.length)
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#length += utf8.encodeInto(text, this.#bytes.subarray(this.#length)).written
  }

  finish(): TextTable {
    return new TextTable(this.#bytes.slice(0, this.#length), Int32Array.from([...this.#offsets, this.#length]))
  }
}

const utf8 = new TextEncoder()
