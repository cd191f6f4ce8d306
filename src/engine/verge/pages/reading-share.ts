import type { Clock } from '../../../core/runtime.ts'
import { LeasedBytes } from './leased-bytes.ts'

/** A request gets this part of all bytes, whatever others read: it waits for none of them, because a killed one never ends. */
const LEAST = 1 / 16

export interface ReadingShareOptions {
  /** Bytes of pages that all requests may read at the same time, as far as nobody gets less than a sixteenth. */
  readonly pageBytesInFlight: number
  /** A reading that has not ended for so long belongs to a request that was killed. */
  readonly loadStaleMs: number
  readonly clock: Clock
}

/** Shares the bytes that may be in flight among the requests that read pages. */
export class ReadingShare {
  readonly #mostBytes: number
  readonly #leased: LeasedBytes

  constructor({ pageBytesInFlight, loadStaleMs, clock }: ReadingShareOptions) {
    this.#mostBytes = pageBytesInFlight
    this.#leased = new LeasedBytes(loadStaleMs, clock)
  }

  /** Bytes that one more reading should have at most. */
  get free(): number {
    return Math.max(this.#mostBytes - this.#leased.taken, Math.floor(this.#mostBytes * LEAST))
  }

  async use<T>(bytes: number, read: () => Promise<T>): Promise<T> {
    const giveBack = this.#leased.take(bytes)
    try {
      return await read()
    } finally {
      giveBack()
    }
  }
}
