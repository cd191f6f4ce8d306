import { untilLate } from '../core/runtime.ts'
import type { OriginPool } from '../placement/origin-pool.ts'
import type { Backlog } from '../serving/backlog.ts'
import type { SessionCache } from '../sessions/cache.ts'
import type { SessionObserver } from '../sessions/use.ts'
import type { GaugeReading } from '../telemetry/metrics/block.ts'
import type { Meter } from '../telemetry/metrics/meter.ts'
import { type MetricsReader, ShardedMetrics, shardIndex } from '../telemetry/metrics/reader.ts'
import { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { MetricReporter } from '../telemetry/metrics/reporter.ts'
import { CpuUse, ratio } from '../telemetry/metrics/utilization.ts'
import type { RequestObserver } from '../telemetry/observation.ts'
import type { SpanObserver } from '../telemetry/traces/exporter.ts'
import { VERSION } from '../version.ts'
import type { ReadOutcome } from '../weights/observed-store.ts'
import type { Env } from './env.ts'
import type { Shared } from './shared.ts'

/** The work and the memory of an isolate, and what it may have of both. */
export interface WatchedWork {
  readonly sessions: Pick<SessionCache, 'memory'>
  readonly backlog: Pick<Backlog, 'cost'>
  /** The hard maximum of all engines together. */
  readonly heapBytes: number
}

/** What this isolate counts, and what all isolates have counted. */
export interface Metrics {
  readonly observer: RequestObserver
  readonly reader: MetricsReader
  readonly meter: Meter
  /** Counts an HTTP request. */
  readonly countHttp: (route: string, status: number, waitUntil: (work: Promise<unknown>) => void) => void
  readonly sessions: SessionObserver
  /** Counts a read of a store. */
  readonly storeRead: (layer: 'kv' | 'r2') => (key: string, outcome: ReadOutcome) => void
  readonly spans: SpanObserver
  readonly originTried: (origin: string, outcome: string, ms: number) => void
  watchWork(work: WatchedWork): void
  watchOrigins(states: () => OriginPool['states']): void
}

/** Undefined where no shards are bound. */
export function metricsOf({ METRICS }: Env, shared: Shared): Metrics | undefined {
  if (METRICS === undefined) return undefined
  const { clock, limits } = shared
  const shardOf = (index: number) => METRICS.get(METRICS.idFromName(`shard-${index}`))
  const cpu = new CpuUse({ unitsEach: limits.requestCost, clock })
  const gauges: (() => readonly GaugeReading[])[] = [() => cpu.readings]
  const registry = new MetricRegistry({ ...shared, gauges: () => gauges.flatMap((read) => read()) })
  const reporter = new MetricReporter({
    ...shared,
    registry,
    book: (block) =>
      untilLate(shardOf(shardIndex(block.source, limits.metricShards)).book(block), limits.metricStoreMs, clock, () => {
        throw new Error('the shard does not answer')
      }),
  })
  return {
    ...countedEvents(registry),
    observer: {
      observed(observation, waitUntil) {
        cpu.add(observation)
        reporter.observed(observation, waitUntil)
      },
    },
    meter: registry,
    reader: new ShardedMetrics({ ...shared, shardOf, flush: () => reporter.flush(), version: VERSION }),
    countHttp: (route, status, waitUntil) => {
      registry.count('verge_http_requests_total', { route, status: String(status) })
      reporter.arrange(waitUntil)
    },
    watchWork: (work) => gauges.push(() => workReadings(work)),
    watchOrigins: (states) =>
      gauges.push(() =>
        states().map(({ name, up }) => ({ name: 'verge_origin_up', labels: [name], value: up ? 1 : 0 })),
      ),
  }
}

function countedEvents(meter: Meter): Pick<Metrics, 'sessions' | 'spans' | 'storeRead' | 'originTried'> {
  return {
    spans: {
      counted: (outcome, spans) => meter.count('verge_spans_total', { outcome }, spans),
      dropped: (reason, spans) => meter.count('verge_spans_dropped_total', { reason }, spans),
    },
    sessions: {
      loaded: (owner, ok) => meter.count('verge_loads_total', { ...owner, outcome: ok ? 'ok' : 'failed' }),
      evicted: ({ model }) => meter.count('verge_evictions_total', { model }),
    },
    storeRead: (layer) => (key, outcome) =>
      meter.count('verge_store_reads_total', { layer, kind: kindOf(key), outcome }),
    originTried: (origin, outcome, ms) => {
      meter.count('verge_origin_calls_total', { origin, outcome })
      if (outcome !== 'left') meter.observe('verge_origin_call_seconds', { origin }, Math.max(0, ms) / 1000)
    },
  }
}

const KINDS: ReadonlySet<string> = new Set(['alias', 'manifest', 'blob', 'index', 'key'])

/** What is read, by the beginning of its key. */
function kindOf(key: string): string {
  const kind = key.slice(0, key.indexOf('/'))
  return KINDS.has(kind) ? kind : 'other'
}

function workReadings({ backlog, heapBytes, sessions }: WatchedWork): GaugeReading[] {
  const { memory } = sessions
  const used = memory.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
  return [
    { name: 'verge_backlog_units', labels: [], value: backlog.cost },
    { name: 'verge_heap_bytes', labels: ['used'], value: used },
    { name: 'verge_heap_bytes', labels: ['granted'], value: heapBytes },
    ratio('heap', '', used, heapBytes),
    ...memory.map(({ grantedBytes, model, usedBytes }) => ratio('heap', model, usedBytes, grantedBytes)),
  ]
}
