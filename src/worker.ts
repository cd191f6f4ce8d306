import { createApp } from './app.ts'
import { CatalogReader } from './catalog/reader.ts'
import { type Config, parseConfig } from './config.ts'
import { systemClock } from './core/runtime.ts'
import { sha256Factory } from './core/sha256.ts'
import { ORT_VERSION, workerBinary } from './engine/ort/binary.ts'
import { OrtEngine } from './engine/ort/engine.ts'
import { consoleLogger } from './logger.ts'
import { BoundedAdmission } from './serving/admission.ts'
import { EdgeServing } from './serving/edge.ts'
import { FileCache } from './serving/files.ts'
import { SessionCache } from './sessions/cache.ts'
import { VERSION } from './version.ts'
import { KvStore } from './weights/kv.ts'
import { BlobLoader } from './weights/loader.ts'
import { R2Store } from './weights/r2.ts'

export interface Env {
  /** The truth: manifests, aliases and weights. */
  readonly BUCKET: R2Bucket
  /** Copies near the reader. */
  readonly KV: KVNamespace
  /** Variables and secrets, documented in README and parsed by `config.ts`. */
  readonly [variable: string]: unknown
}

type App = ReturnType<typeof createApp>

/** Made by the first request and kept for the isolate's life: module scope may do no work at start-up. */
let app: App | undefined

export default {
  async fetch(request, env, context): Promise<Response> {
    app ??= assemble(env, await parseConfig(env))
    return app.fetch(request, {}, context)
  },
} satisfies ExportedHandler<Env>

function assemble(env: Env, config: Config): App {
  const { limits } = config
  const shared = {
    clock: systemClock,
    logger: consoleLogger,
    limits,
    sha256: sha256Factory(),
    runs: { finished: 0 },
  }
  const layers = [new KvStore(env.KV), new R2Store(env.BUCKET)]
  const blobs = new BlobLoader(layers, shared)
  const polling = { clock: systemClock, staleMs: limits.loadStaleMs, pollMs: limits.loadPollMs }
  const serving = new EdgeServing({
    ...shared,
    catalog: new CatalogReader(layers, shared),
    blobs,
    files: new FileCache({
      ...polling,
      budgetBytes: limits.parsedFilesBytes,
      read: (blob, signal) => blobs.bytes(blob, limits.tokenizerBytes, signal),
    }),
    engine: new OrtEngine({
      ...shared,
      binary: workerBinary,
      version: ORT_VERSION,
      heapLimitBytes: limits.engineHeapBytes,
      turnLeaseMs: limits.turnLeaseMs,
      costBetweenYields: limits.costBetweenYields,
      loadStaleMs: limits.loadStaleMs,
    }),
    sessions: new SessionCache({
      ...shared,
      budgetBytes: limits.sessionBudgetBytes,
      loadStaleMs: limits.loadStaleMs,
      loadPollMs: limits.loadPollMs,
      loadDeadlineMs: limits.loadDeadlineMs,
      holdLeaseMs: limits.ticketLeaseMs,
    }),
    pinned: config.pinnedModels,
    random: Math.random,
  })
  return createApp({
    ...shared,
    serving,
    admission: new BoundedAdmission({
      places: limits.admittedRequests,
      bodyBytes: limits.bodyBytesTogether,
      leaseMs: limits.ticketLeaseMs,
      clock: systemClock,
    }),
    config: {
      version: VERSION,
      corsOrigins: config.corsOrigins,
      ...(config.apiKeyDigest && { apiKeyDigest: config.apiKeyDigest }),
      deadlineMs: limits.requestDeadlineMs,
    },
    randomId: () => crypto.randomUUID(),
  })
}
