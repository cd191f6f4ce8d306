import { isWithin } from './age.ts'

/** Milliseconds of downloading before their speed says something. */
const LEAST_MS = 200

/** Between two downloads nothing comes, however fast the network is. */
const MOST_BETWEEN_MS = 2_000

interface Sample {
  readonly at: number
  readonly bytes: number
}

/** How fast weights come, as the web worker counts them. */
export class DownloadSpeed {
  readonly #now: () => number
  #first: Sample | undefined
  #last: Sample | undefined

  constructor(now: () => number) {
    this.#now = now
  }

  /** @param bytes of all downloads together */
  add(bytes: number): void {
    const sample = { at: this.#now(), bytes }
    if (this.#last !== undefined && !follows(sample, this.#last)) this.#first = this.#last = undefined
    this.#first ??= sample
    this.#last = sample
  }

  get bytesPerSecond(): number | undefined {
    const [first, last] = [this.#first, this.#last]
    if (first === undefined || last === undefined || last.at - first.at < LEAST_MS) return undefined
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000
  }
}

/** A web worker that was started again counts from zero, and a clock may be set back. */
function follows(sample: Sample, last: Sample): boolean {
  return sample.bytes >= last.bytes && isWithin(MOST_BETWEEN_MS, last.at, sample.at)
}
