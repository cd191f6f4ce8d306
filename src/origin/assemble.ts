import { join } from 'node:path'
import { type AppDeps, createApp } from '../app.ts'
import { AliasLists } from '../catalog/index/model-lists.ts'
import { CatalogReader } from '../catalog/reader.ts'
import { ReleaseCheck } from '../catalog/signing/release-check.ts'
import { StoredGenerations } from '../catalog/signing/stored-generations.ts'
import { type Clock, type Logger, untilLate } from '../core/runtime.ts'
import { WorkLane } from '../core/work.ts'
import { BatchingEngine } from '../engine/batching/engine.ts'
import { NATIVE_VERSION } from '../engine/native/support.ts'
import { ProcessEngine } from '../engine/process/engine.ts'
import { BoundedAdmission } from '../serving/admission.ts'
import { FileCache } from '../serving/files.ts'
import { LocalServing } from '../serving/local.ts'
import { RunCache } from '../serving/results/run-cache.ts'
import { SessionCache } from '../sessions/cache.ts'
import { tracedCatalog } from '../telemetry/traces/traced-catalog.ts'
import { tracedEngine } from '../telemetry/traces/traced-engine.ts'
import { tracedStore } from '../telemetry/traces/traced-store.ts'
import { VERSION } from '../version.ts'
import { BlobLoader } from '../weights/loader.ts'
import { CachingEngine } from './caching-engine.ts'
import { DiskCache } from './disk-cache.ts'
import { FolderStore } from './folder-store.ts'
import { LastGoodStore } from './last-good-store.ts'
import { ORIGIN_LIMITS } from './limits.ts'
import { OriginMetrics } from './metrics.ts'
import { ModelNotes } from './model-notes.ts'
import { OnlyModels } from './only-models.ts'
import type { OriginSettings } from './settings.ts'
import { nodeSha256 } from './sha256.ts'
import { originTracing } from './traces.ts'

export interface OriginParts {
  readonly app: ReturnType<typeof createApp>
  readonly serving: LocalServing
  readonly batching: BatchingEngine
  readonly metrics: OriginMetrics
  close(): Promise<void>
}

export interface OriginState {
  readonly clock: Clock
  readonly logger: Logger
  readonly randomId: () => string
  /** Whether requests are to be sent here. */
  readonly ready: () => boolean
  readonly draining: () => boolean
  /** Who signed a request that was let in. */
  readonly signatures: NonNullable<AppDeps['signatures']>
}

/** A run or a load's last step that takes longer is one without end. */
const WORK_LIMIT_MS = 240_000
/** CUDA takes seconds to start. A provider with a hanging driver is abandoned. */
const START_LIMIT_MS = 120_000
/** Inputs of a merged run: 128 MiB of floats, six times 32 pictures of 224 x 224. */
const BATCH_ELEMENTS = 32 * 1024 * 1024
/** For the last spans, at the end. */
const LAST_EXPORT_MS = 2_000
/** In addition to the models: for the runtime, its arenas and the allocations of a run. */
const RESIDENT_FACTOR = 2

