import { VergeError } from '../core/errors.ts'
import type { Clock } from '../core/runtime.ts'
import { UNIT_SECONDS } from '../core/units.ts'

export interface BacklogOptions {
  /** Units (docs/decisions/0008) that all runs taken on may cost together. */
  readonly cost: number
  /** Bytes of the inputs that wait for a run. */
  readonly bytes: number
  /** A request that gives no sign of life for this long is not counted: it was killed, or its reader is slow. */
  readonly idleMs: number
  /**
   * A request with a waiting run renews its sign of life at this interval, by its own timer, which ends with the
   * request.
   */
  readonly renewMs: number
  readonly clock: Clock
}

/** One request's part. */
interface Share {
  /** What its runs will still cost. */
  planned: number
  /** Of this, runs that wait or are made. */
  running: number
  bytes: number
  expires: number
}

const LONGEST_RETRY_AFTER = 10
/** Less is nothing: what sums of fractions leave when their parts are subtracted again. */
const LEAST_COST = 1e-6
/** Longer than any request lasts. */
const FORGOTTEN_MS = 600_000

/**
 * Accepted work of an isolate that has not finished, by cost and by bytes. A queue that takes longer than callers wait
 * is useless, so work that does not fit is refused at once. A hundred small runs fit, while a few large ones fill it. A
 * single request always fits.
 */
export class Backlog {
  readonly #options: BacklogOptions
  /** By a request's signal. */
  readonly #shares = new Map<AbortSignal, Share>()

  constructor(options: BacklogOptions) {
    this.#options = options
  }

  /** Remaining work, in units. */
  get cost(): number {
    return this.#othersOf(undefined).cost
  }

  /** Whether hardly anything more would be taken on. */
  get full(): boolean {
    return this.cost >= this.#options.cost
  }

  /** Takes on all runs of a request before the first of them. @throws overloaded */
  plan(request: AbortSignal, cost: number): void {
    const share = this.#shareOf(request)
    this.#admit(request, Math.max(share.planned, cost), share.bytes)
    share.planned = Math.max(share.planned, cost)
  }

  /** Says that planned work is done, or was answered without being done. */
  spend(request: AbortSignal, cost: number): void {
    const share = this.#shares.get(request)
    if (share === undefined) return
    share.planned = Math.max(share.running, share.planned - cost)
    this.#renew(share)
    if (share.planned < LEAST_COST) this.#shares.delete(request)
  }

  /** Removes the rest of a request's plan. */
  close(request: AbortSignal): void {
    const share = this.#shares.get(request)
    if (share !== undefined) this.spend(request, share.planned)
  }

  /**
   * Makes a run, as part of a plan or by itself. A run that fails ends its request's plan.
   * @param bytes of its inputs
   * @throws overloaded, and what `work` throws
   */
  async run<T>(request: AbortSignal, cost: number, bytes: number, work: () => Promise<T>): Promise<T> {
    const share = this.#shareOf(request)
    const planned = Math.max(share.planned, share.running + cost)
    this.#admit(request, planned, share.bytes + bytes)
    share.planned = planned
    share.running += cost
    share.bytes += bytes
    const cancelTimer = this.#keepAlive(share)
    let done = false
    try {
      const result = await work()
      done = true
      return result
    } finally {
      cancelTimer()
      share.running -= cost
      share.bytes -= bytes
      if (done) this.spend(request, cost)
      else this.close(request)
    }
  }

  #shareOf(request: AbortSignal): Share {
    const share = this.#shares.get(request) ?? { planned: 0, running: 0, bytes: 0, expires: 0 }
    this.#shares.set(request, share)
    this.#renew(share)
    return share
  }

  #renew(share: Share): void {
    const { clock, idleMs } = this.#options
    share.expires = clock.now() + idleMs
  }

  /** @returns what ends it */
  #keepAlive(share: Share): () => void {
    const { renewMs, clock } = this.#options
    let cancelTimer = (): void => {}
    const renew = (): void => {
      this.#renew(share)
      cancelTimer = clock.after(renewMs, renew)
    }
    renew()
    return () => cancelTimer()
  }

  #admit(request: AbortSignal, cost: number, bytes: number): void {
    const others = this.#othersOf(request)
    const fits = others.cost + cost <= this.#options.cost && others.bytes + bytes <= this.#options.bytes
    if (fits || others.count === 0) return
    const share = this.#shares.get(request)
    if (share !== undefined && share.planned < LEAST_COST) this.#shares.delete(request)
    const seconds = Math.ceil(others.cost * UNIT_SECONDS)
    throw new VergeError('overloaded', 'This isolate is processing too many requests. Try again in a moment.', {
      retryAfter: Math.min(LONGEST_RETRY_AFTER, Math.max(1, seconds)),
    })
  }

  #othersOf(request: AbortSignal | undefined): {
    readonly cost: number
    readonly bytes: number
    readonly count: number
  } {
    const now = this.#options.clock.now()
    let cost = 0
    let bytes = 0
    let count = 0
    for (const [other, share] of this.#shares) {
      if (other === request) continue
      if (now > share.expires) {
        // Its owner may only be slow: with its next sign of life it counts again.
        if (now > share.expires + FORGOTTEN_MS) this.#shares.delete(other)
        continue
      }
      cost += share.planned
      bytes += share.bytes
      count++
    }
    return { cost, bytes, count }
  }
}
