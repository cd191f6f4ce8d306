import type { Limits } from '../../core/limits.ts'
import type { SeriesName, ShardReading } from './block.ts'
import { definitionOf, hasNames, keyOf } from './definitions.ts'

export type ForgettingLimits = Pick<
  Limits,
  'metricCrowdedMs' | 'metricForgets' | 'metricSeriesMs' | 'metricShardSeries'
>

/** Of a shard's room: beyond it, series are forgotten earlier. */
const CROWDED = 0.75

/**
 * Series that all shards may forget together, the longest untouched first: those that no isolate of any shard has counted for
 * a day longer than scrapes show them, and, where a shard is crowded, those of a day ago, until there is room. One shard alone
 * must forget nothing: the sum of all shards would fall, and Prometheus would read the rest as new.
 * @param readings of all shards
 */
export function forgettable(readings: readonly ShardReading[], limits: ForgettingLimits): SeriesName[] {
  const { metricCrowdedMs, metricForgets, metricSeriesMs, metricShardSeries } = limits
  const all = readings.flatMap(({ series }) => series)
  // Mostly there are none, and a scrape of thousands of models has enough to do.
  if (!all.some(({ idleMs = 0 }) => idleMs >= metricCrowdedMs)) return []
  const known = new Map<string, { series: SeriesName; idleMs: number }>()
  for (const { idleMs = 0, labels, name } of all) {
    if (!mayEnd(name)) continue
    const key = keyOf(name, labels)
    const before = known.get(key)?.idleMs ?? Number.POSITIVE_INFINITY
    known.set(key, { series: { name, labels }, idleMs: Math.min(before, idleMs) })
  }
  const fullest = Math.max(0, ...readings.map(({ series }) => series.length))
  const surplus = fullest - CROWDED * metricShardSeries
  return [...known.values()]
    .sort((a, b) => b.idleMs - a.idleMs)
    .filter(({ idleMs }, index) => idleMs >= (index < surplus ? metricCrowdedMs : metricSeriesMs + metricCrowdedMs))
    .slice(0, metricForgets)
    .map(({ series }) => series)
}

/** Whether a series can come to its end: other values of labels are the code's own, and few. */
export function mayEnd(name: string): boolean {
  const definition = definitionOf(name)
  return definition === undefined || hasNames(definition)
}
