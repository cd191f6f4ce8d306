import type { Alias } from '../catalog/alias.ts'
import type { Artifact } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { CallContext, Clock, Logger } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import type { EngineHealth } from '../engine/engine.ts'
import type { LocalServing } from '../serving/local.ts'
import type { InputShapes } from '../serving/pricing.ts'
import type { Generation, GenerationOptions, ResolvedModel, RunResult, Serving } from '../serving/serving.ts'
import { isEdgeFailure, isLoadFailure, isOriginFailure } from './failures.ts'
import type { Origin } from './origin.ts'
import type { Decided, Placer } from './placer.ts'
import type { EdgeStep, OriginStep, Step } from './policy.ts'
import { refusalOf } from './refusal.ts'
import type { Regions } from './regions.ts'

/** Has one origin run a model on tensors. @throws OriginFault */
export type RunRemotely = (
  origin: Origin,
  model: ResolvedModel,
  inputs: Tensors,
  outputs: readonly string[] | undefined,
  context: CallContext,
) => Promise<Tensors>

export interface PlacedServingOptions {
  readonly local: LocalServing
  readonly placer: Placer
  readonly regions: Regions
  readonly runRemotely: RunRemotely
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Serves models from the isolate and from origins, whichever the policy says, and from the other where one fails: a
 * `Serving` made of others. Requests that are forwarded whole never come here.
 */
export class PlacedServing implements Serving {
  readonly #options: PlacedServingOptions

  constructor(options: PlacedServingOptions) {
    this.#options = options
  }

  alias(model: string, context: CallContext): Promise<Alias | null> {
    return this.#options.local.alias(model, context)
  }

  list(context: CallContext): Promise<readonly Alias[]> {
    return this.#options.local.list(context)
  }

  resolve(alias: Alias, version: string | undefined, context: CallContext): Promise<ResolvedModel> {
    return this.#options.local.resolve(alias, version, context)
  }

  file<T>(model: ResolvedModel, name: string, parse: (bytes: Uint8Array) => T, context: CallContext): Promise<T> {
    return this.#options.local.file(model, name, parse, context)
  }

  /** What is too dear for the edge is refused only where no origin could take it: which one will is decided run by run. */
  afford(model: ResolvedModel, runs: readonly InputShapes[], context: CallContext): void {
    const { local, regions } = this.#options
    const { manifest } = model
    const hint = context.placement?.hint ?? 'auto'
    const elsewhere =
      hint !== 'edge' &&
      manifest.placement !== 'edge' &&
      context.placement?.originRefusal === undefined &&
      regions.candidates(manifest.model, undefined).some(({ state }) => state !== 'down')
    if (!elsewhere) local.afford(model, runs, context)
  }

  async run(
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: CallContext,
  ): Promise<RunResult> {
    return this.#inTurn(model, context, [inputs], {
      edge: async (step, artifact) => {
        const result = await this.#options.local.runOn(artifact, model, inputs, outputs, context)
        return { ...result, ...marks(step) }
      },
      origin: (step, origins) => this.#remotely(step, origins, model, inputs, outputs, context),
    })
  }

  async generate(
    model: ResolvedModel,
    prompt: readonly number[],
    options: GenerationOptions,
    context: CallContext,
  ): Promise<Generation> {
    return this.#inTurn(model, context, undefined, {
      edge: async (step, artifact) => {
        const generation = await this.#options.local.generateOn(artifact, model, prompt, options, context)
        return { ...generation, ...marks(step) }
      },
    })
  }

  async ready(model: ResolvedModel): Promise<boolean> {
    const { local, regions } = this.#options
    if (await local.ready(model)) return true
    const { manifest } = model
    const up = regions.candidates(manifest.model, undefined).some(({ state }) => state !== 'down')
    return up && manifest.placement !== 'edge'
  }

  health(): Promise<EngineHealth> {
    return this.#options.local.health()
  }

  /** Tries one place after the other; what fails for another reason than the place itself is the caller's to know. */
  async #inTurn<T>(
    model: ResolvedModel,
    context: CallContext,
    runs: readonly InputShapes[] | undefined,
    ways: {
      readonly edge: (step: EdgeStep, artifact: Artifact) => Promise<T>
      readonly origin?: (step: OriginStep, origins: Decided['origins']) => Promise<T>
    },
  ): Promise<T> {
    const { local, logger, placer } = this.#options
    const facts = { route: 'oip' as const, full: false }
    const { decision, origins } = await placer.decide(model, facts, context, runs ?? [])
    if (decision.refusal !== undefined) throw refusalOf(decision.refusal, model)
    const steps: readonly Step[] = decision.steps.filter(({ place }) => place === 'edge' || ways.origin !== undefined)
    let failure: VergeError | undefined
    for (const step of steps) {
      const spent = context.ledger?.cost
      const artifact = local.candidates(model.manifest).find(({ artifact: { id } }) => isOf(step, id))?.artifact
      try {
        if (step.place === 'origin' && ways.origin !== undefined) return await ways.origin(step, origins)
        if (step.place === 'edge' && artifact !== undefined) return await ways.edge(step, artifact)
      } catch (error) {
        if (!(error instanceof VergeError) || !canGoOn(step, error) || step === steps.at(-1)) throw error
        // What could not be run is not paid for.
        if (context.ledger !== undefined && spent !== undefined) context.ledger.cost = spent
        if (artifact !== undefined && isLoadFailure(error)) placer.loadFailed(artifact)
        failure = error
        const { model: name } = model.manifest
        logger.warn('placed_elsewhere', {
          requestId: context.requestId,
          model: name,
          place: step.place,
          code: error.code,
        })
      }
    }
    throw failure ?? noPlace(model)
  }

  async #remotely(
    step: OriginStep,
    known: Decided['origins'],
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: CallContext,
  ): Promise<RunResult> {
    const { clock, regions, runRemotely } = this.#options
    const begun = clock.now()
    const origins = step.origins.flatMap((name) => known.get(name) ?? [])
    const { origin, value } = await regions.attempt(
      origins,
      context,
      (candidate) => runRemotely(candidate, model, inputs, outputs, context),
      context.deadline === undefined ? {} : { deadline: context.deadline },
    )
    return {
      outputs: value,
      artifact: undefined,
      start: 'warm',
      place: 'origin',
      origin: origin.name,
      reason: step.reason,
      timings: { loadMs: 0, queueMs: 0, runMs: clock.now() - begun },
    }
  }
}

function marks({ degraded, reason }: EdgeStep) {
  return { reason, ...(degraded && { degraded }) }
}

function isOf(step: Step, artifact: string): boolean {
  return step.place === 'edge' && step.artifact === artifact
}

function canGoOn(step: Step, error: VergeError): boolean {
  return step.place === 'edge' ? isEdgeFailure(error) : isOriginFailure(error)
}

function noPlace({ manifest }: ResolvedModel): VergeError {
  return new VergeError(
    'origin_unavailable',
    `Model "${manifest.model}" writes texts at an origin, and none could be reached. Try again in a moment.`,
    { retryAfter: 5 },
  )
}
