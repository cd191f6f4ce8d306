import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import type { SeriesTotal, ShardReading } from '../../../src/telemetry/metrics/block.ts'
import { forgettable } from '../../../src/telemetry/metrics/forgetting.ts'
import { mergeReadings } from '../../../src/telemetry/metrics/merge.ts'

const DAY = 86_400_000
const evicted = (model: string, days: number): SeriesTotal => ({
  name: 'verge_evictions_total',
  labels: [model],
  values: [100],
  idleMs: days * DAY,
})
const shard = (...series: readonly SeriesTotal[]): ShardReading => ({ series, minutes: [], isolates: [] })
const limits = { ...LIMITS, metricShardSeries: 8, metricForgets: 3 }
const forgotten = (...shards: readonly ShardReading[]) => forgettable(shards, limits).map(({ labels }) => labels[0])
const shown = (...shards: readonly ShardReading[]) =>
  mergeReadings(shards, '1', LIMITS.metricSeriesMs)
    .families.find(({ name }) => name === 'verge_evictions_total')
    ?.samples.map(({ labels, value }) => `${labels.model} ${value}`)

describe('a series that nobody counts any more', () => {
  it('is left out after 7 days, and forgotten a day later, by all shards or by none', () => {
    for (const [days, wanted, isForgotten] of [
      [6.9, ['gone 200', 'live 100'], []],
      [7.1, ['live 100'], []],
      [8.1, ['live 100'], ['gone']],
    ] as const) {
      const shards = [shard(evicted('gone', days), evicted('live', 0)), shard(evicted('gone', days + 1))]
      expect([days, shown(...shards), forgotten(...shards)]).toEqual([days, wanted, isForgotten])
    }
  })

  it('keeps its place and its sum in every shard while one of them still counts it: the sum must not fall', () => {
    const shards = [shard(evicted('digits', 30)), shard(evicted('digits', 0)), shard()]
    expect([shown(...shards), forgotten(...shards)]).toEqual([['digits 200'], []])
    const { idleMs: _, ...unknown } = evicted('digits', 0)
    expect(forgotten(shard(evicted('digits', 30)), shard(unknown))).toEqual([])
  })

  it('stays if its labels have no names: such series are few, and one that was lost would be zero', () => {
    const lost = { name: 'verge_metrics_lost_total', labels: [], values: [5], idleMs: 30 * DAY }
    expect(forgotten(shard(lost))).toEqual([])
    expect(mergeReadings([shard(lost)], '1', LIMITS.metricSeriesMs).lost).toBe(5)
    // One that a former version of Verge counted is nobody's.
    expect(forgettable([shard({ ...lost, name: 'verge_former_total' })], limits)).toHaveLength(1)
  })
})

describe('a shard that is three quarters full', () => {
  it('loses what was not counted for the longest time, at least a day, until there is room', () => {
    const idle = [3, 5, 0.5, 4, 0, 2, 0].map((days, index) => evicted(`m${index}`, days))
    expect(forgotten(shard(...idle.slice(0, 6)))).toEqual([])
    expect(forgotten(shard(...idle), shard())).toEqual(['m1'])
    expect(forgotten(shard(...idle, evicted('m7', 0)))).toEqual(['m1', 'm3'])
    expect(forgotten(shard(...idle.map((each) => ({ ...each, idleMs: DAY / 2 }))))).toEqual([])
  })

  it('loses no more with one read than a few', () => {
    expect(forgotten(shard(...Array.from({ length: 8 }, (_, index) => evicted(`m${index}`, 9 + index))))).toEqual([
      'm7',
      'm6',
      'm5',
    ])
  })
})
