import type { CatalogReader } from '../catalog/reader.ts'
import type { Config } from '../config/config.ts'
import { TOKENIZER_IMAGE } from '../media/text/compiled/format.ts'
import { Backlog } from '../serving/backlog.ts'
import { FileCache } from '../serving/files.ts'
import { LocalServing } from '../serving/local.ts'
import { RunCache } from '../serving/results/run-cache.ts'
import { CacheApiStore } from '../serving/results/store.ts'
import { SessionCache } from '../sessions/cache.ts'
import { tracedCatalog, tracedLists } from '../telemetry/traces/traced-catalog.ts'
import { tracedEngine } from '../telemetry/traces/traced-engine.ts'
import { BlobLoader } from '../weights/loader.ts'
import { KvPages } from '../weights/pages/kv-pages.ts'
import { PageLoader } from '../weights/pages/page-loader.ts'
import { StorePages } from '../weights/pages/store-pages.ts'
import { ENGINE_VERSIONS, enginesOf } from './engines.ts'
import type { Env } from './env.ts'
import { listsOf } from './lists.ts'
import type { Metrics } from './metrics.ts'
import type { Shared } from './shared.ts'
import type { Stores } from './stores.ts'

/** Models in this isolate: from their releases to what they answer. */
export function servingOf(
  { KV }: Env,
  config: Config,
  { copies, truth }: Stores,
  catalog: CatalogReader,
  metrics: Metrics | undefined,
  shared: Shared,
): LocalServing {
  const { clock, limits, random, tracer } = shared
  const engine = enginesOf(config, shared)
  const lists = listsOf(truth, catalog, shared)
  const layers = [copies, truth]
  const blobs = new BlobLoader(layers, shared)
  const sessions = new SessionCache({
    ...shared,
    ...(metrics && { observer: metrics.sessions }),
    budgetBytes: limits.sessionBudgetBytes,
    loadStaleMs: limits.loadStaleMs,
    loadPollMs: limits.loadPollMs,
    loadDeadlineMs: limits.loadDeadlineMs,
    holdLeaseMs: limits.ticketLeaseMs,
    roomWaitMs: limits.roomWaitMs,
  })
  const backlog = new Backlog({
    cost: limits.backlogCost,
    bytes: limits.backlogBytes,
    idleMs: limits.backlogIdleMs,
    renewMs: limits.backlogIdleMs / 5,
    clock,
  })
  metrics?.watchWork({ sessions, backlog, heapBytes: limits.engineHeapBytes })
  return new LocalServing({
    ...shared,
    place: 'edge',
    catalog: tracer === undefined ? catalog : tracedCatalog(catalog, tracer),
    lists: tracer === undefined ? lists : tracedLists(lists, tracer),
    blobs,
    pages: new PageLoader([new KvPages(KV, shared), new StorePages(truth, shared)], shared),
    files: new FileCache({
      clock,
      staleMs: limits.loadStaleMs,
      pollMs: limits.loadPollMs,
      budgetBytes: limits.parsedFilesBytes,
      read: (blob, name, signal) => {
        const most = name === TOKENIZER_IMAGE ? limits.tokenizerImageBytes : limits.tokenizerBytes
        return blobs.bytes(blob, most, signal)
      },
    }),
    engine: tracer === undefined ? engine : tracedEngine(engine, tracer),
    sessions,
    results: new RunCache({
      ...shared,
      // Absent where the platform has none.
      store: typeof caches === 'undefined' ? undefined : new CacheApiStore(caches.default),
      engine: ENGINE_VERSIONS,
    }),
    costLimit: limits.requestCost,
    prefillTokens: limits.prefillTokens,
    backlog,
    roomBytes: ({ format }) => (format === 'verge' ? limits.ownWorkingBytes : limits.workingBytes),
    pinned: config.pinnedModels,
    random,
  })
}
