import type { CallContext } from '../core/runtime.ts'
import type { Admission } from '../serving/admission.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import { explainCandidates } from './explain-candidates.ts'
import type { Placement, Route, RouteFacts } from './placement.ts'
import { PlannedRoute, type RouteOptions } from './route.ts'

export interface OriginPlacementOptions extends RouteOptions {
  /** Places for requests that are passed on. */
  readonly admission: Admission
}

/** Computes requests at the edge or at origins, by the policy. */
export class OriginPlacement implements Placement {
  readonly #options: OriginPlacementOptions

  constructor(options: OriginPlacementOptions) {
    this.#options = options
  }

  get admission(): Admission {
    return this.#options.admission
  }

  originReady(): void {
    this.#options.originPool.originReady()
  }

  async route(model: ResolvedModel, facts: RouteFacts, context: CallContext): Promise<Route> {
    return new PlannedRoute(model, await this.#options.planner.decide(model, facts, context), this.#options)
  }

  reaches({ manifest }: ResolvedModel): boolean {
    if (manifest.placement === 'edge') return false
    return this.#options.originPool.candidates(manifest.model, undefined).some(({ state }) => state !== 'down')
  }

  async explain(model: ResolvedModel, route: RouteFacts, context: CallContext): Promise<unknown> {
    const { decision, facts } = await this.#options.planner.decide(model, route, context)
    const { reason, refusal, steps } = decision
    return {
      place: steps[0]?.place ?? null,
      reason,
      ...(refusal && { refusal }),
      steps,
      considered: explainCandidates(facts),
      near: context.placement?.near ?? null,
    }
  }
}
