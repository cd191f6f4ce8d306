import type { Clock } from '../../core/runtime.ts'
import { isSampled, type Parent } from './propagation.ts'

export interface SamplingOptions {
  /** Share of the requests that are recorded by themselves, 0 to 1. */
  readonly rate: number
  /** Most requests in a minute that are recorded because their callers ask for it. */
  readonly askedPerMinute: number
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
  #since = Number.NEGATIVE_INFINITY
  #asked = 0

  constructor(options: SamplingOptions) {
    this.#options = options
  }

  /** @param parent of a caller who is trusted */
  records(parent: Parent | undefined): boolean {
    const { random, rate } = this.#options
    if (parent === undefined) return random() < rate
    return isSampled(parent.context) && this.#mayAsk()
  }

  #mayAsk(): boolean {
    const { askedPerMinute, clock } = this.#options
    const now = clock.now()
    // A clock that goes back begins a minute, too.
    if (now < this.#since || now >= this.#since + MINUTE_MS) {
      this.#since = now
      this.#asked = 0
    }
    this.#asked++
    return this.#asked <= askedPerMinute
  }
}
