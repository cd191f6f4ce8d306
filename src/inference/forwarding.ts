import { isOriginFailure } from '../placement/failures.ts'
import type { ForwardedRequest, Route } from '../placement/placement.ts'
import type { Ticket } from '../serving/admission.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { Access } from './access.ts'
import type { InferenceDeps } from './deps.ts'
import type { Slot } from './slot.ts'

/** How a request is passed on to an origin. */
export interface Forwarding<A> {
  /** The body is at hand, so that it can be passed on after the edge has failed. */
  readonly replayable: boolean
  /**
   * The request as an origin gets it.
   * @param ticket among the requests that are passed on; says how much of the body is held
   */
  request(ticket: Ticket): Promise<ForwardedRequest>
  /** Makes the request ready to be answered here, after an origin has failed; false if its body is gone. */
  recover(): boolean
  /** The answer, from the origin's. @throws what the origin found wrong with the request */
  answer(response: Response): A | Promise<A>
}

interface ForwardOptions<A> {
  readonly model: ResolvedModel
  readonly forwarding: Forwarding<A>
  readonly slot: Slot
  readonly decision: Route
}

/**
 * Has an origin answer where that is decided; undefined where this isolate is to, because no origin is meant or because
 * it failed and the edge can answer instead.
 * @throws what `Placement` throws, and what reading a body throws
 */
export async function forwardToOrigin<A>(
  { logger, placement }: InferenceDeps,
  { context }: Access,
  { model, forwarding, slot, decision }: ForwardOptions<A>,
): Promise<{ readonly value: A } | undefined> {
  if (placement === undefined || !decision.forward) return undefined
  slot.leave()
  let ticket: Ticket | undefined
  try {
    ticket = placement.admission.enter(context.requestId)
    const request = await forwarding.request(ticket)
    return { value: await forwarding.answer(await decision.send(request, context)) }
  } catch (error) {
    if (!decision.fallback || !isOriginFailure(error) || !forwarding.recover()) throw error
    decision.giveUpOrigins()
    logger.warn('answered_here_instead', { requestId: context.requestId, model: model.manifest.model })
    return undefined
  } finally {
    ticket?.leave()
  }
}

/**
 * Reads a body in the request's slot. Where all slots are taken, it is read among the requests that are passed on,
 * because only the body says whether this is such a request.
 */
export async function readInSlot<T>(
  { placement }: InferenceDeps,
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
