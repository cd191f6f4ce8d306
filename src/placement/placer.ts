import type { Artifact } from '../catalog/manifest.ts'
import type { CallContext, Clock } from '../core/runtime.ts'
import { asideFor } from '../serving/artifacts.ts'
import type { LocalServing } from '../serving/local.ts'
import type { InputShapes } from '../serving/pricing.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { HealthView } from './health.ts'
import type { Origin, OriginKind } from './origin.ts'
import type { ForwardRoute, RouteFacts } from './placement.ts'
import { type Decision, decide, type EdgeFacts, type OriginFacts } from './policy.ts'
import type { Candidate, Regions } from './regions.ts'

export interface PlacerOptions {
  readonly local: LocalServing
  readonly regions: Regions
  readonly health: HealthView
  readonly clock: Clock
  /** What an origin of a kind makes of a route; `generates`: its answer takes a run for each token. */
  readonly speaks: (kind: OriginKind, route: ForwardRoute, generates: boolean) => OriginFacts['speaks']
  /** A model that could not be loaded is not tried again here for this long while an origin is there. */
  readonly failedLoadMs: number
}

/** A decision, with the origins that it names. */
export interface Decided {
  readonly decision: Decision
  readonly origins: ReadonlyMap<string, Origin>
}

/** Brings together what a decision depends on, as this isolate knows it. */
export class Placer {
  readonly #options: PlacerOptions
  /** By artifact: until when its loading counts as hopeless. Bounded by the models that fail, which are few. */
  readonly #failed = new Map<string, number>()

  constructor(options: PlacerOptions) {
    this.#options = options
  }

  /** @param runs what is to run, where the body has been read; then tensors are all that an origin can be given */
  async decide(
    model: ResolvedModel,
    facts: RouteFacts,
    context: CallContext,
    runs?: readonly InputShapes[],
  ): Promise<Decided> {
    const { health, regions } = this.#options
    const { manifest } = model
    const ask = context.placement ?? { hint: 'auto' as const }
    // Nothing to learn for a model that no origin has.
    const known = regions.candidates(manifest.model, ask.near)
    if (known.length > 0) await health.refresh(context)
    const candidates = known.length > 0 ? regions.candidates(manifest.model, ask.near) : known
    const decision = decide({
      model: manifest.model,
      preference: manifest.placement ?? 'auto',
      hint: ask.hint,
      edge: this.#edgeFacts(model, facts, context, runs),
      origins: candidates.map((candidate) =>
        this.#originFacts(candidate, model, facts, ask.originRefusal !== undefined, runs !== undefined),
      ),
      ...(candidates.length > 0 && { retryAfter: regions.retryAfter(manifest.model) }),
    })
    return { decision, origins: new Map(candidates.map(({ origin }) => [origin.name, origin])) }
  }

  /** Notes that an artifact could not be loaded here. */
  loadFailed({ sha256 }: Artifact): void {
    const { clock, failedLoadMs } = this.#options
    const now = clock.now()
    for (const [artifact, until] of this.#failed) if (now >= until) this.#failed.delete(artifact)
    this.#failed.set(sha256, now + failedLoadMs)
  }

  #edgeFacts(
    model: ResolvedModel,
    { failed, full }: RouteFacts,
    context: CallContext,
    runs: readonly InputShapes[] | undefined,
  ): EdgeFacts {
    const { clock, local } = this.#options
    const candidates = local.candidates(model.manifest)
    const first = candidates.find(({ support }) => support.ok)?.artifact
    const costs = new Map(
      runs === undefined
        ? []
        : candidates.map(({ artifact }) => [artifact.id, local.price(model, artifact, runs, context)] as const),
    )
    const [limit] = [...costs.values()].map((price) => price.limit)
    return {
      artifacts: [
        ...candidates.map(({ artifact, support }) => {
          const cost = costs.get(artifact.id)?.cost
          return { id: artifact.id, support, ...(cost !== undefined && { cost }) }
        }),
        ...asideFor(model.manifest, 'edge'),
      ],
      full: full || local.busy,
      loaded: failed !== true && first !== undefined && local.loaded(first),
      startable:
        failed !== true &&
        (first === undefined || clock.now() >= (this.#failed.get(first.sha256) ?? Number.NEGATIVE_INFINITY)),
      ...(limit !== undefined && { costLimit: limit }),
    }
  }

  #originFacts(
    { answered, origin, state }: Candidate,
    { manifest }: ResolvedModel,
    { route }: RouteFacts,
    refused: boolean,
    bodyRead: boolean,
  ): OriginFacts {
    // A text is written by many runs, one after another: its tensors alone are no use elsewhere.
    const generates = manifest.task === 'text-generation' && route !== 'oip'
    const { speaks } = this.#options
    const takesTensors = speaks(origin.kind, 'oip', false) === 'forward' && manifest.inputs.length > 0 && !generates
    const spoken = speaks(origin.kind, route, generates)
    return {
      name: origin.name,
      state: refused ? 'down' : state,
      answered,
      hasModel: true,
      speaks: spoken === 'forward' && !bodyRead ? 'forward' : takesTensors ? 'tensors' : 'no',
      takesTensors,
    }
  }
}
