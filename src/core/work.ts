import { throwIfAborted, type VergeError } from './errors.ts'
import type { Clock } from './runtime.ts'

/**
 * A long computation in pieces. It yields the steps of each piece, so that whoever runs it can let the event loop turn in
 * between: a deadline or a caller that left is noticed there and nowhere else. A step is about a nanosecond of the machine
 * of the benchmark (docs/limits.md). Steps are counted because no clock moves while a Worker computes.
 */
export type Work<T> = Generator<number, T, undefined>

/** Runs all pieces at once. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
  }
}

/** Counts the steps of one request's work against the most that it may take. */
export class StepMeter {
  readonly limit: number
  #spent = 0
  #reported = 0

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.limit = limit
  }

  get spent(): number {
    return this.#spent
  }

  /** Refuses work whose price is known before any of it is done. @throws what `refusal` makes */
  require(steps: number, refusal: Refusal): void {
    if (this.#spent + steps > this.limit) throw refusal(this.#spent + steps, this.limit)
  }

  /** @throws what `refusal` makes, once the limit is passed */
  spend(steps: number, refusal: Refusal): void {
    this.#spent += steps
    if (this.#spent > this.limit) throw refusal(this.#spent, this.limit)
  }

  /** Steps since this was asked last: what a piece of work yields. */
  piece(): number {
    const steps = this.#spent - this.#reported
    this.#reported = this.#spent
    return steps
  }
}

/** @param steps that are needed, as far as it is known */
export type Refusal = (steps: number, limit: number) => VergeError

export interface WorkLaneOptions {
  readonly clock: Clock
  /** Steps between two turns of the event loop. */
  readonly stepsBetweenPauses: number
  /** Work that has not been seen for this long belongs to a request that was killed, and loses its place. */
  readonly leaseMs: number
}

/** A waiter is woken when it is first; the poll is for the case that the one who should have woken it was killed. */
const POLL_MS = 250

interface Place {
  wake: () => void
  seen: number
}

/**
 * Runs one piece of work at a time, in order of arrival, and lets the event loop turn between its pieces. One at a time,
 * because work that was begun holds memory: a picture that is being decoded takes up to 28 MiB of the isolate's 128.
 *
 * A killed request never leaves the lane by itself: a place that is first and is not seen for `leaseMs` is dropped. If its
 * owner was only slow, it goes on beside the next one.
 */
export class WorkLane {
  readonly #options: WorkLaneOptions
  readonly #places: Place[] = []

  constructor(options: WorkLaneOptions) {
    this.#options = options
  }

  /** @throws cancelled, deadline_exceeded, and what the work throws */
  async perform<T>(work: Work<T>, signal: AbortSignal): Promise<T> {
    throwIfAborted(signal)
    const { clock } = this.#options
    const place: Place = { wake: () => {}, seen: clock.now() }
    this.#places.push(place)
    try {
      while (this.#places.includes(place) && this.#places[0] !== place) {
        await this.#wait(place, signal)
        place.seen = clock.now()
        this.#dropUnseen()
      }
      return await this.#run(work, place, signal)
    } finally {
      const index = this.#places.indexOf(place)
      if (index >= 0) this.#places.splice(index, 1)
      this.#places[0]?.wake()
    }
  }

  async #run<T>(work: Work<T>, place: Place, signal: AbortSignal): Promise<T> {
    const { clock, stepsBetweenPauses } = this.#options
    for (let steps = 0; ; ) {
      const { done, value } = work.next()
      if (done) return value
      steps += value
      if (steps < stepsBetweenPauses) continue
      steps = 0
      await clock.sleep(0, signal)
      place.seen = clock.now()
    }
  }

  async #wait(place: Place, signal: AbortSignal): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      place.wake = resolve
    })
    await Promise.race([woken, this.#options.clock.sleep(POLL_MS, signal)])
  }

  #dropUnseen(): void {
    const first = this.#places[0]
    if (first === undefined || this.#options.clock.now() - first.seen <= this.#options.leaseMs) return
    this.#places.shift()
    this.#places[0]?.wake()
  }
}
