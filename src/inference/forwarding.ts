import type { Manifest } from '../catalog/manifest.ts'
import { USAGE_HEADER } from '../core/headers.ts'
import type { Clock, Logger } from '../core/runtime.ts'
import { isOriginFailure } from '../placement/failures.ts'
import { bookUsage, readUsage, UsageReader, watched } from '../placement/origin-usage.ts'
import type { ForwardedAnswer, ForwardedRequest, Placement, Route } from '../placement/placement.ts'
import type { Ticket } from '../serving/admission.ts'
import { notePlace, type RunLedger, type RunPermit } from '../serving/ledger.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { Access } from './access.ts'
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
  answer(answered: ForwardedAnswer): A | Promise<A>
}

export interface ForwardingDeps {
  readonly logger: Logger
  readonly clock: Clock
  /** Absent where everything is computed here, as on an origin. */
  readonly placement?: Placement
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
  { clock, logger, placement }: ForwardingDeps,
  { context }: Access,
  { model, forwarding, slot, decision }: ForwardOptions<A>,
): Promise<{ readonly value: A } | undefined> {
  if (placement === undefined || !decision.forward) return undefined
  slot.leave()
  let ticket: Ticket | undefined
  const { permit } = context.ledger ?? {}
  if (permit !== undefined) await assertSomethingLeft(permit, model.manifest)
  try {
    ticket = placement.admission.enter(context.requestId)
    const request = await forwarding.request(ticket)
    const begun = clock.now()
    notePlace(context.ledger, 'origin')
    if (context.ledger !== undefined && request.body instanceof ReadableStream) context.ledger.paced = true
    const answered = await decision.send(request, context)
    notePlace(context.ledger, 'origin', answered.origin)
    if (context.ledger !== undefined) context.ledger.originStatus = answered.response.status
    const { ledger } = context
    const told = ledger && booked(answered, { ledger, ms: () => clock.now() - begun, slot })
    const value = await forwarding.answer(told?.answered ?? answered)
    told?.handOver()
    return { value }
  } catch (error) {
    if (!decision.fallback || !isOriginFailure(error) || !forwarding.recover()) throw error
    decision.giveUpOrigins()
    if (context.ledger !== undefined) delete context.ledger.originStatus
    logger.warn('answered_here_instead', { requestId: context.requestId, model: model.manifest.model })
    return undefined
  } finally {
    ticket?.leave()
  }
}

/**
 * Refuses what an origin is to answer where nothing is left: what it takes is known when it has answered. What is taken
 * here is settled when the request ends.
 * @throws budget_spent, limits_unavailable
 */
async function assertSomethingLeft(permit: RunPermit, { task, text }: Manifest): Promise<void> {
  const units = permit.spend(1)
  if (units !== undefined) await units
  const reads = text !== undefined || task === 'text-generation'
  const tokens = reads ? permit.tokens(1, 0) : undefined
  if (tokens !== undefined) await tokens
}

interface BookedAnswer {
  readonly answered: ForwardedAnswer
  /**
   * The answer is its caller's: the request ends with it. Until then it may turn out to be of no use, and the request goes
   * on elsewhere.
   */
  handOver(): void
}

/** An origin's answer, with what it took booked: as it says in a header, else as the answer says on its way through. */
function booked(
  answered: ForwardedAnswer,
  { ledger, ms, slot }: { readonly ledger: RunLedger; readonly ms: () => number; readonly slot: Slot },
): BookedAnswer {
  const { response, usdPerHour } = answered
  const told = readUsage(response.headers.get(USAGE_HEADER))
  response.headers.delete(USAGE_HEADER)
  const { body } = response
  const streamed = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
  if (!streamed) ledger.originFirstMs = ms()
  // Only for those who are counted is anything read on the way.
  if (told !== undefined || body === null || !response.ok || !slot.watched) {
    bookUsage(ledger, told, { ms: ms(), usdPerHour })
    return { answered, handOver() {} }
  }
  const reader = new UsageReader()
  let [ended, handedOver] = [false, false]
  const read = {
    push(piece: Uint8Array): void {
      // Headers of a stream come before anything is computed.
      if (streamed) ledger.originFirstMs ??= ms()
      reader.push(piece)
    },
  }
  const passed = watched(body, read, () => {
    bookUsage(ledger, reader.usage(streamed), { ms: ms(), usdPerHour })
    ended = true
    if (handedOver) slot.done()
  })
  return {
    answered: { ...answered, response: new Response(passed, response) },
    handOver() {
      handedOver = true
      if (!ended) slot.keep()
    },
  }
}
