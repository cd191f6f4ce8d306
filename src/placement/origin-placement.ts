import type { CallContext } from '../core/runtime.ts'
import type { Admission } from '../serving/admission.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import { considered } from './considered.ts'
import type { Placement, Route, RouteFacts } from './placement.ts'
import { PlacedRoute, type RouteOptions } from './route.ts'

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

  heard(): void {
    this.#options.regions.heard()
  }

  async route(model: ResolvedModel, facts: RouteFacts, context: CallContext): Promise<Route> {
    return new PlacedRoute(model, await this.#options.placer.decide(model, facts, context), this.#options)
  }

  reaches({ manifest }: ResolvedModel): boolean {
    if (manifest.placement === 'edge') return false
    return this.#options.regions.candidates(manifest.model, undefined).some(({ state }) => state !== 'down')
  }

  async explain(model: ResolvedModel, route: RouteFacts, context: CallContext): Promise<unknown> {
    const { decision, facts } = await this.#options.placer.decide(model, route, context)
    const { reason, refusal, steps } = decision
    return {
      place: steps[0]?.place ?? null,
      reason,
      ...(refusal && { refusal }),
      steps,
      considered: considered(facts),
      near: context.placement?.near ?? null,
    }
  }
}
