import { throwIfAborted, VergeError } from '../core/errors.ts'
import type { Clock, RunCounter } from '../core/runtime.ts'
import { wokenOrLate } from '../core/work.ts'

interface Waiter {
  wake: () => void
  /** In order of which turns are given; those of one rank go in order of arrival. */
  readonly rank: number
  /** When this place came first in the queue; its owner has `leaseMs` from then to begin. */
  firstSince: number | undefined
  /** Its work has begun and pauses: nobody is put in front of it. */
  running: boolean
}

export interface RunQueueOptions {
  readonly clock: Clock
  /** Who is first and does not begin within this time loses its slot. */
  readonly leaseMs: number
  /** Work up to this cost, taken together, may go through without a yield; none if left out. */
  readonly costBetweenYields?: number
  /** Counts the runs of this isolate; all that ask for turns share it. */
  readonly runs?: RunCounter
}

/** Facts about work before it runs, because no clock can measure it. */
export interface QueuedRun {
  /** In the units of `costBetweenYields`; unbounded if left out. */
  readonly cost?: number
  /**
   * The request of the work: each request gets its share of the engine. Work without it counts as a separate request.
   */
  readonly request?: AbortSignal
  /** `RunCounter.finished` when the request came in; if left out, the loop may not have turned since the last run. */
  readonly runsBefore?: number | undefined
}

/** Assumed cost of work without a known cost, usually loading a model. */
const UNKNOWN_COST = 1_000

/**
 * Runs one synchronous piece of work at a time, and lets the event loop turn between two of them, so that new requests
 * are admitted, refused or cancelled while a queue is worked off. A request that arrived after the last run does not
 * wait for this, because the loop has turned to deliver it.
 *
 * Requests share the engine by cost (weighted fair queueing with equal weights): a request's rank is the virtual time
 * at its arrival plus the cost of its runs since, and the lowest rank is next. Virtual time advances by the cost of a
 * run divided by the number of requests in the queue. So requests of one run each go in order of arrival, and one of
 * many small runs makes several of them in a row once others have had larger ones, instead of waiting for everybody's
 * run before each of its own.
 *
 * A request that is killed never leaves the queue by itself: a waiter that is first and does not begin is dropped.
 */
export class RunQueue {
  readonly #queue: Waiter[] = []
  readonly #clock: Clock
  readonly #leaseMs: number
  readonly #costBetweenYields: number
  readonly #runs: RunCounter
  /** Cost of the work done since the event loop was last yielded to. */
  #spent = 0
  #virtualTime = 0
  /** Ranks of requests, as far as they have run. */
  readonly #ranks = new WeakMap<AbortSignal, number>()

  constructor(options: RunQueueOptions) {
    this.#clock = options.clock
    this.#leaseMs = options.leaseMs
    this.#costBetweenYields = options.costBetweenYields ?? 0
    this.#runs = options.runs ?? { finished: 0 }
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** Runs `work` when its turn has come. @throws cancelled, deadline_exceeded, and what `work` throws */
  async run<T>(signal: AbortSignal, work: () => T, queued: QueuedRun = {}): Promise<T> {
    return this.#take(signal, queued, () => work())
  }

  /**
   * As `run`, for work that lets the event loop turn while it goes on, and keeps its turn: others wait until it is done. Work
   * that was killed in a pause loses its turn after `leaseMs`, as does one that comes back from a pause later than that.
   * @throws what `run` throws; `pause` throws cancelled, deadline_exceeded, and session_lost where the turn was lost
   */
  async runWithPauses<T>(
    signal: AbortSignal,
    work: (pause: () => Promise<void>) => Promise<T>,
    queued: QueuedRun = {},
  ): Promise<T> {
    return this.#take(signal, queued, async (waiter) => {
      waiter.running = true
      try {
        return await work(() => this.#pause(waiter, signal))
      } finally {
        waiter.running = false
      }
    })
  }

  async #pause(waiter: Waiter, signal: AbortSignal): Promise<void> {
    waiter.firstSince = this.#clock.now()
    await this.#clock.sleep(0, signal)
    if (this.#queue[0] !== waiter) {
      throw new VergeError('session_lost', 'The run took too long between two steps and lost its turn; ask again.', {
        retryAfter: 1,
      })
    }
    waiter.firstSince = this.#clock.now()
    this.#spent = 0
  }

  async #take<T>(signal: AbortSignal, queued: QueuedRun, work: (waiter: Waiter) => T | Promise<T>): Promise<T> {
    const { cost = Number.POSITIVE_INFINITY, request, runsBefore = -1 } = queued
    throwIfAborted(signal)
    let waiter = this.#join(request)
    try {
      for (;;) {
        this.#dropLateFirst()
        if (!this.#queue.includes(waiter)) waiter = this.#join(request)
        if (this.#queue[0] === waiter) {
          if (this.#runs.finished <= runsBefore) {
            this.#spent = 0
          } else if (this.#spent + cost > this.#costBetweenYields) {
            // The yield: a timer lets the loop take in what has arrived before this work blocks it again.
            await this.#clock.sleep(0, signal)
            this.#spent = 0
          }
          if (this.#queue[0] === waiter) return await this.#run(() => work(waiter), cost, request)
        } else {
          await wokenOrLate(waiter, this.#clock, signal)
        }
      }
    } finally {
      this.#leave(waiter)
    }
  }

  async #run<T>(work: () => T | Promise<T>, cost: number, request: AbortSignal | undefined): Promise<T> {
    this.#spent += cost
    const share = Number.isFinite(cost) ? cost : UNKNOWN_COST
    if (request !== undefined) this.#ranks.set(request, this.#rankOf(request) + share)
    this.#virtualTime += share / this.#queue.length
    try {
      return await work()
    } finally {
      this.#runs.finished++
    }
  }

  /** A request keeps its rank while others overtake it, and so catches up with them. */
  #rankOf(request: AbortSignal | undefined): number {
    if (request === undefined) return this.#virtualTime
    const rank = this.#ranks.get(request) ?? this.#virtualTime
    this.#ranks.set(request, rank)
    return rank
  }

  #join(request: AbortSignal | undefined): Waiter {
    const waiter: Waiter = { wake: () => {}, rank: this.#rankOf(request), firstSince: undefined, running: false }
    const before = this.#queue.findIndex(({ rank, running }) => !running && rank > waiter.rank)
    const [first] = this.#queue
    this.#queue.splice(before < 0 ? this.#queue.length : before, 0, waiter)
    // Who was first begins to wait again: its lease is for the time that it is first.
    if (first !== undefined && first !== this.#queue[0]) first.firstSince = undefined
    this.#markFirst()
    return waiter
  }

  #leave(waiter: Waiter): void {
    const index = this.#queue.indexOf(waiter)
    if (index >= 0) this.#queue.splice(index, 1)
    this.#markFirst()
  }

  #markFirst(): void {
    const first = this.#queue[0]
    if (first && first.firstSince === undefined) {
      first.firstSince = this.#clock.now()
      first.wake()
    }
  }

  #dropLateFirst(): void {
    const first = this.#queue[0]
    if (first?.firstSince !== undefined && this.#clock.now() - first.firstSince > this.#leaseMs) this.#leave(first)
  }
}
