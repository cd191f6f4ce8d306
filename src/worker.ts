import { WorkerEntrypoint } from 'cloudflare:workers'
import type { Caller } from './access/authorize.ts'
import { originSignatures } from './access/origin-signatures.ts'
import { type AppDeps, createApp } from './app.ts'
import { CatalogReader } from './catalog/reader.ts'
import type {
  VergeBinding,
  VergeCallOptions,
  VergeChat,
  VergeChatRequest,
  VergeEvents,
  VergeInputs,
  VergeOutcome,
  VergeReply,
  VergeRunOptions,
  VergeText,
  VergeTextRequest,
} from './client/rpc-types.ts'
import { type Config, parseConfig } from './config/config.ts'
import { checkBindings } from './config/variables.ts'
import type { Limits } from './core/limits.ts'
import { consoleLogger, type RunCounter, systemClock } from './core/runtime.ts'
import { sha256Factory } from './core/sha256.ts'
import { WorkLane } from './core/work.ts'
import type { Engine } from './engine/engine.ts'
import { EngineSet } from './engine/engine-set.ts'
import { HeapBudget } from './engine/heap-budget.ts'
import { ORT_VERSION, workerBinary } from './engine/ort/binary.ts'
import { OrtEngine } from './engine/ort/engine.ts'
import { workerKernels } from './engine/verge/binary.ts'
import { VergeEngine } from './engine/verge/engine.ts'
import { VERGE_ENGINE_VERSION } from './engine/verge/version.ts'
import { HealthView } from './placement/health.ts'
import { KvHealthStore } from './placement/health-store.ts'
import type { Origin, OriginFault } from './placement/origin.ts'
import { OriginPool } from './placement/origin-pool.ts'
import { PlacementPlanner } from './placement/planner.ts'
import { probeAndRecord } from './placement/probing.ts'
import { probeOrigin } from './placement/remote/probe.ts'
import { resolveOrigins } from './placement/remote/resolve.ts'
import { runRemotely, sendOn } from './placement/remote/send.ts'
import { OriginPlacement } from './placement/route.ts'
import { RpcError } from './rpc/answer.ts'
import { type RpcCall, RpcService } from './rpc/service.ts'
import { type Admission, BoundedAdmission, RenewingAdmission } from './serving/admission.ts'
import { Backlog } from './serving/backlog.ts'
import { FileCache } from './serving/files.ts'
import { LocalServing } from './serving/local.ts'
import { RunCache } from './serving/results/run-cache.ts'
import { CacheApiStore } from './serving/results/store.ts'
import { SessionCache } from './sessions/cache.ts'
import { DurableStreams, StreamObject } from './stream/durable.ts'
import { openRefused } from './stream/refusing.ts'
import type { StreamDeps } from './stream/stream-context.ts'
import { VERSION } from './version.ts'
import { KvStore } from './weights/kv.ts'
import { BlobLoader } from './weights/loader.ts'
import { R2Store } from './weights/r2.ts'

export interface Env {
  /** The truth: manifests, aliases and weights. */
  readonly BUCKET: R2Bucket
  /** Copies near the reader. */
  readonly KV: KVNamespace
  /** Where streams live. Optional: without it there are none. */
  readonly STREAMS?: DurableObjectNamespace
  /** Variables and secrets, parsed by `config/` and documented in docs/configuration.md. */
  readonly [variable: string]: unknown
}

interface Verge {
  readonly limits: Limits
  readonly app: ReturnType<typeof createApp>
  readonly rpc: RpcService
  readonly streams: StreamDeps
  readonly origins: readonly Origin[]
}

/** Made by the first request and kept for the isolate's life: module scope may do no work at start-up. */
let verge: Verge | undefined

export default {
  async fetch(request, env, context): Promise<Response> {
    const { app } = await assembled(env)
    return app.fetch(request, {}, context)
  },

  /** Once a minute: how the origins fare, for isolates that have asked none yet. */
  async scheduled(_controller, env): Promise<void> {
    const { limits, origins } = await assembled(env)
    if (origins.length === 0) return
    const probing = { clock: systemClock, limits, logger: consoleLogger }
    await probeAndRecord(
      origins,
      (origin, signal) => probeOrigin(origin, signal, probing),
      new KvHealthStore(env.KV, limits),
      probing,
    )
  },
} satisfies ExportedHandler<Env>

/** A client's stream, bound as STREAMS. It hears with the engine and the sessions of the isolate that it is in. */
export class SpeechStream extends StreamObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, async () => (await assembled(env)).streams)
  }
}

/** For other Workers of the account: a service binding with `entrypoint = "VergeRpc"`. docs/tasks/rpc.md has an example. */
export class VergeRpc extends WorkerEntrypoint<Env> implements VergeBinding {
  async run<Answer = unknown>(model: string, inputs: VergeInputs, options?: VergeRunOptions): Promise<Answer> {
    return answerOf(await this.tryRun<Answer>(model, inputs, options))
  }

