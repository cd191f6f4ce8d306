import { throwIfAborted, VergeError } from './errors.ts'
import type { Clock } from './runtime.ts'

/**
 * A long computation in pieces. It yields the steps of each piece, so that the runner can let the event loop turn in
 * between, which is the only time when a deadline or a disconnected caller is noticed. A step is about a nanosecond of
 * the machine of the benchmark (docs/limits.md). Steps are counted because no clock moves while a Worker computes.
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
  #required = 0

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.limit = limit
  }

  get spent(): number {
    return this.#spent
  }

  /** The highest announced cost: the cost of the whole work, as far as known. */
  get required(): number {
    return this.#required
  }

  /** Refuses work by its cost before it starts. @throws the error of `refusal` */
  require(steps: number, refusal: Refusal): void {
    this.#required = Math.max(this.#required, this.#spent + steps)
    if (this.#spent + steps > this.limit) throw refusal(this.#spent + steps, this.limit)
  }

  /** @throws what `refusal` makes, once the limit is passed */
  spend(steps: number, refusal: Refusal): void {
    this.#spent += steps
    if (this.#spent > this.limit) throw refusal(this.#spent, this.limit)
  }

  /** Steps since the last call: the value that a piece of work yields. */
  piece(): number {
    const steps = this.#spent - this.#reported
    this.#reported = this.#spent
    return steps
  }
}

/** @param steps that are needed, as far as it is known */
export type Refusal = (steps: number, limit: number) => VergeError

/**
 * What work will take: its steps, or the meter that counts them. Work with a meter asks it for its cost with `require` and
 * yields before it takes memory.
 */
export type WorkCost = number | StepMeter

export interface WorkLaneOptions {
  readonly clock: Clock
  /** Steps between two turns of the event loop. */
  readonly stepsBetweenPauses: number
  /** Work that has not been seen for this long belongs to a request that was killed, and loses its slot. */
  readonly leaseMs: number
  /** Most steps that may have their turn before a work; it is refused where there are more. No bound if left out. */
  readonly mostStepsAhead?: number
}

const STEPS_PER_SECOND = 1e9
const LONGEST_RETRY_AFTER = 10

interface Waiter {
  wake: () => void
  seen: number
  /** In order of which turns are given. */
  readonly rank: number
  /** Steps that are still to be done, as far as the cost says. */
  left: number
}

/**
 * Runs one work at a time, and lets the event loop turn between its pieces. Only one, because started work holds
 * memory: decoding an image takes up to 28 MiB of the isolate's 128. Started work therefore runs to its end.
 *
 * What has not begun shares the lane by its cost, as requests share the engine (`engine/run-queue.ts`): a work's rank is
 * the virtual time at its arrival plus its cost, and the lowest is next. Virtual time advances by the steps that are done
 * divided by the number of works. A small picture so waits for the one that is being decoded, and not for sixty large
 * ones, and none of those waits for ever. A work that others would keep from its turn for too long is refused at once.
 *
 * A killed request never leaves the lane by itself: a waiter that is first and is not seen for `leaseMs` is dropped. If its
 * owner was only slow, it goes on beside the next one.
 */
export class WorkLane {
  readonly #options: WorkLaneOptions
  readonly #waiters: Waiter[] = []
  #virtualSteps = 0

  constructor(options: WorkLaneOptions) {
    this.#options = options
  }

  /**
   * @param cost default: the steps between two yields
   * @throws overloaded, cancelled, deadline_exceeded, and errors of the work
   */
  async perform<T>(work: Work<T>, signal: AbortSignal, cost?: WorkCost): Promise<T> {
    throwIfAborted(signal)
    const { clock, stepsBetweenPauses } = this.#options
    if (cost instanceof StepMeter) {
      // Up to its cost.
      const { done, value } = work.next()
      if (done) return value
    }
    const waiter = this.#join((cost instanceof StepMeter ? cost.required : cost) ?? stepsBetweenPauses)
    try {
      while (this.#waiters.includes(waiter) && this.#waiters[0] !== waiter) {
        await wokenOrLate(waiter, clock, signal)
        waiter.seen = clock.now()
        this.#dropUnseen()
      }
      return await this.#run(work, waiter, signal)
    } finally {
      const index = this.#waiters.indexOf(waiter)
      if (index >= 0) this.#waiters.splice(index, 1)
      this.#waiters[0]?.wake()
    }
  }

  /** @throws overloaded */
  #join(cost: number): Waiter {
    const { clock, mostStepsAhead = Number.POSITIVE_INFINITY } = this.#options
    const rank = this.#virtualSteps + cost
    // The first has begun, or is about to.
    const later = this.#waiters.findIndex((other, i) => i > 0 && other.rank > rank)
    const at = later < 0 ? this.#waiters.length : later
    const ahead = this.#waiters.slice(0, at).reduce((sum, other) => sum + (this.#isSeen(other) ? other.left : 0), 0)
    if (ahead > mostStepsAhead) {
      throw new VergeError('overloaded', 'This isolate is reading too many requests. Try again in a moment.', {
        retryAfter: Math.min(LONGEST_RETRY_AFTER, Math.ceil(ahead / STEPS_PER_SECOND)),
      })
    }
    const waiter: Waiter = { wake: () => {}, seen: clock.now(), rank, left: cost }
    this.#waiters.splice(at, 0, waiter)
    return waiter
  }

  async #run<T>(work: Work<T>, waiter: Waiter, signal: AbortSignal): Promise<T> {
    const { clock, stepsBetweenPauses } = this.#options
    for (let steps = 0; ; ) {
      const { done, value } = work.next()
      if (done) return value
      steps += value
      waiter.left = Math.max(0, waiter.left - value)
      this.#virtualSteps += value / Math.max(1, this.#waiters.length)
      if (steps < stepsBetweenPauses) continue
      steps = 0
      await clock.sleep(0, signal)
      waiter.seen = clock.now()
    }
  }

  #isSeen({ seen }: Waiter): boolean {
    return this.#options.clock.now() - seen <= this.#options.leaseMs
  }

  #dropUnseen(): void {
    const [first] = this.#waiters
    if (first === undefined || this.#isSeen(first)) return
    this.#waiters.shift()
    this.#waiters[0]?.wake()
  }
}

/** A waiter is woken when it is next; the poll is for the case that the one who should have woken it was killed. */
const POLL_MS = 250

/** Waits until somebody calls `wake`, or until it is time to look again. @throws cancelled, deadline_exceeded */
export async function wokenOrLate(
  waiter: { wake: () => void },
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal,
): Promise<void> {
  const woken = new Promise<void>((resolve) => {
    waiter.wake = resolve
  })
  await Promise.race([woken, clock.sleep(POLL_MS, signal)])
}

/**
 * Refuses a file that takes too many steps to read.
 * @param what the file, with what was found in it
 * @param advice what to send instead, without a full stop
 */
export function tooManySteps(what: string, advice: string): Refusal {
  return (steps, limit) =>
    new VergeError(
      'input_too_large',
      `${what} takes ${millions(steps)} million steps to read; the limit is ${millions(limit)} million. ${advice}.`,
      { details: { steps: Math.ceil(steps), limit_steps: limit } },
    )
}

function millions(steps: number): number {
  return Math.ceil(steps / 1e6)
}
