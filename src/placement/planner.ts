import type { Artifact } from '../catalog/manifest.ts'
import type { Clock } from '../core/runtime.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { EdgeState } from './edge.ts'
import type { HealthView } from './health.ts'
import { type Origin, routeSupport } from './origin.ts'
import type { OriginCandidate, OriginPool } from './origin-pool.ts'
import type { PlacementContext, RouteFacts } from './placement.ts'
import { type Decision, decide, type EdgeFacts, type OriginFacts, type PlacementFacts } from './policy.ts'

export interface PlacementPlannerOptions {
  readonly edge: EdgeState
  readonly originPool: OriginPool
  readonly health: HealthView
  readonly clock: Clock
  /** A model that could not be loaded is not tried again here for this long while an origin is there. */
  readonly failedLoadMs: number
  /** Verge's own if left out. */
  readonly policy?: (facts: PlacementFacts) => Decision
}

/** A decision, with the origins that it names and the facts that it rests on. */
export interface RouteDecision {
  readonly decision: Decision
  readonly origins: ReadonlyMap<string, Origin>
  readonly facts: PlacementFacts
}

/** What becomes known of a request after the decision. */
export interface LaterFacts {
  /** Origins have failed for this request. */
  readonly originsDown: boolean
  /** Units that the run would cost, by artifact, and what a request may. */
  readonly costs?: ReadonlyMap<string, number>
  readonly costLimit?: number
}

/** Brings together what a decision depends on, as this isolate knows it. */
export class PlacementPlanner {
  readonly #options: PlacementPlannerOptions
  /** By artifact: until when its loading counts as hopeless. Bounded by the models that fail, which are few. */
  readonly #failed = new Map<string, number>()

  constructor(options: PlacementPlannerOptions) {
    this.#options = options
  }

  async decide(model: ResolvedModel, route: RouteFacts, context: PlacementContext): Promise<RouteDecision> {
    const { health, policy = decide, originPool } = this.#options
    const { manifest } = model
    const wanted = context.placement ?? { hint: 'auto' as const }
    // Nothing to learn for a model that no origin has.
    const known = originPool.candidates(manifest.model, wanted.callerAt)
    if (known.length > 0) await health.refresh(context)
    const candidates = known.length > 0 ? originPool.candidates(manifest.model, wanted.callerAt) : known
    const facts: PlacementFacts = {
      model: manifest.model,
      preference: manifest.placement ?? 'auto',
      hint: wanted.hint,
      edge: this.#edgeFacts(model, route, context.ledger?.bounds?.smallest),
      origins: candidates.map((candidate) => this.#originFacts(candidate, model, route)),
      ...(candidates.length > 0 && { retryAfter: originPool.retryAfter(manifest.model) }),
    }
    return {
      decision: policy(facts),
      origins: new Map(candidates.map(({ origin }) => [origin.name, origin])),
      facts,
    }
  }

  /** The decision once more is known of the request. Its body has been read: only tensors can be sent to an origin. */
  reconsider(decided: RouteDecision, { costLimit, costs, originsDown }: LaterFacts): RouteDecision {
    const { edge: state, policy = decide } = this.#options
    const { edge, origins, ...rest } = decided.facts
    const facts: PlacementFacts = {
      ...rest,
      edge: {
        ...edge,
        artifacts: edge.artifacts.map((artifact) => {
          const cost = costs?.get(artifact.id)
          return cost === undefined ? artifact : { ...artifact, cost }
        }),
        // The request has a slot here by now.
        full: state.busy,
        ...(costLimit !== undefined && { costLimit }),
      },
      origins: origins.map((origin) => ({
        ...origin,
        ...(originsDown && { state: 'down' as const }),
        routeSupport: origin.takesTensors === true ? 'tensors' : 'no',
      })),
    }
    return { ...decided, decision: policy(facts), facts }
  }

  /** Notes that an artifact could not be loaded here. */
  loadFailed({ sha256 }: Artifact): void {
    const { clock, failedLoadMs } = this.#options
    const now = clock.now()
    for (const [artifact, until] of this.#failed) if (now >= until) this.#failed.delete(artifact)
    this.#failed.set(sha256, now + failedLoadMs)
  }

  #edgeFacts(model: ResolvedModel, { failed, full }: RouteFacts, smallest: boolean | undefined): EdgeFacts {
    const { clock, edge } = this.#options
    const candidates = edge.candidates(model.manifest, smallest)
    const first = candidates.find(({ support }) => support.ok)?.artifact
    return {
      artifacts: [
        ...candidates.map(({ artifact, support }) => ({ id: artifact.id, support })),
        ...edge.aside(model.manifest),
      ],
      full: full || edge.busy,
      loaded: failed !== true && first !== undefined && edge.loaded(first),
      startable:
        failed !== true &&
        (first === undefined || clock.now() >= (this.#failed.get(first.sha256) ?? Number.NEGATIVE_INFINITY)),
    }
  }

  #originFacts(
    { answered, origin, state }: OriginCandidate,
    { manifest }: ResolvedModel,
    { route, tensorsAlone = false }: RouteFacts,
  ): OriginFacts {
    // A text is written by many runs, one after another: its tensors alone are no use elsewhere.
    const generates = manifest.task === 'text-generation' && route !== 'oip'
    const takesTensors =
      routeSupport(origin.kind, 'oip', false) === 'forward' && manifest.inputs.length > 0 && !generates
    const support = routeSupport(origin.kind, route, generates)
    return {
      name: origin.name,
      state,
      answered,
      hasModel: true,
      routeSupport: support === 'forward' && !tensorsAlone ? 'forward' : takesTensors ? 'tensors' : 'no',
      takesTensors,
    }
  }
}
