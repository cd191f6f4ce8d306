import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Logger } from '../core/runtime.ts'
import type { EngineHealth } from '../engine/engine.ts'

/** Values that are read when Prometheus scrapes. */
export interface MetricSources {
  /** Runs and tokens waiting, by model. */
  readonly queued: () => ReadonlyMap<string, number>
  readonly sessions: () => { readonly count: number; readonly bytes: number }
  readonly cacheBytes: () => number
  readonly draining: () => boolean
  readonly health: () => Promise<EngineHealth>
}

/** Seconds. A small model takes a few milliseconds, a text that is written up to minutes. */
const REQUEST_SECONDS = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const BATCH_ROWS = [1, 2, 4, 8, 16, 32, 64, 128]
const WAIT_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]
const LOAD_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** Metrics of an origin for Prometheus. Labels contain only names of the catalogue and of routes, so there are few. */
export class OriginMetrics {
  readonly registry = new Registry()
  readonly requests: Counter<'model' | 'route' | 'status'>
  readonly requestSeconds: Histogram<'model' | 'route'>
  readonly batchRows: Histogram<'model'>
  readonly batchWaitSeconds: Histogram<'model'>
  readonly tokens: Counter<'model'>
  readonly loads: Counter<'model' | 'outcome'>
  readonly loadSeconds: Histogram<'model'>
  readonly spansDropped: Counter<'reason'>

  constructor(sources: MetricSources, logger: Logger) {
    const registers = [this.registry]
    collectDefaultMetrics({ register: this.registry })
    this.requests = new Counter({
      name: 'verge_origin_requests_total',
      help: 'Requests answered, by HTTP status; "closed" if the caller left.',
      labelNames: ['model', 'route', 'status'],
      registers,
    })
    this.requestSeconds = new Histogram({
      name: 'verge_origin_request_seconds',
      help: 'Time from a request to the end of its answer, streams included.',
      labelNames: ['model', 'route'],
      buckets: REQUEST_SECONDS,
      registers,
    })
    this.batchRows = new Histogram({
      name: 'verge_origin_batch_rows',
      help: 'Rows of each run of a model.',
      labelNames: ['model'],
      buckets: BATCH_ROWS,
      registers,
    })
    this.batchWaitSeconds = new Histogram({
      name: 'verge_origin_batch_wait_seconds',
      help: 'Time that the first request of each run waited for its slot.',
      labelNames: ['model'],
      buckets: WAIT_SECONDS,
      registers,
    })
    this.tokens = new Counter({
      name: 'verge_origin_tokens_total',
      help: 'Tokens written.',
      labelNames: ['model'],
      registers,
    })
    this.loads = new Counter({
      name: 'verge_origin_loads_total',
      help: 'Loads of models into memory, by outcome: "ok" or "failed".',
      labelNames: ['model', 'outcome'],
      registers,
    })
    this.loadSeconds = new Histogram({
      name: 'verge_origin_load_seconds',
      help: 'Time of a load, including fetching.',
      labelNames: ['model'],
      buckets: LOAD_SECONDS,
      registers,
    })
    this.spansDropped = new Counter({
      name: 'verge_origin_spans_dropped_total',
      help: 'Spans of traces that were dropped, by why they could not be exported.',
      labelNames: ['reason'],
      registers,
    })
    this.#lookUp(sources, logger)
  }

  #lookUp(sources: MetricSources, logger: Logger): void {
    const registers = [this.registry]
    new Gauge({
      name: 'verge_origin_queue_depth',
      help: 'Runs and tokens that wait for a slot.',
      labelNames: ['model'],
      registers,
      collect() {
        this.reset()
        for (const [model, queued] of sources.queued()) this.set({ model }, queued)
      },
    })
    gauge('verge_origin_sessions', 'Models in memory.', () => sources.sessions().count)
    gauge(
      'verge_origin_sessions_bytes',
      'Memory of loaded models, estimated or measured.',
      () => sources.sessions().bytes,
    )
    gauge('verge_origin_cache_bytes', 'Artifacts in the cache on disk.', sources.cacheBytes)
    gauge('verge_origin_draining', '1 while the origin is shutting down.', () => Number(sources.draining()))

    // If the engine does not respond, the last values stay.
    const health = () =>
      sources.health().catch((error: unknown) => {
        logger.warn('engine_health_unknown', { error })
        return undefined
      })
    new Gauge({
      name: 'verge_origin_info',
      help: 'Execution provider in use: always 1.',
      labelNames: ['engine', 'version', 'provider'],
      registers,
      async collect() {
        const state = await health()
        if (state === undefined) return
        const { engine, version, provider = 'unknown' } = state
        this.reset()
        this.set({ engine, version, provider }, 1)
      },
    })
    new Counter({
      name: 'verge_origin_engine_restarts_total',
      help: 'Restarts of the engine process.',
      registers,
      async collect() {
        const state = await health()
        if (state === undefined) return
        this.reset()
        this.inc(state.recoveries ?? 0)
      },
    })

    function gauge(name: string, help: string, value: () => number): void {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value())
        },
      })
    }
  }
}

/** Every metric of Verge's own, for what refers to them: dashboards, alerts, autoscaling. @public */
export const METRIC_NAMES = [
  'verge_origin_requests_total',
  'verge_origin_request_seconds',
  'verge_origin_batch_rows',
  'verge_origin_batch_wait_seconds',
  'verge_origin_tokens_total',
  'verge_origin_loads_total',
  'verge_origin_load_seconds',
  'verge_origin_spans_dropped_total',
  'verge_origin_queue_depth',
  'verge_origin_sessions',
  'verge_origin_sessions_bytes',
  'verge_origin_cache_bytes',
  'verge_origin_draining',
  'verge_origin_info',
  'verge_origin_engine_restarts_total',
] as const
