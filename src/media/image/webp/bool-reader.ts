import { incomplete } from './failures.ts'

/** The boolean entropy decoder of VP8 (RFC 6386, 7). */
export class BoolReader {
  readonly #data: Uint8Array
  #at = 0
  #value = 0
  #range = 255
  /** Bits in `#value` below the eight that are compared. */
  #spare = -8

  constructor(data: Uint8Array) {
    this.#data = data
  }

  /** One decision. @param probability of a 0, in 256ths */
  bit(probability: number): 0 | 1 {
    while (this.#spare < 0) this.#load()
    const split = 1 + (((this.#range - 1) * probability) >> 8)
    const big = split << this.#spare
    let bit: 0 | 1 = 0
    let range = split
    if (this.#value >= big) {
      this.#value -= big
      range = this.#range - split
      bit = 1
    }
    const shift = Math.clz32(range) - 24
    this.#range = range << shift
    this.#spare -= shift
    return bit
  }

  #load(): void {
    // An encoder may leave off zeros at the end, but not whole tokens.
    if (this.#at >= this.#data.length + SLACK) throw incomplete()
    this.#value = (this.#value << 8) | (this.#data[this.#at++] ?? 0)
    this.#spare += 8
  }

  flag(): boolean {
    return this.bit(128) === 1
  }

  /** An unsigned number of `count` bits, highest first. */
  number(count: number): number {
    let value = 0
    for (let i = 0; i < count; i++) value = (value << 1) | this.bit(128)
    return value
  }

  /** A magnitude of `count` bits and a sign. */
  signed(count: number): number {
    const magnitude = this.number(count)
    return this.flag() ? -magnitude : magnitude
  }

  /** A signed number behind a flag whether there is one; otherwise 0. */
  optional(count: number): number {
    return this.flag() ? this.signed(count) : 0
  }
}

const SLACK = 4
