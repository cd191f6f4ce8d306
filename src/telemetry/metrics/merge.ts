import type { GaugeReading, SeriesDelta, ShardReading, Traffic } from './block.ts'
import { definitionOf, keyOf, lengthOf, METRICS, type MetricDefinition, type MetricName } from './definitions.ts'
import { mayEnd } from './forgetting.ts'
import { spreadSeries, usesOf } from './isolates.ts'
import type { MetricsSnapshot } from './reader.ts'

/** One series of a metric, for whoever reads it. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  /** A counter's or gauge's value; a histogram's count. */
  readonly value: number
  /** Of a histogram. */
  readonly sum?: number
  /** Of a histogram: how many are at most so large. The last one has no bound. */
  readonly buckets?: readonly { readonly le: number; readonly count: number }[]
}

export interface MetricFamily extends Pick<MetricDefinition, 'type' | 'help'> {
  readonly name: MetricName
  readonly samples: readonly Sample[]
}

/**
 * What shards know, as one.
 * @param readings undefined for a shard that did not answer
 * @param mostIdleMs a series that no shard has counted for so long is left out: its model or version may be gone
 */
export function mergeReadings(
  readings: readonly (ShardReading | undefined)[],
  version: string,
  mostIdleMs = Number.POSITIVE_INFINITY,
): MetricsSnapshot {
  const answered = readings.filter((reading) => reading !== undefined)
  const isolates = answered.flatMap((reading) => reading.isolates)
  const unreachable = readings.length - answered.length
  const series = new Map<string, SeriesDelta>()
  const put = (name: MetricName, value: number, labels: readonly string[] = []): void =>
    void series.set(keyOf(name, labels), { name, labels, values: [value] })
  const idle = new Set<string>()
  const busy = new Set<string>()
  for (const each of answered.flatMap((reading) => reading.series)) {
    const { idleMs = 0, labels, name } = each
    ;(idleMs >= mostIdleMs && mayEnd(name) ? idle : busy).add(keyOf(name, labels))
    addTo(series, each)
  }
  for (const key of idle) if (!busy.has(key)) series.delete(key)
  for (const each of mergeGauges(isolates.flatMap(({ gauges }) => gauges)))
    series.set(keyOf(each.name, each.labels), each)
  const uses = usesOf(isolates)
  for (const each of spreadSeries(uses)) series.set(keyOf(each.name, each.labels), each)
  const lost = series.get(keyOf('verge_metrics_lost_total', []))?.values[0] ?? 0
  put('verge_metrics_lost_total', lost)
  put('verge_isolates', isolates.length)
  put('verge_metrics_shards_unreachable', unreachable)
  put('verge_info', 1, [version])
  return {
    families: familiesOf(series.values()),
    minutes: mergeMinutes(answered.flatMap((reading) => reading.minutes)),
    isolates: isolates.length,
    uses,
    lost,
    unreachable,
  }
}

/** What no shard counts: it is known where a shard is away, too. */
const OF_NO_SHARD: ReadonlySet<MetricName> = new Set(['verge_metrics_shards_unreachable', 'verge_info'])

/**
 * What a scraper may take. While a shard is away, sums over all shards are too small, and they rise again when it is back:
 * Prometheus would read that as counters that began anew, and count all of the shard's total as new. A gap does no harm: a
 * rate goes by the scrapes around it.
 */
export function scrapedFamilies({ families, unreachable }: MetricsSnapshot): readonly MetricFamily[] {
  return unreachable === 0 ? families : families.filter(({ name }) => OF_NO_SHARD.has(name))
}

function addTo(series: Map<string, SeriesDelta>, delta: SeriesDelta): void {
  const definition = definitionOf(delta.name)
  // Another version of Verge may have counted it.
  if (definition === undefined || delta.values.length !== lengthOf(definition)) return
  if (delta.labels.length !== definition.labels.length) return
  const key = keyOf(delta.name, delta.labels)
  const before = series.get(key)
  const values = delta.values.map((value, index) => value + (before?.values[index] ?? 0))
  series.set(key, { name: delta.name, labels: delta.labels, values })
}

/** Gauges of several isolates, as their definitions say. */
function mergeGauges(readings: readonly GaugeReading[]): SeriesDelta[] {
  const together = new Map<
    string,
    { name: string; labels: readonly string[]; value: number; of: number; count: number }
  >()
  for (const { labels, name, of = 0, value } of readings) {
    if (definitionOf(name)?.labels.length !== labels.length) continue
    const key = keyOf(name, labels)
    const before = together.get(key) ?? { name, labels, value: 0, of: 0, count: 0 }
    together.set(key, { ...before, value: before.value + value, of: before.of + of, count: before.count + 1 })
  }
  return [...together.values()].map(({ count, labels, name, of, value }) => {
    const merge = definitionOf(name)?.merge
    const merged = merge === 'mean' ? value / count : merge === 'ratio' ? (of === 0 ? 0 : value / of) : value
    return { name, labels, values: [merged] }
  })
}

function familiesOf(series: Iterable<SeriesDelta>): MetricFamily[] {
  const samples = new Map<string, Sample[]>()
  for (const each of series) {
    const definition = definitionOf(each.name)
    if (definition === undefined) continue
    const before = samples.get(each.name) ?? []
    before.push(sampleOf(definition, each))
    samples.set(each.name, before)
  }
  // In the table's order, so that two scrapes are alike.
  return (Object.keys(METRICS) as MetricName[]).flatMap((name) => {
    const found = samples.get(name)
    const { help, type } = METRICS[name]
    return found === undefined ? [] : [{ name, type, help, samples: found }]
  })
}

function sampleOf(definition: MetricDefinition, { labels: values, values: counted }: SeriesDelta): Sample {
  const labels = Object.fromEntries(definition.labels.map((label, index) => [label, values[index] ?? '']))
  const bounds = definition.buckets
  if (bounds === undefined) return { labels, value: counted[0] ?? 0 }
  let count = 0
  const buckets = [...bounds, Number.POSITIVE_INFINITY].map((le, index) => {
    count += counted[index] ?? 0
    return { le, count }
  })
  return { labels, value: count, sum: counted[bounds.length + 1] ?? 0, buckets }
}

type Minute = Traffic & { readonly minute: number }

function mergeMinutes(rows: readonly Minute[]): Minute[] {
  const merged = new Map<string, Minute>()
  for (const row of rows) {
    const key = keyOf(String(row.minute), [row.model, row.version, row.place])
    const before = merged.get(key)
    merged.set(
      key,
      before === undefined
        ? row
        : {
            ...before,
            requests: before.requests + row.requests,
            errors: before.errors + row.errors,
            units: before.units + row.units,
            tokens: before.tokens + row.tokens,
          },
    )
  }
  return [...merged.values()].sort((a, b) => a.minute - b.minute)
}
