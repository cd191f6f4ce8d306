export interface GrowingBytesOptions {
  /** Memory to begin with. */
  readonly first: number
  /** The expected most: a buffer that doubles does not grow past it before more has come. */
  readonly most: number
  /** Unused bytes kept before the content, so that what follows a header of known length can be aligned. */
  readonly padding?: number
  /** Called with the bytes of each new buffer before it is allocated; may throw to refuse it. */
  readonly hold?: (bytes: number) => void
}

/** Collects bytes piece by piece in one growing buffer: memory follows the received bytes, not the declared length. */
export class GrowingBytes {
  readonly #most: number
  readonly #padding: number
  readonly #hold: ((bytes: number) => void) | undefined
  #buffer: Uint8Array<ArrayBuffer>
  #length = 0

  constructor({ first, most, padding = 0, hold }: GrowingBytesOptions) {
    this.#most = most
    this.#padding = padding
    this.#hold = hold
    this.#buffer = this.#allocate(Math.min(first, most))
  }

  get length(): number {
    return this.#length
  }

  /** What has come: a view, which the next piece may replace. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(this.#padding, this.#padding + this.#length)
  }

  append(piece: Uint8Array): void {
    const length = this.#length + piece.length
    if (this.#padding + length > this.#buffer.length) {
      const grown = this.#allocate(Math.max(length, Math.min(this.#most, 2 * this.#buffer.length)))
      grown.set(this.bytes, this.#padding)
      this.#buffer = grown
    }
    this.#buffer.set(piece, this.#padding + this.#length)
    this.#length = length
  }

  #allocate(bytes: number): Uint8Array<ArrayBuffer> {
    this.#hold?.(bytes)
    return new Uint8Array(this.#padding + bytes)
  }
}
