import type { Clock } from '../core/runtime.ts'
import type { OriginFaultKind } from './fault.ts'

/** Retries that a request earns for others: with a dead region the origins get at most a fifth more than was asked. */
const EARNED_BY_REQUEST = 0.2
/** Retries a second that need no earning, so that an isolate with little to do can always try again. */
const EARNED_BY_SECOND = 1
/**
 * Most retries that can be saved up, and what a new isolate has: when a region dies, all that is in work there needs one
 * at once, and breakers have not yet heard of it.
 */
const MOST = 32

/** How many retries an isolate may make: a bucket of tokens, so that retries cannot multiply an overload. */
export class RetryBudget {
  readonly #clock: Clock
  #tokens = MOST
  #filledAt: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#filledAt = clock.now()
  }

  /** Counts a request that is sent for the first time. */
  earn(): void {
    this.#tokens = Math.min(MOST, this.#tokens + EARNED_BY_REQUEST)
  }

  /** Takes a retry, if there is one. */
  spend(): boolean {
    const now = this.#clock.now()
    const seconds = Math.max(0, now - this.#filledAt) / 1000
    this.#filledAt = now
    this.#tokens = Math.min(MOST, this.#tokens + seconds * EARNED_BY_SECOND)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}

/** Least and greatest wait before another try. */
const BACKOFF_MS = [25, 150] as const

/**
 * Milliseconds to wait before another try: short, because it goes to another origin as a rule, and never the same for
 * two requests that failed together.
 * @param random uniform in [0, 1)
 */
export function backoffMs(random: () => number): number {
  const [least, most] = BACKOFF_MS
  return least + random() * (most - least)
}

/**
 * Faults after which the same origin may answer a second later. One that was late would be late again, and has cost the
 * caller its time already; one that is full has to be left alone.
 */
const PASSING: ReadonlySet<OriginFaultKind> = new Set(['refused', 'cut', 'error-status'])

export function mayPass(kind: OriginFaultKind): boolean {
  return PASSING.has(kind)
}
