import type { Artifact, Blob, Manifest } from '../../catalog/manifest.ts'
import { throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, type Logger, type RunCounter, untilAborted } from '../../core/runtime.ts'
import { WorkLane } from '../../core/work.ts'
import { ModelRunner } from '../../inference/model-runner.ts'
import { readInferRequest } from '../../protocols/oip/read-request.ts'
import { writeInferAnswer } from '../../protocols/oip/write-answer.ts'
import type { RunContext } from '../../serving/serving.ts'
import { SessionCache } from '../../sessions/cache.ts'
import { assertAccepted, taskBody, withQuery } from '../../tasks/shared/request-body.ts'
import { type BoundTask, RawAnswer, type TaskBody } from '../../tasks/task.ts'
import type { Backend } from './artifacts.ts'
import { chooseArtifact, expectedArtifact } from './choice.ts'
import { type EngineAssets, Engines } from './engines.ts'
import { HeldModel, type LoadProgress, type WeightsSource } from './held-model.ts'
import { loadTask } from './tasks.ts'

/** A version of a model, and all that running it takes. */
export interface ModelPlan {
  readonly manifest: Manifest
  /** SHA-256 of the stored manifest. */
  readonly digest: string
}

export interface RuntimeOptions {
  readonly limits: Limits
  readonly clock: Clock
  readonly logger: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly randomId: () => string
  readonly assets: EngineAssets
  /** Where the bytes of a model come from, verified. */
  readonly weights: (plan: ModelPlan) => WeightsSource
  /** Whether the device's graphics processor computes in 16-bit floats; asked for when a model is to run there. */
  readonly f16?: () => Promise<boolean>
}

export interface CallOptions {
  readonly signal?: AbortSignal
  /** What computes: the processor if left out. */
  readonly backend?: Backend
}

export interface LoadOptions extends CallOptions {
  readonly onProgress?: (progress: LoadProgress) => void
}

/** A body as `fetch` would send it. */
export interface SentBody {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Empty where nothing says what it is. */
  readonly contentType: string
  /** By name, with all values of each. */
  readonly query: Readonly<Record<string, readonly string[]>>
}

/** How an answer was made. */
export interface RunInfo {
  readonly place: 'browser'
  readonly engine: string
  /** The artifact's name in the manifest. */
  readonly artifact: string
  readonly start: 'warm' | 'cold'
  readonly timings: { readonly loadMs: number; readonly queueMs: number; readonly runMs: number }
}

/** What a route of the Worker answers to the same request. */
export interface RuntimeAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array<ArrayBuffer>
  /** Absent where nothing had to be run. */
  readonly info?: RunInfo
}

/** Models in a visitor's browser. */
export interface Runtime {
  /** Loads all that running a model takes. @throws what loading throws */
  load(plan: ModelPlan, options?: LoadOptions): Promise<void>
  /** What `POST /run/{model}` answers. @throws what the model's task throws */
  run(plan: ModelPlan, body: TaskBody, options?: CallOptions): Promise<RuntimeAnswer>
  /** The same for a body as it was sent. */
  runSent(plan: ModelPlan, sent: SentBody, options?: CallOptions): Promise<RuntimeAnswer>
  /** What `POST /v1/embeddings` answers. @param request parsed JSON */
  embed(plan: ModelPlan, request: unknown, options?: CallOptions): Promise<RuntimeAnswer>
  /**
   * What `POST /v2/models/{model}/infer` answers.
   * @param jsonLength of the JSON before binary data; absent where all of the body is JSON
   */
  infer(
    plan: ModelPlan,
    body: Uint8Array<ArrayBuffer>,
    options?: CallOptions & { readonly jsonLength?: number },
  ): Promise<RuntimeAnswer>
  /** What running a model downloads: the artifact that was chosen, and the files that its task reads. */
  blobs(plan: ModelPlan, options?: CallOptions): Promise<readonly Blob[]>
  /** Ends all work under way. The memory is given back when the web worker ends. */
  dispose(): void
}

export function createRuntime(options: RuntimeOptions): Runtime {
  return new BrowserRuntime(options)
}

/** The Worker's own serving, sessions, engines and tasks over what a browser has. */
class BrowserRuntime implements Runtime {
  readonly #options: RuntimeOptions
  readonly #runs: RunCounter = { finished: 0 }
  readonly #engines: Engines
  readonly #sessions: SessionCache
  readonly #lane: WorkLane
  readonly #models = new Map<string, Promise<HeldModel>>()
  readonly #tasks = new Map<string, Promise<BoundTask>>()
  readonly #disposed = new AbortController()

