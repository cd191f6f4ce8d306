import { abortError, isVergeError, throwIfAborted } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Coordinates, Logger, RequestContext } from '../core/runtime.ts'
import { Breaker, backoffMs, mayPass, type Permit, RetryBudget } from './breaker.ts'
import type { HealthView } from './health.ts'
import { noOriginError, type Origin, OriginFault, upstreamName } from './origin.ts'

export interface OriginPoolOptions {
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly health: HealthView
  readonly logger: Logger
  readonly limits: Pick<Limits, 'originAttempts' | 'originLeastTryMs'>
  /**
   * Is told of each try.
   * @param outcome `ok`, `refused` for what the origin found wrong with the request, `left` if the caller went, or the kind of a fault
   * @param ms until the origin answered, or failed to
   */
  readonly tried?: (origin: string, outcome: string, ms: number) => void
}

export interface OriginCandidate {
  readonly origin: Origin
  /** `half-open`: one request at a time may try it; `down`: its breaker is open, or the shared record says so. */
  readonly state: 'up' | 'half-open' | 'down'
  /** Whether it has answered anybody yet, as far as is known here: this isolate, or a probe of the shared record. */
  readonly answered: boolean
}

export interface AttemptOptions {
  /**
   * Whether the request can be sent again: false for a stream that may have been touched. An origin that refused the
   * connection has read nothing, and the next is asked all the same.
   */
  readonly replayable?: boolean
  /** Whether what can be sent but once is still there: an origin that refuses may have begun to read it. */
  readonly untouched?: () => boolean
  /** When the caller stops waiting, by the clock; near it no other try is begun. */
  readonly deadline?: number
}

export interface Attempted<T> {
  readonly value: T
  readonly origin: Origin
  /** Tries, the successful one included. */
  readonly attempts: number
}

/** All origins as one isolate sees them: which to ask first, which to leave alone, and what to do when one fails. */
export class OriginPool {
  readonly #options: OriginPoolOptions
  readonly #origins: readonly Origin[]
  readonly #breakers = new Map<string, Breaker>()
  readonly #budget: RetryBudget

