import { Attempts } from './access/attempts.ts'
import type { Caller } from './access/authorize.ts'
import { Credentials } from './access/credentials.ts'
import { type FloodGuard, type FloodLimit, floodGuard } from './access/flood.ts'
import { KeyReader } from './access/keys/reader.ts'
import { originSignatures } from './access/origin-signatures.ts'
import { signInChecks } from './access/sign-in/checks.ts'
import { tokenCheck } from './access/tokens/check.ts'
import { type AppDeps, createApp } from './app.ts'
import { CatalogReader } from './catalog/reader.ts'
import { ReleaseCheck } from './catalog/signing/release-check.ts'
import { SignedAliases } from './catalog/signing/signed-aliases.ts'
import type { Config } from './config/config.ts'
import type { Limits } from './core/limits.ts'
import type { Clock, Logger, RunCounter, Sha256Factory } from './core/runtime.ts'
import { sha256Factory } from './core/sha256.ts'
import { WorkLane } from './core/work.ts'
import type { Engine } from './engine/engine.ts'
import { EngineSet } from './engine/engine-set.ts'
import { HeapBudget } from './engine/heap-budget.ts'
import { workerBinary } from './engine/ort/binary.ts'
import { OrtEngine } from './engine/ort/engine.ts'
import { ORT_VERSION } from './engine/ort/version.ts'
import { workerKernels } from './engine/verge/binary.ts'
import { VergeEngine } from './engine/verge/engine.ts'
import { VERGE_ENGINE_VERSION } from './engine/verge/version.ts'
import { TOKENIZER_IMAGE } from './media/text/compiled/format.ts'
import type { LedgerObject } from './metering/ledger/durable.ts'
import { limiting } from './metering/limiting.ts'
import type { Metering } from './metering/metering.ts'
import { LedgerUsage } from './metering/usage/ledger-usage.ts'
import { HealthView } from './placement/health.ts'
import { KvHealthStore } from './placement/health-store.ts'
import type { Origin, OriginFault } from './placement/origin.ts'
import { OriginPool } from './placement/origin-pool.ts'
import { PlacementPlanner } from './placement/planner.ts'
import { resolveOrigins } from './placement/remote/resolve.ts'
import { runRemotely, sendOn } from './placement/remote/send.ts'
import { OriginPlacement } from './placement/route.ts'
import { DurableReleases } from './releases/guard.ts'
import { type RpcDeps, RpcService } from './rpc/service.ts'
import { WorkersAiService } from './rpc/workers-ai.ts'
import { type Admission, BoundedAdmission, RenewingAdmission } from './serving/admission.ts'
import { Backlog } from './serving/backlog.ts'
import { FileCache } from './serving/files.ts'
import { LocalServing } from './serving/local.ts'
import { RunCache } from './serving/results/run-cache.ts'
import { CacheApiStore } from './serving/results/store.ts'
import { SessionCache } from './sessions/cache.ts'
import { DurableStreams } from './stream/durable.ts'
import { openRefused } from './stream/refusing.ts'
import type { StreamDeps } from './stream/stream-context.ts'
import { VERSION } from './version.ts'
import { KvStore } from './weights/kv.ts'
import { BlobLoader } from './weights/loader.ts'
import { KvPages } from './weights/pages/kv-pages.ts'
import { PageLoader } from './weights/pages/page-loader.ts'
import { StorePages } from './weights/pages/store-pages.ts'
import { ChunkPassage } from './weights/passage.ts'
import { R2Store } from './weights/r2.ts'
import type { Store } from './weights/store.ts'

export interface Env {
  /** The truth: manifests, aliases and weights. */
  readonly BUCKET: R2Bucket
  /** Copies near the reader. */
  readonly KV: KVNamespace
  /** Where streams live. Optional: without it there are none. */
  readonly STREAMS?: DurableObjectNamespace
  /** What callers have used. Optional: without it budgets are refused, and each isolate counts rates by itself. */
  readonly LEDGER?: DurableObjectNamespace<LedgerObject>
  /** Where the generations of signed releases are kept. Optional: without it each isolate knows only what it has read. */
  readonly RELEASES?: DurableObjectNamespace
  /** Limits of the platform, in front of that: for addresses, and for keys. Optional. */
  readonly ADDRESS_RATE?: RateLimit
  readonly KEY_RATE?: RateLimit
  /** The files that the playground consists of. Optional: without it there is no page. */
  readonly ASSETS?: Fetcher
  /** Variables and secrets, parsed by `config/` and documented in docs/configuration.md. */
  readonly [variable: string]: unknown
}

/** A Worker put together. */
export interface Verge {
  readonly limits: Limits
  readonly app: ReturnType<typeof createApp>
  readonly rpc: RpcService
  readonly workersAi: WorkersAiService
  readonly streams: StreamDeps
  readonly metering: Metering
  readonly origins: readonly Origin[]
}

