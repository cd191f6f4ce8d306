import type { Artifact } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Clock, Logger } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import { costOf, type InputShapes } from '../engine/costs.ts'
import type { Admission } from '../serving/admission.ts'
import { charged, notePlace, noteRun } from '../serving/ledger.ts'
import type { Generation, GenerationOptions, ResolvedModel, RunResult } from '../serving/serving.ts'
import type { EdgeRunner, EdgeState } from './edge.ts'
import { explainCandidates } from './explain-candidates.ts'
import { isEdgeFailure, isLoadFailure, isOriginFailure } from './failures.ts'
import type { Origin } from './origin.ts'
import type { OriginPool } from './origin-pool.ts'
import { bookWork } from './origin-usage.ts'
import type { ForwardedAnswer, ForwardedRequest, Placement, PlacementContext, Route, RouteFacts } from './placement.ts'
import type { PlacementPlanner, RouteDecision } from './planner.ts'
import type { EdgeStep, OriginStep, PlacementRefusal, Step } from './policy.ts'

/** Has one origin answer a request as it is. @throws OriginFault */
export type ForwardRequest = (
  origin: Origin,
  model: ResolvedModel,
  request: ForwardedRequest,
  context: PlacementContext,
) => Promise<Response>

/** Has one origin run a model on tensors. @throws OriginFault */
export type RunRemotely = (
  origin: Origin,
  model: ResolvedModel,
  inputs: Tensors,
  outputs: readonly string[] | undefined,
  context: PlacementContext,
) => Promise<Tensors>

export interface RouteOptions {
  readonly edge: EdgeState & EdgeRunner
  readonly planner: PlacementPlanner
  readonly originPool: OriginPool
  readonly runRemotely: RunRemotely
  readonly forward: ForwardRequest
  readonly clock: Clock
  readonly logger: Logger
}

interface StepRunners<T> {
  readonly edge: (step: EdgeStep, artifact: Artifact) => Promise<T>
  readonly origin?: (step: OriginStep) => Promise<T>
}

/** Carries out a decision for one request. */
class PlannedRoute implements Route {
  readonly forward: boolean
  readonly fallback: boolean
  readonly #model: ResolvedModel
  readonly #decided: RouteDecision
  readonly #options: RouteOptions
  /** Steps that failed for this request and would fail again. */
  readonly #failed = new Set<string>()
  #originsDown = false

  /** @throws the decision's refusal */
  constructor(model: ResolvedModel, decided: RouteDecision, options: RouteOptions) {
    this.#model = model
    this.#decided = decided
    this.#options = options
    const [first, ...rest] = stepsOf(decided, model)
    this.forward = first !== undefined && isForward(first)
    this.fallback = rest.some((step) => !isForward(step))
  }

