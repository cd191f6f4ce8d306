import { VergeError } from '../core/errors.ts'
import type { Clock } from '../core/runtime.ts'

/** Permission to read a body and to wait for a run. */
export interface Ticket {
  /** Gives the place back. Calling it again does nothing. */
  leave(): void
}

export interface Admission {
  /** Admits a request before its body is read. @throws overloaded at once when the isolate is full */
  enter(requestId: string): Ticket
}

export interface AdmissionOptions {
  /** Requests admitted at once. */
  readonly places: number
  /** A ticket older than this belongs to a request that was killed before it could give it back. */
  readonly leaseMs: number
  readonly clock: Clock
}

/** Seconds after which an overloaded isolate has usually worked its queue off. */
const RETRY_AFTER_SECONDS = 1

/** A fixed number of places; what does not fit is refused at once, never queued. */
export class BoundedAdmission implements Admission {
  readonly #options: AdmissionOptions
  readonly #tickets = new Map<symbol, number>()

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  get admitted(): number {
    return this.#tickets.size
  }

  enter(requestId: string): Ticket {
    const { places, leaseMs, clock } = this.#options
    if (this.#tickets.size >= places) this.#dropExpired()
    if (this.#tickets.size >= places) {
      throw new VergeError('overloaded', 'Too many requests are being worked on here. Try again in a moment.', {
        retryAfter: RETRY_AFTER_SECONDS,
        details: { admitted: places },
      })
    }
    const ticket = Symbol(requestId)
    this.#tickets.set(ticket, clock.now() + leaseMs)
    return {
      leave: () => {
        this.#tickets.delete(ticket)
      },
    }
  }

  #dropExpired(): void {
    const now = this.#options.clock.now()
    for (const [ticket, expires] of this.#tickets) if (now > expires) this.#tickets.delete(ticket)
  }
}
