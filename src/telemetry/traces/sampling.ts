import type { Clock } from '../../core/runtime.ts'
import { isSampled, type Parent } from './propagation.ts'

export interface SamplingOptions {
  /** Share of the requests that are recorded by themselves, 0 to 1. */
  readonly rate: number
  /** Most requests in a minute that are recorded because their callers ask for it. */
  readonly askedPerMinute: number
  /** The same, of those that were refused before their callers were known. */
  readonly refusedPerMinute: number
  readonly clock: Pick<Clock, 'now'>
  /** Uniform in [0, 1). */
  readonly random: () => number
}

const MINUTE_MS = 60_000

/**
 * Decides at a request's beginning whether it is recorded. A trusted caller's flag decides, within a bound: each export
 * costs the operator money. Nobody else's does, and neither does the trace's id, which a caller could choose for a sampler
 * that goes by it: it is drawn.
 */
export class Sampling {
  readonly #options: SamplingOptions
  readonly #asked: PerMinute
  readonly #refused: PerMinute

  constructor(options: SamplingOptions) {
    this.#options = options
    this.#asked = new PerMinute(options.askedPerMinute, options.clock)
    this.#refused = new PerMinute(options.refusedPerMinute, options.clock)
  }

  /** @param parent of a caller who is trusted */
  records(parent: Parent | undefined): boolean {
    if (parent === undefined) return this.#isDrawn()
    return isSampled(parent.context) && this.#asked.take()
  }

  /** Of a request that was refused before its caller was known: drawn as the others, and few of them. */
  recordsRefused(): boolean {
    return this.#isDrawn() && this.#refused.take()
  }

  #isDrawn(): boolean {
    const { random, rate } = this.#options
    return random() < rate
  }
}

class PerMinute {
  readonly #most: number
  readonly #clock: Pick<Clock, 'now'>
  #since = Number.NEGATIVE_INFINITY
  #taken = 0

  constructor(most: number, clock: Pick<Clock, 'now'>) {
    this.#most = most
    this.#clock = clock
  }

  take(): boolean {
    const now = this.#clock.now()
    // A clock that goes back begins a minute, too.
    if (now < this.#since || now >= this.#since + MINUTE_MS) {
      this.#since = now
      this.#taken = 0
    }
    this.#taken++
    return this.#taken <= this.#most
  }
}
