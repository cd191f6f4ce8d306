import { describe, expect, it } from 'vitest'
import { AnalyticsObserver } from '../../../src/telemetry/metrics/analytics.ts'
import { CpuUse } from '../../../src/telemetry/metrics/utilization.ts'
import { observationOf } from '../../fixtures/metrics.ts'

describe('the CPU time of requests', () => {
  it('is the units of runs here over those that requests may spend, by model', () => {
    const use = new CpuUse(1_000)
    use.add(observationOf({ start: 'warm', units: 100 }))
    use.add(observationOf({ start: 'cold', units: 300 }))
    // Nothing of these ran here.
    use.add(observationOf({ start: 'cached', units: 0 }))
    use.add(observationOf({ place: 'none', code: 'overloaded' }))
    use.add(observationOf({ place: 'origin', start: 'warm', units: 700, originUnits: 700 }))
    expect(use.readings).toEqual([
      { name: 'verge_utilization_ratio', labels: ['cpu', 'digits'], value: 400, of: 2_000 },
    ])
    for (let i = 0; i < 100; i++) use.add(observationOf({ model: `model-${i}`, start: 'warm', units: 1 }))
    expect(use.readings).toHaveLength(65)
    expect(use.readings.at(-1)).toMatchObject({ labels: ['cpu', 'other'], value: 37, of: 37_000 })
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
