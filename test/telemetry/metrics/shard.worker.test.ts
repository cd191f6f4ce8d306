import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import type { MetricBlock, ShardReading, Traffic } from '../../../src/telemetry/metrics/block.ts'
import { type MetricShard, type MetricsSnapshot, ShardedMetrics } from '../../../src/telemetry/metrics/reader.ts'
import { MetricTables } from '../../../src/telemetry/metrics/tables.ts'
import { ManualClock } from '../../fixtures/clock.ts'

const { METRICS } = env as unknown as { readonly METRICS: DurableObjectNamespace }

function stubOf(name: string): DurableObjectStub & MetricShard {
  return METRICS.get(METRICS.idFromName(name)) as unknown as DurableObjectStub & MetricShard
}

function block(seq: number, more: Partial<MetricBlock> = {}): MetricBlock {
  return {
    source: 'isolate',
    seq,
    series: [{ name: 'verge_evictions_total', labels: ['digits'], values: [1] }],
    traffic: [{ model: 'digits', version: '2', place: 'edge', requests: 1, errors: 0, units: 2, tokens: 3 }],
    gauges: [{ name: 'verge_backlog_units', labels: [], value: seq }],
    lost: 0,
    ...more,
  }
}

const evictions = ({ series }: ShardReading) =>
  Object.fromEntries(
    series.flatMap(({ labels, name, values }) => (name === 'verge_evictions_total' ? [[labels[0], values[0]]] : [])),
  )

describe('a shard', () => {
  it('counts a block once, however often it comes, also where the object was reset between', async () => {
    const stub = stubOf(crypto.randomUUID())
    await stub.book(block(1))
    await stub.book(block(1))
    await evictDurableObject(stub)
    await stub.book(block(1))
    await stub.book(block(2))
    await stub.book(block(1, { source: 'another' }))
    const reading = await stub.read()
    expect(evictions(reading)).toEqual({ digits: 3 })
    expect(reading.minutes.reduce((sum, { requests }) => sum + requests, 0)).toBe(3)
    expect(reading.isolates.map(({ gauges, isolate }) => [isolate, gauges[0]?.value]).sort()).toEqual([
      ['another', 1],
      ['isolate', 2],
    ])
  })

  it('takes of a block what an isolate can have counted, and refuses none, which would come again', async () => {
    const stub = stubOf(crypto.randomUUID())
    const evicted = (labels: unknown, values: unknown) => ({ name: 'verge_evictions_total', labels, values })
    const wrong = {
      series: [
        evicted(['digits'], [2]),
        evicted(['digits'], [Number.NaN]),
        evicted(['digits'], [Number.POSITIVE_INFINITY]),
        evicted(['digits'], [-1]),
        evicted(['digits'], ['1']),
        evicted(['digits', 'more'], [1]),
        evicted([7], [1]),
        evicted(['x'.repeat(1_000)], [1]),
        { name: 'verge_evictions_total' },
        null,
      ],
      traffic: [{ model: null }, { ...block(1).traffic[0], requests: Number.NaN }, ...block(1).traffic],
      gauges: [{ name: 'verge_backlog_units', labels: [], value: Number.NaN }, { labels: 1 }, null],
      lost: undefined,
    }
    await stub.book(block(1, wrong as unknown as Partial<MetricBlock>))
    await stub.book({ source: 'another', seq: 1 } as unknown as MetricBlock)
    for (const nobody of [{ source: undefined }, { source: '' }, { seq: Number.NaN }, { source: 'x'.repeat(1_000) }])
      await stub.book(block(1, nobody as unknown as Partial<MetricBlock>))
    const reading = await stub.read()
    expect(evictions(reading)).toEqual({ digits: 2 })
    expect(reading.series.find(({ name }) => name === 'verge_metrics_lost_total')?.values).toEqual([9])
    expect(reading.minutes.map(({ requests }) => requests)).toEqual([1])
    expect(reading.isolates.map(({ gauges, isolate }) => [isolate, gauges.length]).sort()).toEqual([
      ['another', 0],
      ['isolate', 0],
    ])
  })

  it('books all of a block or nothing of it', async () => {
    const broken = { ...block(1), traffic: [{ model: null }] } as unknown as MetricBlock
    const reading = await tablesIn((tables) => {
      expect(() => tables.book(broken, 0)).toThrow()
      expect(tables.read(0)).toEqual({ series: [], minutes: [], isolates: [] })
      tables.book(block(1), 0)
      return tables.read(0)
    })
    expect(evictions(reading)).toEqual({ digits: 1 })
  })

  it('bounds its series, and counts as lost what it does not know', async () => {
    const reading = await tablesIn((tables) => {
      const flood = Array.from({ length: 50 }, (_, index) => ({
        name: 'verge_evictions_total',
        labels: [`model-${index}`],
        values: [1],
      }))
      const unknown = [
        { name: 'verge_of_another_version', labels: [], values: [1] },
        { name: 'verge_request_seconds', labels: ['digits', '2', 'edge'], values: [1, 2] },
      ]
      const [row] = block(1).traffic
      const traffic = Array.from({ length: 10 }, (_, index) => ({ ...row, model: `model-${index}` }) as Traffic)
      tables.book(block(1, { series: [...flood, ...unknown], lost: 5, traffic }), 0)
      tables.book(block(2, { series: [], traffic }), 0)
      return tables.read(0)
    })
    expect(Object.fromEntries(reading.minutes.map(({ model, requests }) => [model, requests]))).toEqual({
      'model-0': 2,
      'model-1': 2,
      'model-2': 2,
      other: 14,
    })
    expect(evictions(reading)).toEqual({ 'model-0': 1, 'model-1': 1, 'model-2': 1, other: 47 })
    expect(reading.series.find(({ name }) => name === 'verge_metrics_lost_total')?.values).toEqual([7])
  })

  it('keeps the last hour by its own clock, forgets isolates that are silent, and survives a clock that jumps', async () => {
    const MINUTE = 60_000
    await tablesIn((tables) => {
      const minutesAt = (now: number) => tables.read(now).minutes.map(({ minute, requests }) => [minute, requests])
      for (const minute of [100, 130, 130]) tables.book(block(1, { source: `at-${Math.random()}` }), minute * MINUTE)
      expect(minutesAt(130 * MINUTE)).toEqual([
        [100, 1],
        [130, 2],
      ])
      expect(minutesAt(160 * MINUTE)).toEqual([[130, 2]])
      expect(tables.read(133 * MINUTE).isolates).toHaveLength(2)
      expect(tables.read(136 * MINUTE).isolates).toHaveLength(0)
      // Far ahead, and back.
      tables.book(block(1, { source: 'ahead' }), 9_000 * MINUTE)
      tables.book(block(1, { source: 'back' }), 131 * MINUTE)
      expect(minutesAt(131 * MINUTE)).toEqual([[131, 1]])
      expect(tables.read(131 * MINUTE).isolates.map(({ isolate }) => isolate)).not.toContain('ahead')
      expect(evictions(tables.read(131 * MINUTE))).toEqual({ digits: 5 })
      return tables.read(0)
    })
  })
})

