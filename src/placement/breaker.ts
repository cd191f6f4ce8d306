import type { Clock } from '../core/runtime.ts'
import type { OriginFaultKind } from './origin.ts'

export type BreakerState = 'closed' | 'half-open' | 'open'

export interface BreakerOptions {
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** How long a probe may take: longer, and its request was killed before it could tell how it went. */
  readonly leaseMs: number
  readonly onChange?: (state: 'closed' | 'open', openMs: number) => void
}

/** Permission to send one request. Call exactly one of its methods; a second call does nothing. */
export interface Permit {
  succeeded(): void
  failed(): void
  /** The origin is healthy and has no room: it is asked after the others for this long. */
  overloaded(retryAfterMs: number | undefined): void
  /** Nothing was learnt: the caller left. */
  abandoned(): void
}

/** So many failures one after another open it. */
const CONSECUTIVE = 3
/** So does this share of the last outcomes, none older than the window, once there are enough to tell. */
const FAILED_SHARE = 0.5
const OUTCOMES = 20
const FEWEST_OUTCOMES = 10
const WINDOW_MS = 10_000
/** The first wait; each failed probe doubles it, up to the longest. */
const OPEN_MS = 5_000
const LONGEST_OPEN_MS = 60_000
/** Waits are lengthened by up to this share, so that isolates do not all probe at the same moment. */
const JITTER = 0.2
/** How long an overloaded origin is asked last, where it says nothing or too much. */
const BUSY_MS = 1_000
const LONGEST_BUSY_MS = 10_000

/**
 * Circuit breaker for one origin in one isolate.
 *
 * Closed: requests pass. Opens after 3 failures in a row, or when half of the last 20 outcomes within 10 s failed (of at
 * least 10). Open: none pass, for 5 s, doubled by each failed probe up to 60 s, plus up to 20 %. Half-open: one request
 * passes as a probe; its success closes the breaker, its failure opens it again.
 *
 * A request that is killed never tells its outcome, so a probe has a lease: when that ends, the next request probes. An
 * outcome counts only in the state that its request was sent in, so that what fails late says nothing of what is new.
 */
export class Breaker {
  readonly #options: BreakerOptions
  /** Newest last. */
  #outcomes: { readonly at: number; readonly failed: boolean }[] = []
  #failuresInRow = 0
  /** When a probe may be sent; undefined while closed. */
  #opensAt: number | undefined
  #openMs = 0
  /** When the probe in work has to have told its outcome. */
  #leaseEnds: number | undefined
  /** Rises whenever older requests' outcomes lose their meaning. */
  #generation = 0
  #busyUntil = Number.NEGATIVE_INFINITY
  #succeededAt: number | undefined

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get state(): BreakerState {
    if (this.#opensAt === undefined) return 'closed'
    return this.#options.clock.now() < this.#opensAt ? 'open' : 'half-open'
  }

  /** Whether the origin has said lately that it has no room. */
  get busy(): boolean {
    return this.#options.clock.now() < this.#busyUntil
  }

  /** When the origin last answered this isolate; undefined if it never has. */
  get succeededAt(): number | undefined {
    return this.#succeededAt
  }

  /** Milliseconds until a request may pass; 0 if one may now. */
  get waitMs(): number {
    if (this.#opensAt === undefined) return 0
    const until = Math.max(this.#opensAt, this.#leaseEnds ?? this.#opensAt)
    return Math.max(0, until - this.#options.clock.now())
  }

  /** Permission to send a request, or null while the breaker is open or its probe is under way. */
  enter(): Permit | null {
    if (this.#opensAt === undefined) return this.#permit()
    if (this.waitMs > 0) return null
    this.#generation++
    this.#leaseEnds = this.#options.clock.now() + this.#options.leaseMs
    return this.#permit()
  }

  /** Another isolate marked this origin down. Requires a successful probe before further traffic. Does nothing unless closed. */
  forceHalfOpen(): void {
    if (this.#opensAt !== undefined) return
    this.#opensAt = this.#options.clock.now()
    this.#failuresInRow = 0
    this.#outcomes = []
    this.#generation++
  }

  /**
   * The origin itself has said that it is ready: while it is open, the next request may probe at once. That the waits go
   * on growing where the probe fails all the same keeps an origin that says so again and again from being asked each time.
   */
  originReady(): void {
    if (this.#opensAt === undefined || this.#leaseEnds !== undefined) return
    this.#opensAt = Math.min(this.#opensAt, this.#options.clock.now())
  }

  /**
   * A failure that showed itself after its request had counted as a success: an answer that broke off. It stands in the
   * place of the last success, or an origin all of whose answers break off would have failed every other time alone.
   */
  recordStreamFailure(): void {
    if (this.#opensAt !== undefined) return
    const success = this.#outcomes.findLastIndex(({ failed }) => !failed)
    if (success !== -1) this.#outcomes.splice(success, 1)
    const before = this.#outcomes.findLastIndex(({ failed }) => !failed)
    this.#failuresInRow = Math.max(this.#failuresInRow, this.#outcomes.length - 1 - before)
    this.#fail()
  }

  #permit(): Permit {
    const generation = this.#generation
    let told = false
    const tell = (outcome: () => void) => (): void => {
      if (told) return
      told = true
      if (generation === this.#generation) outcome()
    }
    return {
      succeeded: tell(() => this.#succeed()),
      failed: tell(() => this.#fail()),
      overloaded: (retryAfterMs) => {
        const ms = Math.min(LONGEST_BUSY_MS, Math.max(0, retryAfterMs ?? BUSY_MS))
        this.#busyUntil = Math.max(this.#busyUntil, this.#options.clock.now() + ms)
        tell(() => this.#succeed())()
      },
      abandoned: tell(() => {
        this.#leaseEnds = undefined
      }),
    }
  }

  #succeed(): void {
    this.#succeededAt = this.#options.clock.now()
    this.#failuresInRow = 0
    if (this.#opensAt === undefined) {
      this.#note(false)
      return
    }
    this.#opensAt = undefined
    this.#leaseEnds = undefined
    this.#openMs = 0
    this.#outcomes = []
    this.#generation++
    this.#options.onChange?.('closed', 0)
  }

  #fail(): void {
    if (this.#opensAt !== undefined) {
      this.#open()
      return
    }
    this.#failuresInRow++
    this.#note(true)
    if (this.#failuresInRow >= CONSECUTIVE || this.#tooManyFailed()) this.#open()
  }

  #open(): void {
    const { clock, onChange, random } = this.#options
    this.#openMs = this.#openMs === 0 ? OPEN_MS : Math.min(LONGEST_OPEN_MS, this.#openMs * 2)
    const wait = this.#openMs * (1 + JITTER * random())
    this.#opensAt = clock.now() + wait
    this.#leaseEnds = undefined
    this.#failuresInRow = 0
    this.#outcomes = []
    this.#generation++
    onChange?.('open', Math.round(wait))
  }

  #note(failed: boolean): void {
    this.#outcomes.push({ at: this.#options.clock.now(), failed })
    if (this.#outcomes.length > OUTCOMES) this.#outcomes.shift()
  }

  #tooManyFailed(): boolean {
    const since = this.#options.clock.now() - WINDOW_MS
    const recent = this.#outcomes.filter(({ at }) => at >= since)
    const failed = recent.filter((outcome) => outcome.failed).length
    return recent.length >= FEWEST_OUTCOMES && failed >= recent.length * FAILED_SHARE
  }
}

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
