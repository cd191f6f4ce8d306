import { isVergeError } from '../core/errors.ts'
import type { Placement } from '../placement/placement.ts'
import type { Admission, Ticket } from '../serving/admission.ts'

/** A request's slot among those that are computed here: taken, given up for an origin, taken again, kept for a stream. */
export class Slot {
  readonly #admission: Admission
  readonly #requestId: string
  readonly #finish: ((failure?: unknown) => void) | undefined
  #ticket: Ticket | undefined
  #kept = false
  #bytes = 0

  /** @param finish is told when the request is answered, or why it is not */
  constructor(admission: Admission, requestId: string, finish?: (failure?: unknown) => void) {
    this.#admission = admission
    this.#requestId = requestId
    this.#finish = finish
  }

  /** Whether somebody is told of the request's end. */
  get watched(): boolean {
    return this.#finish !== undefined
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
   * `done` at the end.
   */
  keep(): void {
    this.#kept = true
  }

  leave(): void {
    this.#ticket?.leave()
    this.#ticket = undefined
  }

  /** The request has been answered. @param failure what ended an answer that had begun */
  done(failure?: unknown): void {
    this.leave()
    this.#finish?.(failure)
  }

  /** Does work that ends with an answer, and is done then unless the work keeps the slot. */
  async during<A>(work: () => Promise<A>): Promise<A> {
    try {
      const answer = await work()
      if (!this.#kept) this.done()
      return answer
    } catch (error) {
      this.leave()
      this.#finish?.(error)
      throw error
    }
  }
}

/**
 * Reads a body in the request's slot. Where all slots are taken, it is read among the requests that are passed on,
 * because only the body says whether this is such a request.
 */
export async function readInSlot<T>(
  { placement }: { readonly placement?: Placement },
  requestId: string,
  slot: Slot,
  read: (held: Pick<Ticket, 'hold' | 'reading'>) => Promise<T>,
): Promise<T> {
  if (slot.held) return read(slot)
  const forwardTicket = placement?.admission.enter(requestId)
  const hold = (bytes: number): void => {
    forwardTicket?.hold(bytes)
    // For the case that a slot becomes free until it is answered here after all.
    slot.hold(bytes)
  }
  try {
    return await read({ hold, reading: (received) => forwardTicket?.reading(received) })
  } finally {
    forwardTicket?.leave()
  }
}
