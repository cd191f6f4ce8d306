import type { Alias } from '../catalog/alias.ts'
import { chooseLive } from '../catalog/choose-live.ts'
import type { ModelLists } from '../catalog/index/model-lists.ts'
import type { ListQuery, ModelPage } from '../catalog/index/query.ts'
import type { Artifact, Manifest, Place } from '../catalog/manifest.ts'
import type { ModelFile } from '../catalog/model-file.ts'
import type { CatalogReader } from '../catalog/reader.ts'
import { VergeError } from '../core/errors.ts'
import type { Clock } from '../core/runtime.ts'
import { bytesHeld, type Tensors } from '../core/tensors.ts'
import type { Tracer } from '../core/tracing.ts'
import { assertWithinCostLimit, costOf, elementsOf, type InputShapes, refusedRun } from '../engine/costs.ts'
import type { EngineHealth } from '../engine/engine.ts'
import type { Backlog } from './backlog.ts'
import { type ArtifactCandidate, Candidates, type RefusedArtifact } from './candidates.ts'
import type { FileCache } from './files.ts'
import { runsOf } from './generating.ts'
import { charged, chargedText, notePlace, noteRun } from './ledger.ts'
import { ModelSessions, type ModelSessionsOptions } from './model-sessions.ts'
import type { RunCache } from './results/run-cache.ts'
import type {
  Generation,
  GenerationOptions,
  Residence,
  ResolvedModel,
  RunContext,
  RunResult,
  Serving,
  ServingObserver,
} from './serving.ts'
import { batchOf, type ModelStatistics, RunStatistics, versionName } from './statistics.ts'
import { TextWriter } from './text-writer.ts'

export interface LocalServingOptions extends ModelSessionsOptions {
  /**
   * The place of this process. The edge and a browser do not run artifacts for other places; an origin runs them only if it
   * has no better one.
   */
  readonly place: Place
  readonly catalog: Pick<CatalogReader, 'alias' | 'manifest' | 'kept'>
  readonly lists: ModelLists
  readonly files: FileCache
  readonly results: Pick<RunCache, 'through'>
  /** Units that the runs of one request may cost together. */
  readonly costLimit: number
  /** The same for language models, where it differs: their contexts bound them, and others have turns between tokens. */
  readonly textCostLimit?: number
  /** Most tokens of a prompt that one run reads. */
  readonly prefillTokens: number
  /** Bounds the work taken on; absent where the engine bounds its own queue. */
  readonly backlog?: Backlog
  readonly clock: Clock
  /** Uniform in [0, 1): picks among the live versions. */
  readonly random: () => number
  readonly observer?: ServingObserver
  /** Records the texts that are written here. Undefined where no traces are recorded. */
  readonly tracer?: Tracer | undefined
  /** Whether requests are to be sent here: the engine alone does not know. Always if left out. */
  readonly accepts?: () => boolean
}

/** Serves models from here, an isolate or an origin: catalogue, weights, sessions and engine put together. */
export class LocalServing implements Serving, Residence {
  readonly #options: LocalServingOptions
  readonly #sessions: ModelSessions
  readonly #statistics = new RunStatistics()
  readonly #candidates: Candidates
  readonly #texts: TextWriter

  constructor(options: LocalServingOptions) {
    this.#options = options
    this.#sessions = new ModelSessions(options)
    this.#candidates = new Candidates(options.place, options.engine)
    this.#texts = new TextWriter({ ...options, sessions: this.#sessions, statistics: this.#statistics })
  }

  get place(): Place {
    return this.#options.place
  }

  alias(model: string, context: RunContext): Promise<Alias | null> {
    return this.#options.catalog.alias(model, context.signal)
  }

  list(query: ListQuery, context: RunContext): Promise<ModelPage> {
    return this.#options.lists.page(query, context.signal)
  }

