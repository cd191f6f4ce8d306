import { describe, expect, it } from 'vitest'
import { LatencyWindow } from '../../src/operations/latency.ts'
import type { MetricFamily } from '../../src/telemetry/metrics/merge.ts'
import { ManualClock } from '../fixtures/clock.ts'

const DIGITS = new Set(['digits'])
const BOUNDS = [0.01, 0.1, 1, Number.POSITIVE_INFINITY]

/** So many requests in each bucket, of each version. */
function family(versions: Record<string, readonly number[]>): { readonly families: readonly MetricFamily[] } {
  const samples = Object.entries(versions).map(([version, counts]) => {
    let count = 0
    const buckets = BOUNDS.map((le, index) => {
      count += counts[index] ?? 0
      return { le, count }
    })
    return { labels: { model: 'digits', version, place: 'edge' }, value: count, sum: 1, buckets }
  })
  return { families: [{ name: 'verge_request_seconds', type: 'histogram', help: '', samples }] }
}

describe('latencies', () => {
  it('are spread evenly within a bucket, of all versions together', () => {
    const latencies = new LatencyWindow(new ManualClock())
    const { p50Ms, p95Ms } = latencies.of(family({ 1: [50, 0, 0, 0], 2: [0, 40, 10, 0] }), DIGITS).get('digits') ?? {}
    expect(p50Ms).toBeCloseTo(10)
    expect(p95Ms).toBeCloseTo(550)
  })

  it('are the largest bound where they are longer, and nothing without requests', () => {
    const latencies = new LatencyWindow(new ManualClock())
    expect(latencies.of(family({ 1: [0, 0, 0, 5] }), DIGITS).get('digits')).toEqual({ p50Ms: 1000, p95Ms: 1000 })
    expect(latencies.of(family({ 1: [0, 0, 0, 0] }), DIGITS).get('digits')).toEqual({})
    expect(latencies.of({ families: [] }, DIGITS).size).toBe(0)
    // Nobody asks about the others: of ten thousand nothing is kept.
    expect(latencies.of(family({ 1: [0, 0, 0, 5] }), new Set(['other'])).size).toBe(0)
  })

  it('are of the last ten minutes, as far as they were looked at', async () => {
    const clock = new ManualClock()
    const latencies = new LatencyWindow(clock)
    const p50 = (counts: readonly number[]) => latencies.of(family({ 1: counts }), DIGITS).get('digits')?.p50Ms
    expect(p50([100, 0, 0, 0])).toBeCloseTo(5)
    await clock.advance(120_000)
    // Ten more, all slower.
    expect(p50([100, 0, 10, 0])).toBeCloseTo(550)
    await clock.advance(400_000)
    expect(p50([100, 0, 10, 0])).toBeCloseTo(550)
    // The first look is too old, and the second saw the slow ones already.
    await clock.advance(100_000)
    expect(p50([110, 0, 10, 0])).toBeCloseTo(5)
    // A shard does not answer: what is left is what it says.
    expect(p50([0, 7, 0, 0])).toBeCloseTo(55)
  })
})
