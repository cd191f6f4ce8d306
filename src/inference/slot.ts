import { isVergeError } from '../core/errors.ts'
import type { Admission, Ticket } from '../serving/admission.ts'

/** A request's slot among those that are computed here: taken, given up for an origin, taken again, kept for a stream. */
export class Slot {
  readonly #admission: Admission
  readonly #requestId: string
  #ticket: Ticket | undefined
  #kept = false
  #bytes = 0

  constructor(admission: Admission, requestId: string) {
    this.#admission = admission
    this.#requestId = requestId
  }

  get held(): boolean {
    return this.#ticket !== undefined
  }

  /** Takes a slot unless the request has one. @throws overloaded */
  take(): void {
    if (this.#ticket !== undefined) return
    this.#ticket = this.#admission.enter(this.#requestId)
    // A body that was read before the slot was given up is held still.
    if (this.#bytes > 0) this.#ticket.hold(this.#bytes)
  }

  /** Takes a slot if one is free. */
  takeIfFree(): void {
    try {
      this.take()
    } catch (error) {
      if (!isVergeError(error, 'overloaded')) throw error
    }
  }

  /** Says how many bytes of body the request holds. @throws overloaded */
  readonly hold = (bytes: number): void => {
    this.#ticket?.hold(bytes)
    this.#bytes = bytes
  }

  /** Says how much of the body has come; `undefined`: all of it. @throws overloaded */
  readonly reading = (received: number | undefined): void => {
    this.#ticket?.reading(received)
  }

  /** Says that the request is still at work. */
  renew(): void {
    this.#ticket?.renew()
  }

  /**
   * For a handler that goes on after it has answered, as one does that streams: it calls `renew` with each piece, and
   * `leave` when it is done.
   */
  keep(): void {
    this.#kept = true
  }

  leave(): void {
    this.#ticket?.leave()
    this.#ticket = undefined
  }

  /** Does work that ends with an answer, and leaves then unless the work keeps the slot. */
  async during<A>(work: () => Promise<A>): Promise<A> {
    try {
      const answer = await work()
      if (!this.#kept) this.leave()
      return answer
    } catch (error) {
      this.leave()
      throw error
    }
  }
}