  async resolve(alias: Alias, version: string | undefined, context: RunContext): Promise<ResolvedModel> {
    const chosen = version ?? chooseLive(alias, { sticky: context.sticky, random: this.#options.random })
    const digest = Object.hasOwn(alias.versions, chosen) ? alias.versions[chosen] : undefined
    if (digest === undefined) {
      throw new VergeError('version_not_found', `Model "${alias.model}" has no version "${chosen}".`, {
        details: { model: alias.model, versions: Object.keys(alias.versions).slice(0, 20) },
      })
    }
    const manifest = await this.#options.catalog.manifest(alias.model, chosen, digest, context.signal)
    const resolved = { alias, manifest, digest }
    this.#options.observer?.resolved(resolved)
    return resolved
  }

  checkCost(model: ResolvedModel, runs: readonly InputShapes[], context: RunContext): void {
    const artifact = this.#artifactFor(model, context)
    const cost = this.#costOf(model, artifact, runs, context)
    this.#assertFit(artifact, runs)
    this.#options.backlog?.plan(context.signal, cost)
  }

  #artifactFor({ manifest }: ResolvedModel, context: RunContext): Artifact {
    return this.#candidates.chosen(manifest, isCheap(context))
  }

  /** @throws run_too_large where it was measured that a run needs more memory than there is */
  #assertFit(artifact: Artifact, runs: readonly InputShapes[]): void {
    const roomBytes = this.#options.roomBytes?.(artifact)
    if (roomBytes === undefined) return
    for (const run of runs) {
      const refusal = refusedRun({ artifact, elements: elementsOf(run), roomBytes })
      if (refusal !== undefined) throw refusal
    }
  }