/** What is neither bound nor configured. */
export interface Platform {
  readonly clock: Clock
  readonly logger: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly randomId: () => string
}

/** Verge's own engine, and ONNX Runtime for what it does not run, on one budget of memory. */
function enginesOf({ engines, limits }: Config, shared: Platform & { readonly runs: RunCounter }): Engine {
  const options = {
    ...shared,
    heapLimitBytes: limits.engineHeapBytes,
    heapBudget: new HeapBudget(limits.engineHeapBytes),
    turnLeaseMs: limits.turnLeaseMs,
    costBetweenYields: limits.costBetweenYields,
    loadStaleMs: limits.loadStaleMs,
  }
  const make = {
    verge: () =>
      new VergeEngine({
        ...options,
        kernels: workerKernels(),
        workBetweenYields: limits.workBetweenYields,
        pageBytes: limits.pageBytes,
        pageCacheBytes: limits.pageCacheBytes,
        pageBytesInFlight: limits.pageBytesInFlight,
        heldRowBytes: limits.heldRowBytes,
        heldRowsLeaseMs: limits.requestDeadlineMs,
      }),
    onnxruntime: () => new OrtEngine({ ...options, binary: workerBinary, version: ORT_VERSION }),
  }
  return new EngineSet(engines.map((name) => make[name]()))
}

export function assemble(env: Env, config: Config, platform: Platform): Verge {
  const { limits } = config
  const { clock } = platform
  const shared = {
    ...platform,
    limits,
    sha256: sha256Factory(),
    runs: { finished: 0 },
    lane: new WorkLane({
      clock,
      stepsBetweenPauses: limits.stepsBetweenPauses,
      leaseMs: limits.turnLeaseMs,
      mostStepsAhead: limits.readingStepsAhead,
    }),
  }
  const truth = new R2Store(env.BUCKET)
  const copies = new KvStore(env.KV)
  const layers = [copies, truth]
  const releases = releaseCheck(env, config, shared)
  const blobs = new BlobLoader(layers, shared)
  const polling = { clock, staleMs: limits.loadStaleMs, pollMs: limits.loadPollMs }
  const local = new LocalServing({
    ...shared,
    place: 'edge',
    catalog: new CatalogReader(layers, { ...shared, releases }),
    blobs,
    pages: new PageLoader([new KvPages(env.KV, shared), new StorePages(truth, shared)], shared),
    files: new FileCache({
      ...polling,
      budgetBytes: limits.parsedFilesBytes,
      read: (blob, name, signal) => {
        const most = name === TOKENIZER_IMAGE ? limits.tokenizerImageBytes : limits.tokenizerBytes
        return blobs.bytes(blob, most, signal)
      },
    }),
    engine: enginesOf(config, shared),
    sessions: new SessionCache({
      ...shared,
      budgetBytes: limits.sessionBudgetBytes,
      loadStaleMs: limits.loadStaleMs,
      loadPollMs: limits.loadPollMs,
      loadDeadlineMs: limits.loadDeadlineMs,
      holdLeaseMs: limits.ticketLeaseMs,
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
      clock,
    }),
    roomBytes: ({ format }) => (format === 'verge' ? limits.ownWorkingBytes : limits.workingBytes),
    pinned: config.pinnedModels,
    random: platform.random,
  })
  // what an origin would not be served it is not given either
  const given = releases === undefined ? truth : new SignedAliases(truth, releases, limits)
  const remote = originPlacement(local, env, config, shared)
  const admission = new BoundedAdmission({
    slots: limits.admittedRequests,
    bodyBytes: limits.bodyBytesTogether,
    largeBodyBytes: limits.largeBodyBytesTogether,
    leaseMs: limits.ticketLeaseMs,
    clock,
  })
  const keys = new KeyReader(copies, truth, shared)
  const addressRate = guardOf(env.ADDRESS_RATE, shared)
  const attempts = new Attempts({ ...shared, addressRate })
  const usage = usageOf(env, shared, truth)
  const limited = limitedMetering(env, config, { ...shared, addressRate }, keys, usage)
  const metering = usage?.counting(limited) ?? limited
  const deps: AppDeps = {
    ...shared,
    serving: local,
    metering,
    limited: { plans: config.plans, models: config.modelLimits },
    ...(usage && { usage }),
    residence: local,
    ...(remote && { placement: remote.placement, signatures: remote.signatures, weights: given }),
    admission: renewing(admission, limits.requestDeadlineMs, shared),
    downloads: {
      chunks: new ChunkPassage(copies, truth, shared),
      admission: renewing(
        new BoundedAdmission({ slots: limits.downloads, bodyBytes: 0, leaseMs: limits.ticketLeaseMs, clock }),
        limits.downloadMs,
        shared,
      ),
    },
    config: {
      version: VERSION,
      corsOrigins: config.corsOrigins,
      ...(config.tokenKey && { tokenKey: config.tokenKey }),
      deadlineMs: limits.requestDeadlineMs,
      defaultProtocol: config.defaultProtocol,
      defaultModel: config.defaultModel,
      modelNames: config.modelNames,
    },
    ...(config.playground && env.ASSETS && { page: documentOf(env.ASSETS) }),
    credentials: new Credentials({
      apiKeyDigest: config.apiKeyDigest,
      keys,
      attempts,
      token: tokenCheck({ ...shared, key: config.tokenKey, keys, attempts }),
      clock,
      limits,
      ...signInChecks(config.signIn, { ...shared, fetch: (request) => fetch(request), namespace: env.KV }),
    }),
    requestLog: { sampleRate: config.logSampleRate, random: platform.random },
    refuseSocket: openRefused,
    ...(env.STREAMS && { streams: new DurableStreams(env.STREAMS) }),
  }
  return {
    app: createApp(deps),
    ...rpcServices({ ...deps, admission: renewing(admission, limits.streamedAnswerMs, shared) }, config),
    streams: deps,
    metering,
    origins: remote?.origins ?? [],
    limits,
  }
}