  async tryRun<Answer = unknown>(
    model: string,
    inputs: VergeInputs,
    options?: VergeRunOptions,
  ): Promise<VergeOutcome<Answer>> {
    const { rpc } = await assembled(this.env)
    return (await rpc.run(this.#call(), model, inputs, options)) as VergeOutcome<Answer>
  }

  async chat<Answer = VergeChat & VergeEvents>(
    model: string,
    request: VergeChatRequest,
    options?: VergeCallOptions,
  ): Promise<Answer> {
    return answerOf(await this.tryChat<Answer>(model, request, options))
  }

  async tryChat<Answer = VergeChat>(
    model: string,
    request: VergeChatRequest,
    options?: VergeCallOptions,
  ): Promise<VergeReply<Answer>> {
    const { rpc } = await assembled(this.env)
    return (await rpc.write(this.#call(), '/v1/chat/completions', model, request, options)) as VergeReply<Answer>
  }

  async complete<Answer = VergeText & VergeEvents>(
    model: string,
    request: VergeTextRequest,
    options?: VergeCallOptions,
  ): Promise<Answer> {
    return answerOf(await this.tryComplete<Answer>(model, request, options))
  }

  async tryComplete<Answer = VergeText>(
    model: string,
    request: VergeTextRequest,
    options?: VergeCallOptions,
  ): Promise<VergeReply<Answer>> {
    const { rpc } = await assembled(this.env)
    return (await rpc.write(this.#call(), '/v1/completions', model, request, options)) as VergeReply<Answer>
  }

  #call(): RpcCall {
    return { props: this.ctx.props as unknown, waitUntil: (work) => this.ctx.waitUntil(work) }
  }
}

/** @throws RpcError */
function answerOf<Answer>(outcome: VergeReply<Answer>): Answer {
  if (outcome.ok) return outcome.answer
  throw new RpcError(outcome.error)
}

async function assembled(env: Env): Promise<Verge> {
  if (verge !== undefined) return verge
  checkBindings(env)
  const config = await parseConfig(env)
  // Asked again after the wait: of two first requests, both would make an engine with a memory of its own.
  verge ??= assemble(env, config)
  return verge
}

/** Verge's own engine, and ONNX Runtime for what it does not run, on one budget of memory. */
function enginesOf({ engines, limits }: Config, shared: { readonly runs: RunCounter }): Engine {
  const options = {
    ...shared,
    clock: systemClock,
    logger: consoleLogger,
    heapLimitBytes: limits.engineHeapBytes,
    heapBudget: new HeapBudget(limits.engineHeapBytes),
    turnLeaseMs: limits.turnLeaseMs,
    costBetweenYields: limits.costBetweenYields,
    loadStaleMs: limits.loadStaleMs,
  }
  const make = {
    verge: () => new VergeEngine({ ...options, kernels: workerKernels(), workBetweenYields: limits.workBetweenYields }),
    onnxruntime: () => new OrtEngine({ ...options, binary: workerBinary, version: ORT_VERSION }),
  }
  return new EngineSet(engines.map((name) => make[name]()))
}

function assemble(env: Env, config: Config): Verge {
  const { limits } = config
  const shared = {
    clock: systemClock,
    logger: consoleLogger,
    limits,
    sha256: sha256Factory(),
    runs: { finished: 0 },
    lane: new WorkLane({
      clock: systemClock,
      stepsBetweenPauses: limits.stepsBetweenPauses,
      leaseMs: limits.turnLeaseMs,
      mostStepsAhead: limits.readingStepsAhead,
    }),
  }
  const truth = new R2Store(env.BUCKET)
  const layers = [new KvStore(env.KV), truth]
  const blobs = new BlobLoader(layers, shared)
  const polling = { clock: systemClock, staleMs: limits.loadStaleMs, pollMs: limits.loadPollMs }
  const local = new LocalServing({
    ...shared,
    place: 'edge',
    catalog: new CatalogReader(layers, shared),
    blobs,
    files: new FileCache({
      ...polling,
      budgetBytes: limits.parsedFilesBytes,
      read: (blob, signal) => blobs.bytes(blob, limits.tokenizerBytes, signal),
    }),
    engine: enginesOf(config, shared),
    sessions: new SessionCache({
      ...shared,
      budgetBytes: limits.sessionBudgetBytes,
      loadStaleMs: limits.loadStaleMs,
      loadPollMs: limits.loadPollMs,
      loadDeadlineMs: limits.loadDeadlineMs,
      holdLeaseMs: limits.ticketLeaseMs,
      workingBytes: limits.workingBytes,
      roomWaitMs: limits.roomWaitMs,
    }),
    results: new RunCache({
      ...shared,
      // Absent where the platform has none.
      store: typeof caches === 'undefined' ? undefined : new CacheApiStore(caches.default),
      engine: `verge ${VERGE_ENGINE_VERSION}, onnxruntime-web ${ORT_VERSION}`,
    }),
    costLimit: limits.requestCost,
    prefillTokens: limits.prefillTokens,
    backlog: new Backlog({
      cost: limits.backlogCost,
      bytes: limits.backlogBytes,
      idleMs: limits.backlogIdleMs,
      renewMs: limits.backlogIdleMs / 5,
      clock: systemClock,
    }),
    roomBytes: limits.workingBytes,
    pinned: config.pinnedModels,
    random: Math.random,
  })
  const remote = originPlacement(local, env, config, shared)
  const admission = new BoundedAdmission({
    slots: limits.admittedRequests,
    bodyBytes: limits.bodyBytesTogether,
    largeBodyBytes: limits.largeBodyBytesTogether,
    leaseMs: limits.ticketLeaseMs,
    clock: systemClock,
  })
  const deps: AppDeps = {
    ...shared,
    serving: local,
    ...(remote && { placement: remote.placement, signatures: remote.signatures, weights: truth }),
    admission: renewing(admission, limits.requestDeadlineMs, shared),
    config: {
      version: VERSION,
      corsOrigins: config.corsOrigins,
      ...(config.apiKeyDigest && { apiKeyDigest: config.apiKeyDigest }),
      deadlineMs: limits.requestDeadlineMs,
    },
    randomId: () => crypto.randomUUID(),
    requestLog: { sampleRate: config.logSampleRate, random: Math.random },
    refuseSocket: openRefused,
    ...(env.STREAMS && { streams: new DurableStreams(env.STREAMS) }),
  }
  return {
    app: createApp(deps),
    rpc: rpcService({ ...deps, admission: renewing(admission, limits.streamedAnswerMs, shared) }, config),
    streams: deps,
    origins: remote?.origins ?? [],
    limits,
  }
}

/** Slots that are free again soon after their request was killed. */
function renewing(
  admission: Admission,
  mostMs: number,
  { clock, limits }: Pick<Shared, 'clock' | 'limits'>,
): Admission {
  return new RenewingAdmission({ admission, clock, leaseMs: limits.callLeaseMs, renewMs: limits.callBeatMs, mostMs })
}

/** The calls of other Workers: over an HTTP side of their own, which knows its callers and has no way in from outside. */
function rpcService(shared: AppDeps, { rpcCallers }: Config): RpcService {
  const deps: AppDeps = {
    ...shared,
    knownCaller: (bindings) => (bindings as { readonly caller: Caller }).caller,
  }
  let app: ReturnType<typeof createApp> | undefined
  return new RpcService({
    ...deps,
    callers: rpcCallers,
    ask: async (request, caller, { waitUntil }) => {
      app ??= createApp(deps)
      const context = { waitUntil, passThroughOnException() {}, props: undefined }
      return app.fetch(request, { caller }, context)
    },
  })
}

type Shared = Pick<AppDeps, 'clock' | 'logger' | 'limits' | 'runs' | 'lane'>

/** The isolate and the origins together; undefined where there are no origins. */
function originPlacement(edge: LocalServing, env: Env, { origins: configs, limits }: Config, shared: Shared) {
  if (configs.length === 0) return undefined
  const { clock, logger } = shared
  const origins = resolveOrigins(configs, {
    secret: (name) => (typeof env[name] === 'string' ? env[name] : undefined),
    binding: (name) => {
      const binding = env[name]
      return isFetcher(binding) ? (request) => binding.fetch(request) : undefined
    },
    fetch: (request) => fetch(request),
    clock,
    randomId: () => crypto.randomUUID(),
  })
  const health = new HealthView(new KvHealthStore(env.KV, limits), shared)
  const originPool = new OriginPool(origins, { clock, limits, logger, health, random: Math.random })
  const binaryOrigins = new Map<string, boolean>()
  const onLateFault = (origin: Origin, fault: OriginFault): void => originPool.recordStreamFailure(origin, fault)
  const planner = new PlacementPlanner({
    edge,
    originPool,
    health,
    clock,
    failedLoadMs: limits.failedLoadMs,
  })
  const placement = new OriginPlacement({
    edge,
    planner,
    originPool,
    clock,
    logger,
    runRemotely: (origin, model, inputs, outputs, context) =>
      runRemotely(origin, model, inputs, outputs, context, { clock, limits, binaryOrigins }),
    admission: renewing(
      new BoundedAdmission({
        slots: limits.forwardedRequests,
        bodyBytes: limits.forwardedBodyBytes,
        leaseMs: limits.ticketLeaseMs,
        clock,
      }),
      limits.requestDeadlineMs,
      shared,
    ),
    forward: (origin, model, request, context) =>
      sendOn(origin, model, request, context, { clock, limits, onLateFault }),
  })
  const secrets = configs.flatMap(({ auth }) => (auth.type === 'hmac' ? [String(env[auth.key])] : []))
  return { placement, origins, signatures: originSignatures([...new Set(secrets)], clock) }
}

function isFetcher(value: unknown): value is Fetcher {
  return typeof value === 'object' && value !== null && 'fetch' in value && typeof value.fetch === 'function'
}
