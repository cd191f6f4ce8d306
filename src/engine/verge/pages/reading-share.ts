import type { Clock } from '../../../core/runtime.ts'

/** A request gets this part of all bytes, whatever others read: it waits for none of them, because a killed one never ends. */
const LEAST = 1 / 16

export interface ReadingShareOptions {
  /** Bytes of pages that all requests may read at the same time, as far as nobody gets less than a sixteenth. */
  readonly pageBytesInFlight: number
  /** A reading that has not ended for so long belongs to a request that was killed. */
  readonly loadStaleMs: number
  readonly clock: Clock
}

interface Reading {
  readonly bytes: number
  readonly since: number
}

/** Shares the bytes that may be in flight among the requests that read pages. */
export class ReadingShare {
  readonly #options: ReadingShareOptions
  readonly #readings = new Set<Reading>()

  constructor(options: ReadingShareOptions) {
    this.#options = options
  }

  /** Bytes that one more reading should have at most. */
  get free(): number {
    const { clock, loadStaleMs, pageBytesInFlight } = this.#options
    const now = clock.now()
    let taken = 0
    for (const reading of this.#readings) {
      if (now - reading.since > loadStaleMs) this.#readings.delete(reading)
      else taken += reading.bytes
    }
    return Math.max(pageBytesInFlight - taken, Math.floor(pageBytesInFlight * LEAST))
  }

  async use<T>(bytes: number, read: () => Promise<T>): Promise<T> {
    const reading = { bytes, since: this.#options.clock.now() }
    this.#readings.add(reading)
    try {
      return await read()
    } finally {
      this.#readings.delete(reading)
    }
  }
}
