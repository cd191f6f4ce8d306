import type { Clock } from '../../../core/runtime.ts'
import { LeasedBytes } from './leased-bytes.ts'

/** A reading gets this part of all bytes at the least. */
const LEAST = 1 / 16
/** Where so many requests read that their least parts come to this many times all bytes, one more reading has to wait. */
const FULL = 2
/** Between two looks whether it still has to: it awaits no other request, because a killed one never ends. */
const LOOK_MS = 10

export interface ReadingShareOptions {
  /** Bytes of pages that all requests may read at the same time; twice as many where each gets no more than a sixteenth. */
  readonly pageBytesInFlight: number
  /** A reading that has not ended for so long belongs to a request that was killed. */
  readonly loadStaleMs: number
  readonly clock: Clock
}

/** Shares the bytes that may be in flight among the requests that read pages. */
export class ReadingShare {
  readonly #mostBytes: number
  readonly #leased: LeasedBytes
  readonly #clock: Clock

  constructor({ pageBytesInFlight, loadStaleMs, clock }: ReadingShareOptions) {
    this.#mostBytes = pageBytesInFlight
    this.#leased = new LeasedBytes(loadStaleMs, clock)
    this.#clock = clock
  }

  /** Whether one more reading has to wait. */
  get full(): boolean {
    return this.#leased.taken >= this.#mostBytes * FULL
  }

  /** Time until the next look. @throws the signal's reason */
  pause(signal: AbortSignal): Promise<void> {
    return this.#clock.sleep(LOOK_MS, signal)
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
