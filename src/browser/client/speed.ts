/** How long recent answers took: their median, so that one slow answer changes nothing. */
export class Speed {
  readonly #most: number
  readonly #samples: number[] = []
  /** When the last answer came, by the clock of `add`. */
  at: number | undefined

  /** @param most answers that count */
  constructor(most: number) {
    this.#most = most
  }

  add(ms: number, now: number): void {
    this.at = now
    this.#samples.push(ms)
    if (this.#samples.length > this.#most) this.#samples.shift()
  }

  /** Milliseconds; undefined before the first answer. */
  get ms(): number | undefined {
    const sorted = this.#samples.toSorted((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)]
  }
}