  async send(request: ForwardedRequest, context: PlacementContext): Promise<ForwardedAnswer> {
    const { originPool, forward } = this.#options
    const step = this.#decided.decision.steps.find(isForward)
    if (step === undefined) {
      throw new VergeError('origin_unavailable', 'No origin can be reached. Try again in a moment.', { retryAfter: 1 })
    }
    const { body } = request
    const { attempts, origin, value } = await originPool.attempt(
      this.#originsOf(step),
      context,
      (candidate) => forward(candidate, this.#model, request, context),
      {
        ...(body instanceof ReadableStream && { replayable: false, untouched: () => !body.locked }),
        ...(context.deadline !== undefined && { deadline: context.deadline }),
      },
    )
    const { name, usdPerHour } = origin
    return { response: value, origin: name, usdPerHour, reason: step.reason, attempts }
  }

  giveUpOrigins(): void {
    this.#originsDown = true
  }

  /** What is over the cost limit of the edge is refused only where no origin could take it: which one will is decided run by run. */
  checkCost(model: ResolvedModel, runs: readonly InputShapes[], context: PlacementContext): void {
    const elsewhere = !this.#originsDown && this.#decided.decision.steps.some(({ place }) => place === 'origin')
    if (!elsewhere) this.#options.edge.checkCost(model, runs, context)
  }

  /** Only what is the first choice: most requests never need the others. */
  prefetch(model: ResolvedModel, context: PlacementContext): void {
    const [first] = this.#decided.decision.steps
    const artifact = first?.place === 'edge' ? this.#artifactOf(first) : undefined
    if (artifact !== undefined) this.#options.edge.prefetchOn(artifact, model, context)
  }

  async run(
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: PlacementContext,
  ): Promise<RunResult> {
    const { edge } = this.#options
    return this.#tryInOrder(this.#stepsFor(inputs, context), context, {
      edge: async (step, artifact) => ({
        ...(await edge.runOn(artifact, model, inputs, outputs, context)),
        ...marks(step),
      }),
      origin: (step) => this.#remotely(step, model, inputs, outputs, context),
    })
  }

  async generate(
    model: ResolvedModel,
    prompt: readonly number[],
    options: GenerationOptions,
    context: PlacementContext,
  ): Promise<Generation> {
    const { edge } = this.#options
    return this.#tryInOrder(this.#stepsFor(undefined, context), context, {
      edge: async (step, artifact) => ({
        ...(await edge.generateOn(artifact, model, prompt, options, context)),
        ...marks(step),
      }),
    })
  }

  /** What the decision leaves to do, unless what is known by now changes it: origins have failed, or the run is over the cost limit. */
  #stepsFor(run: InputShapes | undefined, context: PlacementContext): readonly Step[] {
    const { edge, planner } = this.#options
    const costs = run === undefined ? [] : this.#costsOf(edge, run, context)
    const overLimit = costs.some(({ cost, limit }) => cost > limit)
    if (!this.#originsDown && !overLimit) return this.#decided.decision.steps
    const later = planner.reconsider(this.#decided, {
      originsDown: this.#originsDown,
      costs: new Map(costs.map(({ cost, id }) => [id, cost])),
      ...(costs[0] && { costLimit: costs[0].limit }),
    })
    return stepsOf(later, this.#model)
  }

  #costsOf(edge: EdgeState, run: InputShapes, context: PlacementContext) {
    return edge.candidates(this.#model.manifest).flatMap(({ artifact, support }) => {
      return support.ok ? [{ id: artifact.id, ...edge.estimateCost(this.#model, artifact, [run], context) }] : []
    })
  }

  /** Tries one place after the other; what fails for another reason than the place itself is the caller's to know. */
  async #tryInOrder<T>(all: readonly Step[], context: PlacementContext, runners: StepRunners<T>): Promise<T> {
    const { logger, planner } = this.#options
    const steps = all.filter((step) => !this.#failed.has(keyOf(step)) && isRun(step, runners))
    for (const [index, step] of steps.entries()) {
      const spent = context.ledger?.cost
      const artifact = step.place === 'edge' ? this.#artifactOf(step) : undefined
      try {
        if (step.place === 'origin' && runners.origin !== undefined) return await runners.origin(step)
        if (step.place === 'edge' && artifact !== undefined) return await runners.edge(step, artifact)
      } catch (error) {
        if (!(error instanceof VergeError) || !mayTryNext(step, error) || index === steps.length - 1) throw error
        // What could not be run is not paid for.
        if (context.ledger !== undefined && spent !== undefined) context.ledger.cost = spent
        if (artifact !== undefined && isLoadFailure(error)) planner.loadFailed(artifact)
        if (artifact === undefined || isLoadFailure(error)) this.#failed.add(keyOf(step))
        const { model } = this.#model.manifest
        const { requestId } = context
        logger.warn('placed_elsewhere', { requestId, model, place: step.place, code: error.code })
      }
    }
    throw nowhereError(this.#model)
  }

  async #remotely(
    step: OriginStep,
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: PlacementContext,
  ): Promise<RunResult> {
    const { clock, originPool, runRemotely } = this.#options
    const begun = clock.now()
    const units = priceOf(model, inputs)
    notePlace(context.ledger, 'origin')
    // However many origins are tried, the run is paid for once.
    const { origin, value } = await charged(context.ledger, units, () =>
      originPool.attempt(
        this.#originsOf(step),
        context,
        (candidate) => runRemotely(candidate, model, inputs, outputs, context),
        context.deadline === undefined ? {} : { deadline: context.deadline },
      ),
    )
    const { usdPerHour } = origin
    notePlace(context.ledger, 'origin', origin.name)
    noteRun(context.ledger, 'warm')
    if (context.ledger !== undefined) bookWork(context.ledger, { ms: clock.now() - begun, units, usdPerHour })
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

  #artifactOf(step: EdgeStep): Artifact | undefined {
    const { edge } = this.#options
    return edge.candidates(this.#model.manifest).find(({ artifact: { id } }) => id === step.artifact)?.artifact
  }

  #originsOf(step: OriginStep): readonly Origin[] {
    return step.origins.flatMap((name) => this.#decided.origins.get(name) ?? [])
  }
}

/** What a run costs at an origin: as much as it would here, by the artifact that is meant for origins. */
function priceOf({ manifest }: ResolvedModel, run: InputShapes): number {
  const { artifacts, inputs } = manifest
  const artifact = artifacts.find(({ places }) => places.includes('origin')) ?? artifacts[0]
  return artifact === undefined ? 0 : costOf(artifact, inputs, run)
}

/** @throws the decision's refusal */
function stepsOf({ decision }: RouteDecision, model: ResolvedModel): readonly Step[] {
  if (decision.refusal !== undefined) throw placementError(decision.refusal, model)
  return decision.steps
}

function isForward(step: Step): step is OriginStep {
  return step.place === 'origin' && step.how === 'forward'
}

/** Whether a step is one of those that run the model and do not pass the request on. */
function isRun(step: Step, runners: StepRunners<unknown>): boolean {
  return step.place === 'edge' || (step.how === 'tensors' && runners.origin !== undefined)
}

function keyOf(step: Step): string {
  return step.place === 'edge' ? `edge ${step.artifact}` : `origin ${step.how}`
}

function marks({ degraded, reason }: EdgeStep) {
  return { reason, ...(degraded && { degraded }) }
}

function mayTryNext(step: Step, error: VergeError): boolean {
  return step.place === 'edge' ? isEdgeFailure(error) : isOriginFailure(error)
}

function nowhereError({ manifest }: ResolvedModel): VergeError {
  return new VergeError(
    'origin_unavailable',
    `Model "${manifest.model}" generates text at an origin, but no origin could be reached. Try again in a moment.`,
    { retryAfter: 5 },
  )
}

/** A refusal of the policy as an error for the caller. */
function placementError({ code, message, retryAfter }: PlacementRefusal, { manifest }: ResolvedModel): VergeError {
  return new VergeError(code, message, {
    details: { model: manifest.model },
    ...(retryAfter !== undefined && { retryAfter }),
  })
}

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

  async route(model: ResolvedModel, facts: RouteFacts, context: PlacementContext): Promise<Route> {
    return new PlannedRoute(model, await this.#options.planner.decide(model, facts, context), this.#options)
  }

  reaches({ manifest }: ResolvedModel): boolean {
    if (manifest.placement === 'edge') return false
    return this.#options.originPool.candidates(manifest.model, undefined).some(({ state }) => state !== 'down')
  }

  async explain(model: ResolvedModel, route: RouteFacts, context: PlacementContext): Promise<unknown> {
    const { decision, facts } = await this.#options.planner.decide(model, route, context)
    const { reason, refusal, steps } = decision
    return {
      place: steps[0]?.place ?? null,
      reason,
      ...(refusal && { refusal }),
      steps,
      considered: explainCandidates(facts),
      near: context.placement?.callerAt ?? null,
    }
  }
}
