import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { LruMap } from '../core/lru.ts'
import type { Clock } from '../core/runtime.ts'
import { addressKey } from './address.ts'
import type { FloodGuard } from './flood.ts'

export interface AttemptOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly limits: Pick<Limits, 'failedAttempts' | 'failedAttemptMs' | 'failingAddresses'>
  /** The platform's limit for addresses, which counts in all isolates of a location. */
  readonly addressRate?: FloodGuard | undefined
}

interface Failures {
  readonly count: number
  /** By the clock, in milliseconds. */
  readonly at: number
}

/**
 * Counts wrong credentials by address, in this isolate. After so many, an address has to wait before another is looked up.
 * Callers without an address are counted together. Where the clock stands still, nobody is let off.
 */
export class Attempts {
  readonly #clock: Pick<Clock, 'now'>
  readonly #limits: AttemptOptions['limits']
  readonly #addressRate: FloodGuard | undefined
  readonly #failures: LruMap<Failures>

  constructor({ addressRate, clock, limits }: AttemptOptions) {
    this.#addressRate = addressRate
    this.#clock = clock
    this.#limits = limits
    this.#failures = new LruMap(limits.failingAddresses)
  }

  /** To be asked before a credential costs a look-up. @throws rate_limited */
  async beforeLookUp(address: string | undefined): Promise<void> {
    const key = addressKey(address)
    this.#assertAllowed(key)
    await this.#addressRate?.(key)
  }

  /**
   * To be asked before a credential is verified that costs no look-up as a rule. The platform counts those of addresses that
   * have sent wrong ones: behind an address of a company many people are signed in. @throws rate_limited
   */
  async beforeCheck(address: string | undefined): Promise<void> {
    const key = addressKey(address)
    if (this.#assertAllowed(key) > 0) await this.#addressRate?.(key)
  }

  /** Counts a wrong credential. @throws rate_limited, where it was one too many */
  failed(address: string | undefined): void {
    const key = addressKey(address)
    const { at, count } = this.#now(key)
    const most = this.#limits.failedAttempts
    // Further ones do not lengthen the wait: others may have the same address.
    this.#failures.set(key, { at, count: Math.min(most, count + 1) })
    if (count >= most) throw this.#tooMany(count)
  }

  /** @returns how many failures count now @throws rate_limited */
  #assertAllowed(key: string): number {
    const { count } = this.#now(key)
    if (count >= this.#limits.failedAttempts) throw this.#tooMany(count)
    return count
  }

  /** The failures that count now, each forgotten after a while. */
  #now(key: string): Failures {
    const now = this.#clock.now()
    const { at, count } = this.#failures.get(key) ?? { at: now, count: 0 }
    // A clock that went back forgets nothing, and locks nobody out until it has caught up.
    if (now < at) this.#failures.set(key, { at: now, count })
    const forgotten = Math.floor(Math.max(0, now - at) / this.#limits.failedAttemptMs)
    const left = Math.max(0, count - forgotten)
    return { count: left, at: left === 0 || now < at ? now : at + forgotten * this.#limits.failedAttemptMs }
  }

  #tooMany(count: number): VergeError {
    const { failedAttemptMs, failedAttempts } = this.#limits
    const seconds = Math.ceil(((count - failedAttempts + 1) * failedAttemptMs) / 1000)
    return new VergeError(
      'rate_limited',
      `Too many wrong keys came from this address. Correct the key, and try again in ${seconds} seconds.`,
      { details: { limit: 'failed_attempts' }, retryAfter: seconds },
    )
  }
}
