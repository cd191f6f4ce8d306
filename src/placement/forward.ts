import { VergeError } from '../core/errors.ts'
import type { CallContext, Clock } from '../core/runtime.ts'
import type { Admission } from '../serving/admission.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { Origin } from './origin.ts'
import type { Forwarded, Placement, Route, RouteFacts } from './placement.ts'
import type { Decided, Placer } from './placer.ts'
import type { OriginStep } from './policy.ts'
import { refusalOf } from './refusal.ts'
import type { Regions } from './regions.ts'

/** Has one origin answer a request as it is. @throws OriginFault */
export type SendOn = (
  origin: Origin,
  model: ResolvedModel,
  request: Forwarded,
  context: CallContext,
) => Promise<Response>

export interface ForwardingOptions {
  readonly placer: Placer
  readonly regions: Regions
  readonly admission: Admission
  readonly sendOn: SendOn
  readonly clock: Clock
}

/** Passes requests on to origins, by the placer's decisions. */
export class Forwarding implements Placement {
  readonly #options: ForwardingOptions

  constructor(options: ForwardingOptions) {
    this.#options = options
  }

  get admission(): Admission {
    return this.#options.admission
  }

  heard(): void {
    this.#options.regions.heard()
  }

  async route(model: ResolvedModel, facts: RouteFacts, context: CallContext): Promise<Route> {
    const { decision } = await this.#options.placer.decide(model, facts, context)
    if (decision.refusal !== undefined) throw refusalOf(decision.refusal, model)
    const [first, ...rest] = decision.steps
    return {
      forward: first?.place === 'origin' && first.how === 'forward',
      fallback: rest.some((step) => step.place === 'edge' || step.how === 'tensors'),
    }
  }

  async forward(model: ResolvedModel, facts: RouteFacts, request: Forwarded, context: CallContext): Promise<Response> {
    const { placer, regions, sendOn } = this.#options
    const decided = await placer.decide(model, facts, context)
    const step = decided.decision.steps.find(
      (each): each is OriginStep => each.place === 'origin' && each.how === 'forward',
    )
    if (step === undefined) {
      // Between the two looks at it the last origin has gone.
      const { refusal } = decided.decision
      if (refusal !== undefined) throw refusalOf(refusal, model)
      throw new VergeError('origin_unavailable', 'No origin can be reached. Try again in a moment.', { retryAfter: 1 })
    }
    const { body } = request
    const { attempts, origin, value } = await regions.attempt(
      originsOf(step, decided),
      context,
      (candidate) => sendOn(candidate, model, request, context),
      {
        ...(body instanceof ReadableStream && { replayable: false, untouched: () => !body.locked }),
        ...(context.deadline !== undefined && { deadline: context.deadline }),
      },
    )
    value.headers.set('verge-placement', placedAt(origin, step, attempts, value.headers.get('verge-placement')))
    return value
  }

  async explain(model: ResolvedModel, facts: RouteFacts, context: CallContext): Promise<unknown> {
    const { decision } = await this.#options.placer.decide(model, facts, context)
    const { considered, reason, refusal, steps } = decision
    return {
      place: steps[0]?.place ?? null,
      reason,
      ...(refusal && { refusal }),
      steps,
      considered,
      near: context.placement?.near ?? null,
    }
  }
}

function originsOf(step: OriginStep, { origins }: Decided): readonly Origin[] {
  return step.origins.flatMap((name) => origins.get(name) ?? [])
}

/** What an origin of our own says of the artifact and its start is passed on; nothing else of it is. */
const PARTS = /;(artifact="[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}"|start=(?:warm|cold|cached))(?=;|$)/g

function placedAt(origin: Origin, step: OriginStep, attempts: number, told: string | null): string {
  const parts = [...(told ?? '').matchAll(PARTS)].map(([, part]) => part)
  return [
    `origin;origin="${origin.name}"`,
    ...parts,
    `reason=${step.reason}`,
    ...(attempts > 1 ? [`attempts=${attempts}`] : []),
  ].join(';')
}
