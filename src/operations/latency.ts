import type { Clock } from '../core/runtime.ts'
import type { OperationsModel } from '../protocols/verge/operations.ts'
import type { MetricsSnapshot } from '../telemetry/metrics/reader.ts'

/** What one model's requests took, as a histogram has it: how many were at most so long, in seconds. */
type Buckets = readonly { readonly le: number; readonly count: number }[]

/** Times of a model's requests. */
export type Latency = Pick<OperationsModel, 'p50Ms' | 'p95Ms'>

const FAMILY = 'verge_request_seconds'
/** Snapshots are kept for so long, one of each minute: latencies are of what came since the oldest. */
const WINDOW_MS = 600_000
const APART_MS = 60_000

/**
 * Median and 95th percentile of each model's requests, of the last ten minutes as far as this isolate was asked meanwhile;
 * before, of all requests that were ever counted. Counts fall here where a shard does not answer: then, too, all requests
 * count.
 */
export class LatencyWindow {
  readonly #clock: Pick<Clock, 'now'>
  /** Oldest first. */
  #kept: { readonly at: number; readonly models: ReadonlyMap<string, Buckets> }[] = []

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** @param names of the models that are asked about, so that little is kept of very many */
  of({ families }: Pick<MetricsSnapshot, 'families'>, names: ReadonlySet<string>): ReadonlyMap<string, Latency> {
    const now = this.#clock.now()
    const models = bucketsOf(families, names)
    this.#kept = this.#kept.filter(({ at }) => now - at <= WINDOW_MS && at <= now)
    const oldest = this.#kept[0]?.models
    const newest = this.#kept.at(-1)?.at ?? Number.NEGATIVE_INFINITY
    if (now - newest >= APART_MS) this.#kept.push({ at: now, models })
    return new Map([...models].map(([model, buckets]) => [model, latencyOf(since(buckets, oldest?.get(model)))]))
  }
}

/** Of all versions and places together. */
function bucketsOf(families: MetricsSnapshot['families'], names: ReadonlySet<string>): ReadonlyMap<string, Buckets> {
  const models = new Map<string, Buckets>()
  for (const { buckets = [], labels } of families.find(({ name }) => name === FAMILY)?.samples ?? []) {
    const model = labels.model ?? ''
    if (!names.has(model)) continue
    const before = models.get(model)
    models.set(model, before === undefined ? buckets : buckets.map((each, index) => plus(each, before[index])))
  }
  return models
}

function plus(a: Buckets[number], b: Buckets[number] | undefined): Buckets[number] {
  return { le: a.le, count: a.count + (b?.count ?? 0) }
}

function since(buckets: Buckets, before: Buckets | undefined): Buckets {
  const rest = buckets.map(({ count, le }, index) => ({ le, count: count - (before?.[index]?.count ?? 0) }))
  const isNews = (rest.at(-1)?.count ?? 0) > 0 && rest.every(({ count }) => count >= 0)
  return isNews ? rest : buckets
}

function latencyOf(buckets: Buckets): Latency {
  const p50 = quantile(buckets, 0.5)
  const p95 = quantile(buckets, 0.95)
  return { ...(p50 !== undefined && { p50Ms: p50 * 1000 }), ...(p95 !== undefined && { p95Ms: p95 * 1000 }) }
}

/**
 * As Prometheus estimates it: within a bucket values are spread evenly, and the last bucket, which has no bound, counts as its
 * lower bound. (prometheus.io/docs, "histogram_quantile") Undefined without values.
 */
function quantile(buckets: Buckets, share: number): number | undefined {
  const all = buckets.at(-1)?.count ?? 0
  if (all === 0) return undefined
  const rank = share * all
  const index = buckets.findIndex(({ count }) => count >= rank)
  const { count, le } = buckets[index] ?? { count: all, le: Number.POSITIVE_INFINITY }
  const lower = buckets[index - 1] ?? { count: 0, le: 0 }
  if (le === Number.POSITIVE_INFINITY) return lower.le
  const within = count === lower.count ? 1 : (rank - lower.count) / (count - lower.count)
  return lower.le + (le - lower.le) * within
}