/** What lets signed releases through; undefined where releases need no signature. */
function releaseCheck(
  { RELEASES: namespace }: Env,
  { releaseKeys: keys }: Config,
  shared: Pick<Shared, 'clock' | 'logger' | 'limits'> & { readonly sha256: Sha256Factory },
): ReleaseCheck | undefined {
  if (keys.length === 0) return undefined
  return new ReleaseCheck({ ...shared, keys, memory: namespace && new DurableReleases(namespace) })
}

/** What refuses requests by a limit of the platform; undefined where none is bound. */
function guardOf(limit: FloodLimit | undefined, { logger }: Platform): FloodGuard | undefined {
  return limit && floodGuard(limit, logger)
}

/** What callers may use, leased from their ledgers. A key that was revoked is read again. */
function limitedMetering(
  { LEDGER, KEY_RATE }: Env,
  config: Config,
  shared: Shared & { readonly addressRate: FloodGuard | undefined },
  keys: KeyReader,
  usage: LedgerUsage | undefined,
): Metering {
  const { plans, modelLimits, limitsWhenUnavailable: whenUnavailable } = config
  return limiting({
    ...shared,
    plans,
    modelLimits,
    whenUnavailable,
    usage: usage?.carrier,
    keyRate: guardOf(KEY_RATE, shared),
    ledger: LEDGER && {
      lease: (principal, request) => LEDGER.get(LEDGER.idFromName(principal)).lease(principal, request),
    },
    onRevoked: (principal) => keys.forget(principal.replace(/^key:/, '')),
  })
}

/** What callers use, counted in their ledgers; undefined where there are none. */
function usageOf({ LEDGER }: Env, shared: Shared, store: Store): LedgerUsage | undefined {
  if (LEDGER === undefined) return undefined
  return new LedgerUsage({
    ...shared,
    store,
    ledgerOf: (principal) => LEDGER.get(LEDGER.idFromName(principal)),
  })
}

/** The playground's document. The host of the address means nothing. */
function documentOf(assets: Fetcher): NonNullable<AppDeps['page']> {
  return async () => {
    const { body, ok } = await assets.fetch('https://assets.internal/index.html')
    return ok ? (body ?? undefined) : undefined
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
function rpcServices(shared: AppDeps, { rpcCallers }: Config): Pick<Verge, 'rpc' | 'workersAi'> {
  const deps: AppDeps = {
    ...shared,
    knownCaller: (bindings) => (bindings as { readonly caller: Caller }).caller,
  }
  let app: ReturnType<typeof createApp> | undefined
  const rpcDeps: RpcDeps = {
    ...deps,
    callers: rpcCallers,
    ask: async (request, caller, { waitUntil }) => {
      app ??= createApp(deps)
      const context = { waitUntil, passThroughOnException() {}, props: undefined }
      return app.fetch(request, { caller }, context)
    },
  }
  return { rpc: new RpcService(rpcDeps), workersAi: new WorkersAiService(rpcDeps) }
}

type Shared = Platform & Pick<AppDeps, 'limits' | 'runs' | 'lane'>

/** The isolate and the origins together; undefined where there are no origins. */
function originPlacement(edge: LocalServing, env: Env, { origins: configs, limits }: Config, shared: Shared) {
  if (configs.length === 0) return undefined
  const { clock, logger, random, randomId } = shared
  const origins = resolveOrigins(configs, {
    secret: (name) => (typeof env[name] === 'string' ? env[name] : undefined),
    binding: (name) => {
      const binding = env[name]
      return isFetcher(binding) ? (request) => binding.fetch(request) : undefined
    },
    fetch: (request) => fetch(request),
    clock,
    randomId,
  })
  const health = new HealthView(new KvHealthStore(env.KV, limits), shared)
  const originPool = new OriginPool(origins, { clock, limits, logger, health, random })
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
