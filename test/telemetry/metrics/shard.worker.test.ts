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

  it('forgets series that it is told to, unless they were counted since, and has room for others then', async () => {
    const DAY = 86_400_000
    const named = (label: string) => ({ name: 'verge_evictions_total', labels: [label], values: [1] })
    await tablesIn((tables) => {
      tables.book(block(1, { series: ['a', 'b', 'c'].map(named) }), 0)
      tables.book(block(2, { series: ['a', 'late'].map(named) }), 2 * DAY)
      const reading = tables.read(2 * DAY + 5)
      expect(evictions(reading)).toEqual({ a: 2, b: 1, c: 1, other: 1 })
      expect(reading.series.map(({ idleMs = 0, labels }) => [labels[0], idleMs - 5])).toEqual([
        ['a', 0],
        ['b', 2 * DAY],
        ['c', 2 * DAY],
        ['other', 0],
      ])
      tables.forget(['a', 'b', 'c', 'never'].map(named), 2 * DAY)
      tables.book(block(3, { series: ['late'].map(named) }), 2 * DAY)
      expect(evictions(tables.read(2 * DAY))).toEqual({ a: 2, late: 1, other: 1 })
      // The clock went back: nothing was counted so long ago.
      expect(tables.read(0).series.map(({ idleMs }) => idleMs)).toEqual([0, 0, 0])
      return tables.read(0)
    })
  })

  it('goes on with what a former version of Verge has stored, and with what it stores again', async () => {
    await runInDurableObject(stubOf(crypto.randomUUID()), (_, { storage }) => {
      const key = '["verge_evictions_total","digits"]'
      storage.sql.exec('DROP TABLE series')
      storage.sql.exec('CREATE TABLE series (key TEXT PRIMARY KEY, counted TEXT NOT NULL) WITHOUT ROWID')
      const asBefore = () => storage.sql.exec('INSERT OR REPLACE INTO series (key, counted) VALUES (?, ?)', key, '[7]')
      asBefore()
      const idle = (now: number) => new MetricTables(storage, LIMITS).read(now).series.map(({ idleMs }) => idleMs)
      expect(idle(1_000)).toEqual([0])
      expect(idle(5_000)).toEqual([4_000])
      new MetricTables(storage, LIMITS).book(block(1), 6_000)
      expect(evictions(new MetricTables(storage, LIMITS).read(6_000))).toEqual({ digits: 8 })
      asBefore()
      expect([idle(9_000), idle(9_500)]).toEqual([[0], [500]])
    })
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
    const silent: MetricShard = { book: async () => {}, read: () => new Promise(() => {}), forget: async () => {} }
    const failing: MetricShard = { ...silent, read: () => Promise.reject(new Error('reset')) }
    const other: MetricShard = { ...silent, read: async () => ({ counters: [] }) as unknown as ShardReading }
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
      limits: { ...LIMITS, metricShards: 5, metricStoreMs: 5_000 },
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

  it('has all shards forget what none of them counts any more, and nothing while one of them is away', async () => {
    const clock = new ManualClock()
    const told: string[] = []
    const gone = { name: 'verge_evictions_total', labels: ['gone'], values: [1], idleMs: 9 * 86_400_000 }
    const shardOf = (index: number): MetricShard => ({
      book: async () => {},
      read: async () => {
        if (index === away) throw new Error('reset')
        return { series: [gone], minutes: [], isolates: [] }
      },
      forget: async (series) => {
        told.push(`${index} ${series.map(({ labels }) => labels[0])}`)
        // One of another version of Verge does not know how.
        if (index === 1) throw new TypeError('no such method')
      },
    })
    const reader = new ShardedMetrics({ shardOf, flush: async () => {}, clock, version: '1', limits: LIMITS })
    let away = 2
    expect((await reader.read()).unreachable).toBe(1)
    expect(told).toEqual([])
    away = -1
    const { families } = await reader.read()
    expect(told).toEqual(['0 gone', '1 gone', '2 gone', '3 gone'])
    expect(families.map(({ name }) => name)).not.toContain('verge_evictions_total')
  })
})
