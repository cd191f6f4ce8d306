/** Milliseconds of downloading before their speed says something. */
const LEAST_MS = 200

/** How fast weights come, as the web worker counts them. */
export class DownloadSpeed {
  readonly #now: () => number
  #first: { readonly at: number; readonly bytes: number } | undefined
  #last: { readonly at: number; readonly bytes: number } | undefined

  constructor(now: () => number) {
    this.#now = now
  }

  /** @param bytes of all downloads together */
  add(bytes: number): void {
    const sample = { at: this.#now(), bytes }
    // Between two downloads nothing comes, however fast the network is.
    if (this.#last !== undefined && sample.at - this.#last.at > 2_000) this.#first = this.#last = undefined
    this.#first ??= sample
    this.#last = sample
  }

  get bytesPerSecond(): number | undefined {
    const [first, last] = [this.#first, this.#last]
    if (first === undefined || last === undefined || last.at - first.at < LEAST_MS) return undefined
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000
  }
}