/** The same application as at the edge, over the native engine with batches, a cache on disk, and gigabytes. */
export async function assemble(settings: OriginSettings, state: OriginState): Promise<OriginParts> {
  const limits = ORIGIN_LIMITS
  const { clock, logger } = state
  const shared = { clock, logger, limits, sha256: nodeSha256, runs: { finished: 0 } }
  const now = (): number => performance.timeOrigin + performance.now()
  const tracing = await originTracing(settings.traces, { clock, logger, now })
  const tracer = tracing?.tracer

  const cache = await DiskCache.open({ folder: settings.cacheFolder, budgetBytes: settings.cacheBytes, clock, logger })
  const copies = new FolderStore(join(settings.cacheFolder, 'catalogue'), { name: 'copies' })
  const kept = new LastGoodStore(tracer ? tracedStore(settings.source, 'store', tracer) : settings.source, copies, {
    clock,
    logger,
    recordBytes: limits.manifestBytes,
  })
  const layers = [settings.models === undefined ? kept : new OnlyModels(kept, settings.models)]
  const blobs = new BlobLoader(layers, shared)
  const { cacheFolder, releaseKeys: releasedBy } = settings
  const releases =
    releasedBy.length === 0
      ? undefined
      : new ReleaseCheck({
          ...shared,
          keys: releasedBy,
          memory: new StoredGenerations(new FolderStore(join(cacheFolder, 'releases')), releasedBy, nodeSha256),
        })

  const native = new ProcessEngine({
    clock,
    logger,
    ...(settings.threads !== undefined && { threads: settings.threads }),
    providers: settings.providers,
    maxArtifactBytes: limits.nativeArtifactBytes,
    memoryLimitBytes: settings.memoryBytes,
    turnLeaseMs: limits.turnLeaseMs,
    workLimitMs: WORK_LIMIT_MS,
    startLimitMs: START_LIMIT_MS,
    warnResidentBytes: settings.memoryBytes * RESIDENT_FACTOR,
  })
  const caching = new CachingEngine(native, cache, {
    clock,
    report: ({ sha256, ok, ms }) => {
      const model = notes.modelOf(sha256)
      metrics.loads.inc({ model, outcome: ok ? 'ok' : 'failed' })
      metrics.loadSeconds.observe({ model }, ms / 1000)
    },
  })
  const batching = new BatchingEngine(caching, {
    clock,
    logger,
    maxBatch: settings.maxBatch,
    maxWaitMs: settings.maxWaitMs,
    maxQueue: settings.maxQueue,
    maxElements: BATCH_ELEMENTS,
    onBatch: ({ key, rows, waitMs }) => {
      const model = notes.modelOf(key)
      metrics.batchRows.observe({ model }, rows)
      metrics.batchWaitSeconds.observe({ model }, waitMs / 1000)
    },
  })
  const sessions = new SessionCache({
    ...shared,
    budgetBytes: settings.memoryBytes,
    loadStaleMs: limits.loadStaleMs,
    loadPollMs: limits.loadPollMs,
    loadDeadlineMs: limits.loadDeadlineMs,
    holdLeaseMs: limits.ticketLeaseMs,
    roomWaitMs: limits.roomWaitMs,
  })
  const catalog = new CatalogReader(layers, { ...shared, releases })
  const notes = new ModelNotes((model) => metrics.tokens.inc({ model }))
  const serving = new LocalServing({
    ...shared,
    place: 'origin',
    catalog: tracer ? tracedCatalog(catalog, tracer) : catalog,
    // The store of an origin may have other models than the index names.
    lists: new AliasLists(catalog, shared),
    blobs,
    files: new FileCache({
      clock,
      staleMs: limits.loadStaleMs,
      pollMs: limits.loadPollMs,
      budgetBytes: limits.parsedFilesBytes,
      read: async (blob, _name, signal) => {
        if (blob.bytes > limits.tokenizerBytes) return blobs.bytes(blob, limits.tokenizerBytes, signal)
        return cache.read(blob, blobs.source(blob), signal)
      },
    }),
    engine: tracer ? tracedEngine(batching, tracer) : batching,
    sessions,
    results: new RunCache({ ...shared, engine: `onnxruntime-node ${NATIVE_VERSION}` }),
    costLimit: settings.maxCost,
    prefillTokens: limits.prefillTokens,
    textCostLimit: Number.POSITIVE_INFINITY,
    pinned: new Set(),
    random: Math.random,
    observer: notes,
    tracer,
    accepts: state.ready,
  })
  const metrics = new OriginMetrics(
    {
      queued: () => queuedByModel(batching, notes),
      sessions: () => ({ count: sessions.size, bytes: sessions.bytes }),
      cacheBytes: () => cache.bytes,
      draining: state.draining,
      health: () => batching.health(),
    },
    logger,
  )
  tracing?.exporter.watch({
    counted() {},
    dropped: (reason, spans) => metrics.spansDropped.inc({ reason }, spans),
  })
  const app = createApp({
    ...shared,
    serving,
    residence: serving,
    lane: new WorkLane({
      clock,
      stepsBetweenPauses: limits.stepsBetweenPauses,
      leaseMs: limits.turnLeaseMs,
      mostStepsAhead: limits.readingStepsAhead,
    }),
    admission: new BoundedAdmission({
      slots: limits.admittedRequests,
      bodyBytes: limits.bodyBytesTogether,
      leaseMs: limits.ticketLeaseMs,
      clock,
    }),
    config: { version: VERSION, corsOrigins: [], deadlineMs: limits.requestDeadlineMs },
    signatures: state.signatures,
    randomId: state.randomId,
    tracer,
  })
  return {
    app,
    serving,
    batching,
    metrics,
    async close() {
      await untilLate(tracing?.exporter.flush() ?? Promise.resolve(true), LAST_EXPORT_MS, clock, () => false)
      await native.close()
      await cache.close()
    },
  }
}

/** Two versions of a model share one metric for autoscaling. */
function queuedByModel(batching: BatchingEngine, notes: ModelNotes): ReadonlyMap<string, number> {
  const queued = new Map<string, number>()
  for (const [sha256, load] of batching.stats().perModel) {
    const model = notes.modelOf(sha256)
    queued.set(model, (queued.get(model) ?? 0) + load.queued)
  }
  return queued
}
