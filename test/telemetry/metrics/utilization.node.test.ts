import { describe, expect, it } from 'vitest'
import { AnalyticsObserver } from '../../../src/telemetry/metrics/analytics.ts'
import { CpuUse } from '../../../src/telemetry/metrics/utilization.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { observationOf } from '../../fixtures/metrics.ts'

describe('the CPU time of requests', () => {
  it('is the units of runs here over those that requests may spend, by model', () => {
    const use = new CpuUse({ unitsEach: 1_000, clock: new ManualClock() })
    use.add(observationOf({ start: 'warm', units: 100 }))
    use.add(observationOf({ start: 'cold', units: 300 }))
    // Nothing of these ran here.
    use.add(observationOf({ start: 'cached', units: 0 }))
    use.add(observationOf({ place: 'none', code: 'overloaded' }))
    use.add(observationOf({ place: 'origin', start: 'warm', units: 700, originUnits: 700 }))
    expect(use.readings).toEqual([
      // The clock has stood still: there was no time to compute in.
      { name: 'verge_utilization_ratio', labels: ['cpu', ''], value: 0, of: 0 },
      { name: 'verge_utilization_ratio', labels: ['cpu', 'digits'], value: 400, of: 2_000 },
    ])
    for (let i = 0; i < 100; i++) use.add(observationOf({ model: `model-${i}`, start: 'warm', units: 1 }))
    expect(use.readings).toHaveLength(66)
    expect(use.readings.at(-1)).toMatchObject({ labels: ['cpu', 'other'], value: 37, of: 37_000 })
  })

  it('is of the last minutes: what is busy now is told from what was', async () => {
    const clock = new ManualClock()
    const use = new CpuUse({ unitsEach: 1_000, clock })
    const shares = () =>
      Object.fromEntries(use.readings.map(({ labels, of = 0, value }) => [labels[1], of === 0 ? 0 : value / of]))
    // 100 requests a second of 75 units of 75 microseconds are 56 % of a core.
    const busy = async (seconds: number, model: string, units: number): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        for (let i = 0; i < 100; i++) use.add(observationOf({ model, start: 'warm', units }))
        await clock.advance(1_000)
      }
    }
    await busy(3, 'digits', 75)
    expect(shares()['']).toBeCloseTo(0.56, 1)
    await busy(300, 'digits', 75)
    expect(shares()['']).toBeCloseTo(0.56, 1)
    expect(shares().digits).toBeCloseTo(0.075, 3)
    // Far more than one core computes.
    await busy(60, 'digits', 750)
    expect(shares()['']).toBe(1)
    expect(shares().digits).toBeGreaterThan(0.4)
    await clock.advance(240_000)
    expect(shares()['']).toBeLessThan(0.1)
    await clock.advance(360_000)
    expect(Object.keys(shares())).toEqual([''])
    expect(shares()['']).toBeLessThan(0.001)
  })
})

describe('a data point', () => {
  it('stays within the limits of Analytics Engine, and has nothing of a caller', () => {
    const points: { indexes: string[]; blobs: string[]; doubles: number[] }[] = []
    const observer = new AnalyticsObserver({ writeDataPoint: (point) => points.push(point) })
    observer.observed(observationOf({ model: 'm'.repeat(300), origin: 'fra', units: 3, totalMs: 7, continued: true }))
    const [point] = points
    expect(point?.indexes.map((index) => index.length)).toEqual([96])
    expect(point?.blobs.slice(1)).toEqual(['2', 'edge', 'fra', 'task', 'ok', '', '', 'continued'])
    expect(point?.doubles).toEqual([3, 0, 0, 0, 7, -1, -1, -1, -1])
    expect(point?.blobs.length).toBeLessThanOrEqual(20)
    expect(point?.doubles.length).toBeLessThanOrEqual(20)
  })
})
