const BUCKET_MS = 1_000

/**
 * Remembers which nonces have been used, within bounded memory, and never forgets one whose timestamp would still be
 * accepted.
 *
 * Nonces are stored in buckets by the second of their timestamp. A bucket is deleted when all its timestamps are too
 * old. If there are too many nonces, the oldest bucket is deleted early, and timestamps up to it are no longer
 * accepted: under high load the window becomes shorter, but replays are still refused.
 */
export class NonceMemory {
  readonly #most: number
  readonly #buckets = new Map<number, Set<string>>()
  #held = 0
  /** Timestamps below this are refused, because their nonces are no longer stored. */
  #floor = Number.NEGATIVE_INFINITY

  /** @param most nonces held at once */
  constructor(most: number) {
    this.#most = most
  }

  /** Whether a timestamp is older than the stored nonces. */
  tooOld(timestamp: number): boolean {
    return timestamp < this.#floor
  }

  /**
   * Claims a nonce. Synchronous, so that of two equal requests at once one alone gets it.
   * @param oldest timestamps before this are not accepted any more by the caller's own rule
   * @returns false if it was claimed before
   */
  claim(nonce: string, timestamp: number, oldest: number): boolean {
    this.#forget(oldest)
    const second = Math.floor(timestamp / BUCKET_MS)
    let bucket = this.#buckets.get(second)
    if (bucket?.has(nonce)) return false
    if (this.#held >= this.#most) {
      this.#dropOldest()
      if (this.tooOld(timestamp)) return false
      bucket = this.#buckets.get(second)
    }
    if (bucket === undefined) {
      bucket = new Set()
      this.#buckets.set(second, bucket)
    }
    bucket.add(nonce)
    this.#held += 1
    return true
  }

  #forget(oldest: number): void {
    // No more buckets than seconds in two windows: looking at each costs less than keeping them in order.
    for (const [second, bucket] of this.#buckets) {
      if ((second + 1) * BUCKET_MS <= oldest) this.#drop(second, bucket)
    }
  }

  #dropOldest(): void {
    const second = Math.min(...this.#buckets.keys())
    const bucket = this.#buckets.get(second)
    if (bucket === undefined) return
    this.#drop(second, bucket)
    this.#floor = Math.max(this.#floor, (second + 1) * BUCKET_MS)
  }

  #drop(second: number, bucket: Set<string>): void {
    this.#buckets.delete(second)
    this.#held -= bucket.size
  }
}
