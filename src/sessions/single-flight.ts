import { throwIfAborted, VergeError } from '../core/errors.ts'
import { type Clock, type RequestContext, untilAborted } from '../core/runtime.ts'

/** What shared work tells those who wait for it. */
export interface Flight {
  /** Says that the owner is alive. @throws session_lost if another request has taken the work over */
  heartbeat(): void
}

interface Shared<T> {
  lastHeartbeat: number
  /** The flight that took this one over, for those who still wait on this one. */
  successor?: Shared<T>
  outcome?: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }
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
 * them takes over when the signs stop. The owner's work continues when its own caller leaves (`waitUntil`).
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

  /** @throws what `work` throws, cancelled, deadline_exceeded */
  async run(key: string, work: (flight: Flight) => Promise<T>, context: RequestContext): Promise<T> {
    const { clock, pollMs, staleMs } = this.#options
    throwIfAborted(context.signal)
    let flight = this.#flights.get(key)
    if (!flight || clock.now() - flight.lastHeartbeat > staleMs) return this.#takeOver(key, flight, work, context)
    for (;;) {
      await clock.sleep(pollMs, context.signal)
      if (flight.outcome) return settle(flight.outcome)
      if (flight.successor) flight = flight.successor
      else if (clock.now() - flight.lastHeartbeat > staleMs) return this.#takeOver(key, flight, work, context)
    }
  }

  async #takeOver(
    key: string,
    previous: Shared<T> | undefined,
    work: (flight: Flight) => Promise<T>,
    context: RequestContext,
  ): Promise<T> {
    const { clock } = this.#options
    const flight: Shared<T> = { lastHeartbeat: clock.now() }
    if (previous) previous.successor = flight
    this.#flights.set(key, flight)
    const heartbeat = (): void => {
      if (this.#flights.get(key) !== flight) {
        throw new VergeError('session_lost', 'Another request took over the work.')
      }
      flight.lastHeartbeat = clock.now()
    }
    const done = (async () => {
      try {
        flight.outcome = { ok: true, value: await work({ heartbeat }) }
      } catch (error) {
        flight.outcome = { ok: false, error }
      }
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
      return flight.outcome
    })()
    context.waitUntil(done)
    return settle(await untilAborted(done, context.signal))
  }
}

function settle<T>(outcome: NonNullable<Shared<T>['outcome']>): T {
  if (outcome.ok) return outcome.value
  throw outcome.error
}
