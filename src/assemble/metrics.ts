import { untilLate } from '../core/runtime.ts'
import { type MetricsReader, ShardedMetrics, shardIndex } from '../telemetry/metrics/reader.ts'
import { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { MetricReporter } from '../telemetry/metrics/reporter.ts'
import type { RequestObserver } from '../telemetry/observation.ts'
import { VERSION } from '../version.ts'
import type { Env } from './env.ts'
import type { Shared } from './shared.ts'

/** What this isolate counts, and what all isolates have counted. */
export interface Metrics {
  readonly observer: RequestObserver
  readonly reader: MetricsReader
  /** Counts an HTTP request. */
  readonly countHttp: (route: string, status: number, waitUntil: (work: Promise<unknown>) => void) => void
}

/** Undefined where no shards are bound. */
export function metricsOf({ METRICS }: Env, shared: Shared): Metrics | undefined {
  if (METRICS === undefined) return undefined
  const { clock, limits } = shared
  const shardOf = (index: number) => METRICS.get(METRICS.idFromName(`shard-${index}`))
  const registry = new MetricRegistry({ ...shared, gauges: () => [] })
  const reporter = new MetricReporter({
    ...shared,
    registry,
    book: (block) =>
      untilLate(shardOf(shardIndex(block.source, limits.metricShards)).book(block), limits.metricStoreMs, clock, () => {
        throw new Error('the shard does not answer')
      }),
  })
  return {
    observer: reporter,
    reader: new ShardedMetrics({ ...shared, shardOf, flush: () => reporter.flush(), version: VERSION }),
    countHttp: (route, status, waitUntil) => {
      registry.count('verge_http_requests_total', { route, status: String(status) })
      reporter.arrange(waitUntil)
    },
  }
}
