import { VergeError } from '../../../core/errors.ts'
import type { Clock } from '../../../core/runtime.ts'
import { LeasedBytes } from './leased-bytes.ts'

export interface HeldRowsOptions {
  /** Bytes of rows that all runs may hold while they wait. One alone may hold more: the engine's memory bounds it. */
  readonly heldRowBytes: number
  /** No caller waits longer for a run: rows that are held longer belong to a request that was killed. */
  readonly heldRowsLeaseMs: number
  readonly clock: Clock
}

/** Rows of pages that runs hold until they have had their turn. An id has 8 bytes, and its row a hundred times as many. */
export class HeldRows {
  readonly #mostBytes: number
  readonly #leased: LeasedBytes

  constructor({ heldRowBytes, heldRowsLeaseMs, clock }: HeldRowsOptions) {
    this.#mostBytes = heldRowBytes
    this.#leased = new LeasedBytes(heldRowsLeaseMs, clock)
  }

  /** @returns a function that gives them back @throws overloaded */
  hold(bytes: number): () => void {
    const { taken } = this.#leased
    if (taken > 0 && taken + bytes > this.#mostBytes) {
      throw new VergeError('overloaded', 'Too many requests with rare words wait for a model. Try again in a moment.', {
        retryAfter: 1,
      })
    }
    return this.#leased.take(bytes)
  }
}
