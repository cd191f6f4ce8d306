import { describe, expect, it } from 'vitest'
import type { GaugeReading } from '../../../src/telemetry/metrics/block.ts'
import { METRICS } from '../../../src/telemetry/metrics/definitions.ts'
import { MetricRegistry } from '../../../src/telemetry/metrics/registry.ts'
import { countRequest, trafficOf } from '../../../src/telemetry/metrics/request-metrics.ts'
import { observationOf } from '../../fixtures/metrics.ts'

function registryOf({ metricSeries = 100, metricTraffic = 10 } = {}, gauges: readonly GaugeReading[] = []) {
  return new MetricRegistry({
    limits: { metricSeries, metricTraffic },
    randomId: () => 'isolate',
    gauges: () => gauges,
  })
}

const seriesIn = (registry: MetricRegistry) =>
  new Map(registry.take()?.series.map(({ labels, name, values }) => [[name, ...labels].join(' '), values]))

describe('a registry', () => {
  it('counts what an inference did', () => {
    const registry = registryOf()
    const seen = observationOf({
      start: 'cold',
      cache: 'miss',
      units: 7,
      inputTokens: 3,
      loadMs: 300,
      queueMs: 0,
      runMs: 4,
      totalMs: 310,
    })
    countRequest(registry, seen)
    countRequest(registry, observationOf({ place: 'none', code: 'overloaded' }))
    countRequest(registry, observationOf({ continued: true, units: 2 }))
    const series = seriesIn(registry)
    expect(series.get('verge_requests_total digits 2 edge ok')).toEqual([1])
    expect(series.get('verge_requests_total digits 2 none overloaded')).toEqual([1])
    expect(series.get('verge_cost_units_total digits 2 edge')).toEqual([9])
    expect(series.get('verge_tokens_total digits 2 input')).toEqual([3])
    expect(series.get('verge_result_cache_total digits miss')).toEqual([1])
    const seconds = series.get('verge_request_seconds digits 2 edge') ?? []
    const { buckets } = METRICS.verge_request_seconds
    expect(seconds).toHaveLength(buckets.length + 2)
    expect(seconds[buckets.indexOf(0.5)]).toBe(1)
    expect(seconds.at(-1)).toBeCloseTo(0.31)
    expect([...series.keys()].filter((key) => key.startsWith('verge_step'))).toEqual([
      'verge_step_seconds digits load',
      'verge_step_seconds digits queue',
      'verge_step_seconds digits run',
    ])
  })

  it('sums no time of a clock that went back', () => {
    const registry = registryOf()
    countRequest(registry, observationOf({ queueMs: -3_600_000, totalMs: 5 }))
    expect(seriesIn(registry).get('verge_step_seconds digits queue')?.at(-1)).toBe(0)
  })

  it('keeps a block as it is until it was booked, and counts on beside it', () => {
    const registry = registryOf({}, [{ name: 'verge_backlog_units', labels: [], value: 3 }])
    expect(registry.take()).toBeUndefined()
    registry.count('verge_evictions_total', { model: 'digits' })
    const first = registry.take()
    registry.count('verge_evictions_total', { model: 'digits' }, 2)
    expect(registry.take()).toBe(first)
    expect(first).toMatchObject({ source: 'isolate', seq: 1, gauges: [{ value: 3 }], series: [{ values: [1] }] })
    registry.booked(7)
    expect(registry.take()).toBe(first)
    registry.booked(1)
    expect(registry.take()).toMatchObject({ seq: 2, series: [{ values: [2] }] })
  })

  it('bounds a flood of label values: what is too much is counted together, and lost where even that is', () => {
    const registry = registryOf({ metricSeries: 3, metricTraffic: 2 })
    for (let i = 0; i < 50; i++) {
      registry.count('verge_evictions_total', { model: `model-${i}` })
      registry.add(trafficOf(observationOf({ model: `model-${i}`, units: 1 })))
    }
    for (const status of ['200', '400', '404', '500'])
      registry.count('verge_http_requests_total', { route: '/run', status })
    const block = registry.take()
    expect(block?.series.map(({ labels }) => labels.join(' '))).toEqual([
      'model-0',
      'model-1',
      'model-2',
      'other',
      'other 200',
      'other 400',
    ])
    expect(block?.series[3]?.values).toEqual([47])
    expect(block?.lost).toBe(2)
    expect(block?.traffic.map(({ model, requests, units }) => [model, requests, units])).toEqual([
      ['model-0', 1, 1],
      ['model-1', 1, 1],
      ['other', 48, 48],
    ])
  })
})

describe('the traffic of a minute', () => {
  it('calls errors what is not the fault of callers', () => {
    const errorsOf = (code: 'ok' | 'invalid_json' | 'engine_full' | 'internal') =>
      trafficOf(observationOf({ code })).errors
    expect([errorsOf('ok'), errorsOf('invalid_json'), errorsOf('engine_full'), errorsOf('internal')]).toEqual([
      0, 0, 1, 1,
    ])
    expect(trafficOf(observationOf({ continued: true })).requests).toBe(0)
  })
})
