import { VergeError } from '../core/errors.ts'
import type { Clock } from '../core/runtime.ts'

/** Permission to read a body and to wait for a run. */
export interface Ticket {
  /**
   * Says how many bytes of body this request holds or is about to hold, all together.
   * @throws overloaded if all requests' bodies would not fit
   */
  hold(bytes: number): void
  /** Says that the request is still there: a place that is not renewed within its lease can be given away. */
  renew(): void
  /** Gives the place back. Calling it again does nothing. */
  leave(): void
}

export interface Admission {
  /**
   * Admits a request before its body is read.
   * @param leaseMs another lease than that of all places, for a request that renews its own
   * @throws overloaded at once when the isolate is full
   */
  enter(requestId: string, leaseMs?: number): Ticket
}

export interface AdmissionOptions {
  /** Requests admitted at once. */
  readonly places: number
  /** Bytes of body that all admitted requests may hold together. */
  readonly bodyBytes: number
  /** A ticket older than this belongs to a request that was killed before it could give it back. */
  readonly leaseMs: number
  readonly clock: Clock
}

/** Seconds after which an overloaded isolate has usually worked its queue off. */
const RETRY_AFTER_SECONDS = 1

/** A fixed number of places; what does not fit is refused at once, never queued. */
export class BoundedAdmission implements Admission {
  readonly #options: AdmissionOptions
  readonly #tickets = new Map<symbol, { readonly expires: number; bytes: number }>()

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  get admitted(): number {
    return this.#tickets.size
  }

  enter(requestId: string, leaseMs: number = this.#options.leaseMs): Ticket {
    const { places, clock } = this.#options
    if (this.#tickets.size >= places) this.#dropExpired()
    if (this.#tickets.size >= places) {
      throw new VergeError('overloaded', 'Too many requests are being worked on here. Try again in a moment.', {
        retryAfter: RETRY_AFTER_SECONDS,
        details: { admitted: places },
      })
    }
    const key = Symbol(requestId)
    const ticket = { expires: clock.now() + leaseMs, bytes: 0 }
    const renew = (): void => {
      ticket.expires = clock.now() + leaseMs
    }
    this.#tickets.set(key, ticket)
    return {
      renew,
      hold: (bytes) => {
        const others = (): number => this.#heldBytes() - (this.#tickets.has(key) ? ticket.bytes : 0)
        if (others() + bytes > this.#options.bodyBytes) this.#dropExpired()
        if (others() + bytes > this.#options.bodyBytes) {
          throw new VergeError('overloaded', 'Other large requests are being read here. Try again in a moment.', {
            retryAfter: RETRY_AFTER_SECONDS,
          })
        }
        ticket.bytes = bytes
      },
      leave: () => {
        this.#tickets.delete(key)
      },
    }
  }

  #heldBytes(): number {
    let total = 0
    for (const { bytes } of this.#tickets.values()) total += bytes
    return total
  }

  #dropExpired(): void {
    const now = this.#options.clock.now()
    for (const [key, { expires }] of this.#tickets) if (now > expires) this.#tickets.delete(key)
  }
}
