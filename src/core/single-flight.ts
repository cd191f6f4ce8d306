import { throwIfAborted, VergeError } from './errors.ts'
import { type Clock, type RequestContext, untilAborted } from './runtime.ts'

/** What shared work tells those who wait for it. */
export interface Flight {
  /** Says that the owner is alive. @throws session_lost if another request has taken the work over */
  heartbeat(): void
}

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

interface Shared<T> {
  /** Of the request that does the work, and of no other: its promises may be waited on by that request alone. */
  readonly owner: RequestContext['waitUntil']
  readonly done: Promise<Outcome<T>>
  lastHeartbeat: number
  /** The flight that took this one over, for those who still wait on this one. */
  successor?: Shared<T>
  outcome?: Outcome<T>
}

export interface SingleFlightOptions {
  readonly clock: Clock
  /** Without a beat for this long the owner is taken for dead. */
  readonly staleMs: number
  /** How often a waiter looks. */
  readonly pollMs: number
}

/**
 * Work that several requests need at once is done once (single flight).
 *
 * In Workers a killed request never settles its promises, and a request must not wait on a promise of another request's
 * context. A flight therefore has an owner that renews a sign of life. The others poll on their own timers, and one of
 * them takes over when the signs stop. The owner's work continues when its own caller leaves (`waitUntil`). An owner that
 * asks again, for work that it began earlier, waits on its own promise.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Shared<T>>()
  readonly #options: SingleFlightOptions

  constructor(options: SingleFlightOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#flights.size
  }

  /** Whether somebody does the work now. */
  isUnderWay(key: string): boolean {
    const flight = this.#flights.get(key)
    return flight !== undefined && !this.#isStale(flight)
  }

  /** @throws what `work` throws, cancelled, deadline_exceeded */
  async run(key: string, work: (flight: Flight) => Promise<T>, context: RequestContext): Promise<T> {
    const { clock, pollMs } = this.#options
    throwIfAborted(context.signal)
    let flight = this.#flights.get(key)
    // However long its work was silent: an owner that asks is alive.
    if (flight?.owner === context.waitUntil) return settle(await untilAborted(flight.done, context.signal))
    if (!flight || this.#isStale(flight)) return this.#takeOver(key, flight, work, context)
    for (;;) {
      await clock.sleep(pollMs, context.signal)
      if (flight.outcome) return settle(flight.outcome)
      if (flight.successor) flight = flight.successor
      else if (this.#isStale(flight)) return this.#takeOver(key, flight, work, context)
    }
  }

  #isStale({ lastHeartbeat }: Shared<T>): boolean {
    return this.#options.clock.now() - lastHeartbeat > this.#options.staleMs
  }

  async #takeOver(
    key: string,
    previous: Shared<T> | undefined,
    work: (flight: Flight) => Promise<T>,
    context: RequestContext,
  ): Promise<T> {
    const { clock } = this.#options
    const { promise: done, resolve } = Promise.withResolvers<Outcome<T>>()
    const flight: Shared<T> = { owner: context.waitUntil, done, lastHeartbeat: clock.now() }
    if (previous) previous.successor = flight
    this.#flights.set(key, flight)
    const heartbeat = (): void => {
      if (this.#flights.get(key) !== flight) {
        throw new VergeError('session_lost', 'Another request took over the work.')
      }
      flight.lastHeartbeat = clock.now()
    }
    const fly = async (): Promise<void> => {
      try {
        flight.outcome = { ok: true, value: await work({ heartbeat }) }
      } catch (error) {
        flight.outcome = { ok: false, error }
      }
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
      resolve(flight.outcome)
    }
    context.waitUntil(fly())
    return settle(await untilAborted(done, context.signal))
  }
}

function settle<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value
  throw outcome.error
}