  constructor(options: RuntimeOptions) {
    const { clock, limits } = options
    this.#options = options
    this.#engines = new Engines({ ...options, runs: this.#runs })
    this.#sessions = new SessionCache({
      ...options,
      budgetBytes: limits.sessionBudgetBytes,
      loadStaleMs: limits.loadStaleMs,
      loadPollMs: limits.loadPollMs,
      loadDeadlineMs: limits.loadDeadlineMs,
      holdLeaseMs: limits.ticketLeaseMs,
      roomWaitMs: limits.roomWaitMs,
    })
    this.#lane = new WorkLane({
      clock,
      stepsBetweenPauses: limits.stepsBetweenPauses,
      leaseMs: limits.turnLeaseMs,
      mostStepsAhead: limits.readingStepsAhead,
    })
  }

  load(plan: ModelPlan, options: LoadOptions = {}): Promise<void> {
    return this.#call(options, async (context) => {
      const [held, task] = await this.#needed(plan, options.backend, context)
      await held.load(task?.files?.(plan.manifest) ?? [], context, options.onProgress)
    })
  }

  run(plan: ModelPlan, body: TaskBody, options: CallOptions = {}): Promise<RuntimeAnswer> {
    return this.#run(plan, body.kind === 'bytes' ? body.bytes : undefined, async () => body, options)
  }

  runSent(plan: ModelPlan, { bytes, contentType, query }: SentBody, options: CallOptions = {}): Promise<RuntimeAnswer> {
    const read = async (task: BoundTask): Promise<TaskBody> => {
      assertAccepted(contentType, task)
      return withQuery(await taskBody(bytes, contentType, task, this.#options.limits), query, task)
    }
    return this.#run(plan, bytes, read, options)
  }

  #run(
    plan: ModelPlan,
    bytes: Uint8Array | undefined,
    read: (task: BoundTask) => Promise<TaskBody>,
    options: CallOptions,
  ): Promise<RuntimeAnswer> {
    return this.#call(options, async (context) => {
      this.#refuseLarge(bytes)
      const [held, task] = await Promise.all([this.#held(plan, options.backend, context), this.#task(plan.manifest)])
      const body = await read(task)
      const runner = this.#runner(held, context)
      runner.prefetch(task.files?.(held.manifest) ?? [])
      const answer = await task.execute(body, runner.model, runner.run)
      return { ...written(answer), ...infoOf(held, runner) }
    })
  }

  embed(plan: ModelPlan, request: unknown, options: CallOptions = {}): Promise<RuntimeAnswer> {
    return this.#call(options, async (context) => {
      const [held, { answerEmbeddings }] = await Promise.all([
        this.#held(plan, options.backend, context),
        import('../../tasks/vectors/openai-embeddings.ts'),
      ])
      const runner = this.#runner(held, context)
      const answer = await answerEmbeddings(request, {
        model: runner.model,
        run: runner.run,
        limits: this.#options.limits,
        accepted: () => runner.prefetch([]),
      })
      return { ...written(answer), ...infoOf(held, runner) }
    })
  }

  infer(
    plan: ModelPlan,
    body: Uint8Array<ArrayBuffer>,
    options: CallOptions & { readonly jsonLength?: number } = {},
  ): Promise<RuntimeAnswer> {
    return this.#call(options, async (context) => {
      const { limits } = this.#options
      const held = await this.#held(plan, options.backend, context)
      const { envelope, inputs, outputs } = readInferRequest(body, options.jsonLength, held.manifest, limits)
      const result = await held.serving.run(held.resolved, inputs, outputs, context)
      const { model: name, version } = held.manifest
      const answer = writeInferAnswer(envelope, { name, version }, result.outputs, limits)
      return { ...answer, ...infoOf(held, { lastRun: result }) }
    })
  }

  blobs(plan: ModelPlan, options: CallOptions = {}): Promise<readonly Blob[]> {
    return this.#call(options, async (context) => {
      const { manifest } = plan
      const [artifacts, task] = await Promise.all([
        this.#expected(plan, options.backend, context),
        manifest.task === undefined ? undefined : this.#task(manifest),
      ])
      const files = task?.files?.(manifest) ?? []
      return [...artifacts, ...files.flatMap(({ name }) => manifest.files?.[name] ?? [])]
    })
  }

  dispose(): void {
    this.#disposed.abort(new VergeError('cancelled', 'The models of this page were unloaded.'))
    this.#models.clear()
  }

  /** Does work for a caller: it ends when the caller leaves, or the runtime is disposed. */
  async #call<T>({ signal }: CallOptions, work: (context: RunContext) => Promise<T>): Promise<T> {
    const ending = signal === undefined ? this.#disposed.signal : AbortSignal.any([signal, this.#disposed.signal])
    throwIfAborted(ending)
    return work({
      requestId: this.#options.randomId(),
      signal: ending,
      runsBefore: this.#runs.finished,
      // Failures of loads that were begun ahead are for those to say who need them.
      waitUntil: (background) => void background.catch(() => {}),
    })
  }

  #runner(held: HeldModel, context: RunContext): ModelRunner {
    const { serving } = held
    const { randomId } = this.#options
    return new ModelRunner({ serving, lane: this.#lane, randomId }, { model: held.resolved, runner: serving }, context)
  }

  /** One promise for all callers; a failure is forgotten, so that the next caller tries again. */
  #held(plan: ModelPlan, backend: Backend = 'wasm', { signal }: RunContext): Promise<HeldModel> {
    return untilAborted(
      kept(this.#models, modelKey(plan, backend), () => this.#hold(plan, backend)),
      signal,
    )
  }

  /** The engine and the task of a model, downloaded side by side; no task for a model of raw tensors. */
  #needed(plan: ModelPlan, backend: Backend | undefined, context: RunContext) {
    const { manifest } = plan
    return Promise.all([
      this.#held(plan, backend, context),
      manifest.task === undefined ? undefined : this.#task(manifest),
    ])
  }

  #task(manifest: Manifest): Promise<BoundTask> {
    return kept(this.#tasks, manifest.task ?? '', () => loadTask(manifest, this.#options.limits))
  }

  /** The artifact that will be chosen; without its engine as far as that can be said. */
  async #expected(plan: ModelPlan, backend: Backend = 'wasm', context: RunContext): Promise<readonly Artifact[]> {
    const isChosen = this.#models.has(modelKey(plan, backend))
    const expected = isChosen ? undefined : await expectedArtifact(plan.manifest, backend, this.#options)
    return expected === undefined ? (await this.#held(plan, backend, context)).manifest.artifacts : [expected]
  }

  /** Chooses the artifact and starts its engine; nothing of the model is downloaded. */
  async #hold(plan: ModelPlan, backend: Backend): Promise<HeldModel> {
    const { clock, f16, limits, random, weights } = this.#options
    const { digest, manifest } = plan
    const { chosen, engine } = await chooseArtifact(manifest, backend, { f16, engines: this.#engines })
    return new HeldModel({
      manifest,
      digest,
      chosen,
      engine,
      weights: weights(plan),
      sessions: this.#sessions,
      limits,
      clock,
      random,
    })
  }

  #refuseLarge(bytes: Uint8Array | undefined): void {
    const most = this.#options.limits.requestBodyBytes
    if (bytes === undefined || bytes.length <= most) return
    throw new VergeError('body_too_large', `The request body may have at most ${most} bytes.`, {
      details: { limit_bytes: most },
    })
  }
}

function modelKey({ digest }: ModelPlan, backend: Backend): string {
  return `${backend} ${digest}`
}

function kept<T>(all: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = all.get(key)
  if (known !== undefined) return known
  const made = make().catch((error: unknown) => {
    if (all.get(key) === made) all.delete(key)
    throw error
  })
  all.set(key, made)
  return made
}

function written(answer: unknown): Pick<RuntimeAnswer, 'headers' | 'body'> {
  return answer instanceof RawAnswer
    ? { headers: { 'content-type': answer.mediaType }, body: answer.bytes }
    : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(answer) }
}

function infoOf(held: HeldModel, { lastRun }: { readonly lastRun: ModelRunner['lastRun'] }): { info?: RunInfo } {
  const { artifact, start } = lastRun ?? {}
  if (lastRun === undefined || artifact === undefined) return {}
  const timings = 'timings' in lastRun ? lastRun.timings : { loadMs: 0, queueMs: 0, runMs: 0 }
  return {
    info: {
      place: 'browser',
      engine: held.engine,
      artifact: artifact.id,
      start: start === 'warm' ? 'warm' : 'cold',
      timings,
    },
  }
}