  #costOf({ manifest }: ResolvedModel, artifact: Artifact, runs: readonly InputShapes[], context: RunContext): number {
    const spent = context.ledger?.cost ?? 0
    const { model, inputs } = manifest
    return assertWithinCostLimit(runs, { model, artifact, inputs, spent, limit: this.#limitFor(manifest) })
  }

  prefetch(model: ResolvedModel, context: RunContext): void {
    const best = this.#candidates.of(model.manifest, isCheap(context)).find(({ support }) => support.ok)
    if (best !== undefined) this.prefetchOn(best.artifact, model, context)
  }

  /** As `prefetch`, of one of the model's artifacts. Nothing is loaded for a request that will find no turn to run. */
  prefetchOn(artifact: Artifact, model: ResolvedModel, context: RunContext): void {
    if (!this.loaded(artifact) && !this.busy) this.#sessions.prefetch(model.manifest, artifact, context)
  }

  /** Loads the model's session, and waits until it is there. @throws what loading throws */
  async load({ manifest }: ResolvedModel, context: RunContext): Promise<void> {
    await this.#sessions.load(manifest, this.#candidates.chosen(manifest), context)
  }

  async pin({ manifest }: ResolvedModel, context: RunContext): Promise<void> {
    await this.#sessions.pin(manifest, this.#candidates.chosen(manifest), context)
  }

  evict({ manifest }: ResolvedModel): void {
    this.#sessions.evict(manifest)
  }

  statistics({ manifest }: ResolvedModel): ModelStatistics {
    return this.#statistics.of(versionName(manifest))
  }

  async run(
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: RunContext,
  ): Promise<RunResult> {
    return this.runOn(this.#artifactFor(model, context), model, inputs, outputs, context)
  }

  /** Runs one of the model's artifacts, whichever would be chosen. */
  async runOn(
    artifact: Artifact,
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: RunContext,
  ): Promise<RunResult> {
    const { manifest } = model
    try {
      const result = await this.#runOn(artifact, model, inputs, outputs, context)
      this.#statistics.succeeded(versionName(manifest), result, batchOf(manifest, inputs), this.#options.clock.now())
      return result
    } catch (error) {
      this.#statistics.failed(versionName(manifest))
      throw error
    }
  }

  async #runOn(
    artifact: Artifact,
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: RunContext,
  ): Promise<RunResult> {
    const cost = this.#costOf(model, artifact, [inputs], context)
    this.#assertFit(artifact, [inputs])
    if (context.ledger !== undefined) context.ledger.cost += cost
    const { backlog, place, results } = this.#options
    notePlace(context.ledger, place)
    // Answers from the cache need no share of the engine.
    const make = async () => {
      const run = () => this.#sessions.run(model.manifest, artifact, inputs, outputs, context)
      const made = await (backlog === undefined ? run() : backlog.run(context.signal, cost, bytesHeld(inputs), run))
      return { ...made, artifact, place }
    }
    const result = await results.through({ model, artifact, inputs, outputs, cost }, context, () =>
      charged(context.ledger, cost, make),
    )
    if (result.start === 'cached') backlog?.spend(context.signal, cost)
    noteRun(context.ledger, result.start, result.timings)
    return result
  }

  async generate(
    model: ResolvedModel,
    prompt: readonly number[],
    options: GenerationOptions,
    context: RunContext,
  ): Promise<Generation> {
    return this.generateOn(this.#artifactFor(model, context), model, prompt, options, context)
  }

  /** As `generate`, with one of the model's artifacts, whichever would be chosen. */
  async generateOn(
    artifact: Artifact,
    model: ResolvedModel,
    prompt: readonly number[],
    options: GenerationOptions,
    context: RunContext,
  ): Promise<Generation> {
    const runs = runsOf(model.manifest, prompt.length, options.maxNewTokens)
    const cost = this.#costOf(model, artifact, runs, context)
    if (context.ledger !== undefined) context.ledger.cost += cost
    const [, step] = runs
    const perToken = step === undefined ? 0 : costOf(artifact, model.manifest.inputs, step)
    const charge = { prompt: prompt.length, most: options.maxNewTokens, units: cost, perToken }
    return chargedText(context.ledger, charge, () =>
      this.#texts.begin({ manifest: model.manifest, artifact, prompt, options, cost }, context),
    )
  }

  file<T>(model: ResolvedModel, file: ModelFile<T>, context: RunContext): Promise<T> {
    return this.#options.files.get(model.manifest, file, context)
  }

  prefetchFiles(model: ResolvedModel, files: readonly ModelFile[], context: RunContext): void {
    for (const file of files) this.#options.files.prefetch(model.manifest, file, context)
  }

  async ready(model: ResolvedModel): Promise<boolean> {
    try {
      this.#candidates.chosen(model.manifest)
    } catch {
      return false
    }
    return (await this.health()).ok
  }

  async health(): Promise<EngineHealth> {
    const { accepts, engine } = this.#options
    const health = await engine.health()
    return (accepts?.() ?? true) ? health : { ...health, ok: false }
  }

  /** Artifacts of a manifest for this place, best first, and whether the engine supports them. Loads nothing. */
  candidates(manifest: Manifest, smallest?: boolean): readonly ArtifactCandidate[] {
    return this.#candidates.of(manifest, smallest)
  }

  /** What a manifest has for this place that a newer Verge has written. */
  aside(manifest: Manifest): readonly RefusedArtifact[] {
    return this.#candidates.aside(manifest)
  }

  /** Whether as much work has been taken on here as callers would wait for. */
  get busy(): boolean {
    return this.#options.backlog?.full ?? false
  }

  /** Whether the model's session is loaded, or can be without another one's leaving. What no engine supports needs no room. */
  fitsBeside({ manifest }: ResolvedModel): boolean {
    const best = this.#candidates.of(manifest).find(({ support }) => support.ok)
    return best === undefined || this.#sessions.fitsBeside(best.artifact)
  }

  /** Whether an artifact's session is in memory. */
  loaded(artifact: Pick<Artifact, 'sha256'>): boolean {
    return this.#sessions.loaded(artifact)
  }

  held(): readonly Manifest[] {
    return this.#options.catalog.kept().filter(({ artifacts }) => artifacts.some((artifact) => this.loaded(artifact)))
  }

  /** What runs would cost here together, and what one request may. */
  estimateCost(
    { manifest }: ResolvedModel,
    artifact: Artifact,
    runs: readonly InputShapes[],
    context: RunContext,
  ): { readonly cost: number; readonly limit: number } {
    const spent = context.ledger?.cost ?? 0
    const cost = runs.reduce((sum, run) => sum + costOf(artifact, manifest.inputs, run), spent)
    return { cost, limit: this.#limitFor(manifest) }
  }

  #limitFor({ task }: Manifest): number {
    const { costLimit, textCostLimit = costLimit } = this.#options
    return task === 'text-generation' ? textCostLimit : costLimit
  }
}

/** Whether the smallest artifact is to answer a request. */
function isCheap({ ledger }: RunContext): boolean {
  return ledger?.bounds?.smallest === true
}