  constructor(origins: readonly Origin[], options: OriginPoolOptions) {
    this.#options = options
    this.#origins = origins
    this.#budget = new RetryBudget(options.clock)
    for (const { name, timeouts } of origins) {
      this.#breakers.set(
        name,
        new Breaker({
          clock: options.clock,
          random: options.random,
          // an outcome is known by the headers, or by the end of an answer that is read whole
          leaseMs: Math.min(timeouts.totalMs, timeouts.headersMs + timeouts.idleMs),
          onChange: (state, openMs) => {
            // that it answers again is no warning
            if (state === 'open') options.logger.warn('origin_breaker', { origin: name, state, open_ms: openMs })
            else options.logger.info('origin_breaker', { origin: name, state })
          },
        }),
      )
    }
  }

  /**
   * Origins that have a model, in the order in which to ask them: the nearest first of those that are up or may be tried
   * again, then those that have just said that they are full, then those that may be tried though the shared record calls
   * them down, then those that are down. An origin that may be tried again keeps its place, or nobody would ever try one
   * while another is well. Where none but those that the record alone calls down is left, they may be tried: the record
   * may be old, or the probe and not the origin be at fault.
   * @param model undefined: every origin
   */
  candidates(model: string | undefined, near: Coordinates | undefined): readonly OriginCandidate[] {
    const having = this.#origins.filter((origin) => model === undefined || upstreamName(origin, model) !== undefined)
    const known = new Map(having.map((origin) => [origin, this.#stateOf(origin)]))
    const some = [...known.values()].some((state) => state === 'up' || state === 'half-open')
    const ordered = byDistance(having, near, this.#options.random).map((origin) => {
      const found = known.get(origin) ?? 'down'
      const state = found === 'doubtful' ? (some ? 'down' : 'half-open') : found
      return { origin, state, rank: this.#rankOf(origin, state) }
    })
    // sorting is stable: within a rank the order by distance stays
    return ordered
      .sort((a, b) => a.rank - b.rank)
      .map(({ origin, state }) => ({ origin, state, answered: this.#hasAnswered(origin) }))
  }

  /** Seconds until the first of the origins that have a model may be asked again; at least one. */
  retryAfter(model: string): number {
    const having = this.#origins.filter((origin) => upstreamName(origin, model) !== undefined)
    return Math.max(1, Math.ceil(this.#waitMs(having) / 1000))
  }

  /**
   * Sends a request to the first of the origins that takes it, and to the next if that one fails in a way that allows it:
   * three tries at most, one for each origin; a single origin gets a second if a moment can help. Retries wait a moment,
   * and come out of the isolate's budget. The outcome is what `send` tells: it resolves as soon as the answer counts, and
   * throws `OriginFault` for what speaks against the origin; anything else it throws is passed on.
   * @param origins in the order in which to ask them
   * @throws origin_unavailable, origin_failed, overloaded, cancelled, deadline_exceeded, and what `send` throws
   */
  async attempt<T>(
    origins: readonly Origin[],
    context: Pick<RequestContext, 'signal' | 'requestId'>,
    send: (origin: Origin, attempt: number) => Promise<T>,
    { replayable = true, untouched = () => true, deadline = Number.POSITIVE_INFINITY }: AttemptOptions = {},
  ): Promise<Attempted<T>> {
    const { clock, limits, random } = this.#options
    const faults: OriginFault[] = []
    // What cannot be sent again is no probe: those that are up come first.
    const isUp = (origin: Origin): boolean => this.#stateOf(origin) === 'up'
    const waiting = replayable ? [...origins] : [...origins.filter(isUp), ...origins.filter((origin) => !isUp(origin))]
    this.#budget.earn()
    while (faults.length < limits.originAttempts) {
      throwIfAborted(context.signal)
      const turn = this.#next(waiting)
      if (turn === undefined) break
      const last = faults.at(-1)
      if (last !== undefined) {
        const wait = backoffMs(random)
        const inTime = clock.now() + wait + limits.originLeastTryMs <= deadline
        if (!inTime || !this.#budget.spend()) {
          turn.permit.abandoned()
          break
        }
        await pause(wait, turn.permit, context.signal, clock)
      }
      const { origin, permit } = turn
      const outcome = await this.#try(origin, permit, context, () => send(origin, faults.length + 1))
      if (outcome.ok) return { value: outcome.value, origin, attempts: faults.length + 1 }
      const { fault } = outcome
      faults.push(fault)
      if (!fault.consequence.retry || (!replayable && !(fault.kind === 'refused' && untouched()))) break
      if (origins.length === 1 && faults.length === 1 && mayPass(fault.kind)) waiting.push(origin)
    }
    throw noOriginError(faults, this.#waitMs(origins))
  }

  /** Each origin, and whether requests are sent to it without doubt. */
  get states(): readonly { readonly name: string; readonly up: boolean }[] {
    return this.#origins.map((origin) => ({ name: origin.name, up: this.#stateOf(origin) === 'up' }))
  }

  /** An origin has said that it is ready. Which one is not known: each may be tried at once. */
  originReady(): void {
    for (const breaker of this.#breakers.values()) breaker.originReady()
  }

  /** A fault that showed itself after `attempt` had resolved: an answer that broke off while it was passed on. */
  recordStreamFailure(origin: Origin, fault: OriginFault): void {
    if (fault.consequence.counts) this.#breaker(origin).recordStreamFailure()
    this.#options.logger.warn('origin_fault', { ...describe(fault), late: true })
  }

  /** The next origin that lets a request pass, with permission to send it. Those that do not are left out. */
  #next(waiting: Origin[]): { readonly origin: Origin; readonly permit: Permit } | undefined {
    for (let origin = waiting.shift(); origin !== undefined; origin = waiting.shift()) {
      const breaker = this.#breaker(origin)
      if (this.#stateOf(origin) === 'doubtful') breaker.forceHalfOpen()
      const permit = breaker.enter()
      if (permit !== null) return { origin, permit }
    }
    return undefined
  }

  async #try<T>(
    origin: Origin,
    permit: Permit,
    { requestId, signal }: Pick<RequestContext, 'signal' | 'requestId'>,
    send: () => Promise<T>,
  ): Promise<{ readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: OriginFault }> {
    const { clock } = this.#options
    const begun = clock.now()
    const told = (outcome: string): void => this.#options.tried?.(origin.name, outcome, clock.now() - begun)
    try {
      const value = await send()
      permit.succeeded()
      told('ok')
      return { ok: true, value }
    } catch (error) {
      // when a caller leaves, its connection breaks: that says nothing of the origin
      if (signal.aborted || !(error instanceof OriginFault)) {
        // What is wrong with the inputs, the origin has told us in good health.
        if (!signal.aborted && isVergeError(error)) permit.succeeded()
        else permit.abandoned()
        told(signal.aborted ? 'left' : isVergeError(error) ? 'refused' : 'internal')
        throw signal.aborted ? abortError(signal) : error
      }
      told(error.kind)
      // It has answered others meanwhile: if such requests counted, whoever sends slow ones could shut it off for all.
      const slow = error.kind === 'headers-timeout' && (this.#breaker(origin).succeededAt ?? -1) > begun
      if (error.kind === 'overloaded') permit.overloaded(error.retryAfterMs)
      else if (slow) permit.abandoned()
      else if (error.consequence.counts) permit.failed()
      else permit.succeeded()
      this.#options.logger.warn('origin_fault', { ...describe(error), requestId, origin: origin.name })
      return { ok: false, fault: error }
    }
  }

  #hasAnswered(origin: Origin): boolean {
    return this.#breaker(origin).succeededAt !== undefined || this.#options.health.of(origin.name)?.ok === true
  }

  #rankOf(origin: Origin, state: OriginCandidate['state']): number {
    if (state === 'up') return this.#breaker(origin).busy ? 1 : 0
    if (state === 'down') return 3
    return this.#options.health.of(origin.name)?.ok === false ? 2 : 0
  }

  /** `doubtful`: the shared record calls it down, and this isolate has not asked it since. */
  #stateOf(origin: Origin): OriginCandidate['state'] | 'doubtful' {
    const breaker = this.#breaker(origin)
    if (breaker.state !== 'closed') return breaker.waitMs > 0 ? 'down' : 'half-open'
    const health = this.#options.health.of(origin.name)
    // what this isolate has seen later weighs more than what a probe saw from elsewhere
    if (health === undefined || health.ok || (breaker.succeededAt ?? -1) > health.checkedAt) return 'up'
    return 'doubtful'
  }

  #waitMs(origins: readonly Origin[]): number {
    return origins.length === 0 ? 0 : Math.min(...origins.map((origin) => this.#breaker(origin).waitMs))
  }

  #breaker({ name }: Origin): Breaker {
    const breaker = this.#breakers.get(name)
    if (breaker === undefined) throw new Error(`There is no origin "${name}" here.`)
    return breaker
  }
}

/** Waits before a try; gives its permit back if the caller leaves meanwhile. */
async function pause(ms: number, permit: Permit, signal: AbortSignal, clock: Clock): Promise<void> {
  try {
    await clock.sleep(ms, signal)
  } catch (error) {
    permit.abandoned()
    throw error
  }
}

function describe({ kind, message, origin, status }: OriginFault): Record<string, string | number> {
  return { origin, kind, message, ...(status !== undefined && { status }) }
}

/** Origins within so many kilometres of the nearest are as near: light takes 5 ms there and back. */
const BAND_KM = 500

/** What ordering needs to know of an origin. */
export type OriginLocation = Pick<Origin, 'name' | 'at' | 'weight'>

/**
 * Nearest first, in bands: those about as far as the nearest of a band are chosen by weight at random, so that they share
 * the work. Where the caller or an origin is nowhere known, weight alone decides, and such origins come last.
 * @param random uniform in [0, 1)
 */
export function byDistance<O extends OriginLocation>(
  origins: readonly O[],
  near: Coordinates | undefined,
  random: () => number,
): O[] {
  const distances = new Map(
    origins.map((origin) => [
      origin,
      near === undefined || origin.at === undefined ? Number.POSITIVE_INFINITY : distanceKm(near, origin.at),
    ]),
  )
  const distance = (origin: O): number => distances.get(origin) ?? Number.POSITIVE_INFINITY
  const waiting = [...origins].sort((a, b) => compare(distance(a), distance(b)))
  const ordered: O[] = []
  while (waiting.length > 0) {
    const nearest = distance(waiting[0] as O)
    const end = waiting.findIndex((origin) => distance(origin) > nearest + BAND_KM)
    ordered.push(...byWeight(waiting.splice(0, end === -1 ? waiting.length : end), random))
  }
  return ordered
}

/** Infinity less infinity is not a number. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a - b
}

/** A random order in which each place is drawn by weight among those that are left. */
function byWeight<O extends OriginLocation>(band: readonly O[], random: () => number): O[] {
  const left = [...band]
  const drawn: O[] = []
  while (left.length > 1) {
    let point = random() * left.reduce((sum, { weight }) => sum + weight, 0)
    const index = left.findIndex(({ weight }) => {
      point -= weight
      return point < 0
    })
    // rounding may leave the point a hair past the end
    drawn.push(...left.splice(index === -1 ? left.length - 1 : index, 1))
  }
  return [...drawn, ...left]
}

/** Mean radius of the Earth in kilometres (IUGG). */
const EARTH_KM = 6371.0088

/** Great-circle distance in kilometres, by the haversine formula: exact enough for small and for large distances. */
export function distanceKm(a: Coordinates, b: Coordinates): number {
  const [latitudeA, latitudeB] = [radians(a.latitude), radians(b.latitude)]
  const north = Math.sin((latitudeB - latitudeA) / 2) ** 2
  const east = Math.sin(radians(b.longitude - a.longitude) / 2) ** 2
  const chord = north + Math.cos(latitudeA) * Math.cos(latitudeB) * east
  // rounding may take antipodes a hair above 1
  return 2 * EARTH_KM * Math.asin(Math.sqrt(Math.min(1, chord)))
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180
}