/** Tables in the storage of an object of their own, with few series. */
function tablesIn(work: (tables: MetricTables) => ShardReading): Promise<ShardReading> {
  return runInDurableObject(stubOf(crypto.randomUUID()), (_, state) =>
    work(new MetricTables(state.storage, { ...LIMITS, metricShardSeries: 3, metricTraffic: 3 })),
  )
}

describe('a reader', () => {
  it('answers without the shards that fail or hang, and says how many they are', async () => {
    const name = crypto.randomUUID()
    const clock = new ManualClock()
    const silent: MetricShard = { book: async () => {}, read: () => new Promise(() => {}) }
    const failing: MetricShard = { book: async () => {}, read: () => Promise.reject(new Error('reset')) }
    const other: MetricShard = { book: async () => {}, read: async () => ({ counters: [] }) as unknown as ShardReading }
    const answering = async (source: string): Promise<MetricShard> => {
      const stub = stubOf(`${name}-${source}`)
      await stub.book(block(1, { source }))
      const reading = await stub.read()
      return { ...silent, read: async () => reading }
    }
    const shards = [await answering('isolate'), failing, silent, await answering('another'), other]
    const reader = new ShardedMetrics({
      shardOf: (index) => shards[index] ?? failing,
      flush: async () => {},
      clock,
      version: '1',
      limits: { metricShards: 5, metricStoreMs: 5_000 },
    })
    let snapshot: MetricsSnapshot | undefined
    const read = reader.read().then((found) => {
      snapshot = found
    })
    await expect.poll(() => clock.advance(5_000).then(() => snapshot)).toBeDefined()
    await read
    const { families = [], isolates, unreachable } = snapshot ?? {}
    expect([isolates, unreachable]).toEqual([2, 3])
    expect(families.find(({ name: each }) => each === 'verge_evictions_total')?.samples).toEqual([
      { labels: { model: 'digits' }, value: 2 },
    ])
    const leaving = reader.read(AbortSignal.abort())
    await expect(leaving).rejects.toThrow()
  })
})
