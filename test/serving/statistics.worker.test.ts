import { describe, expect, it } from 'vitest'
import { RunStatistics } from '../../src/serving/statistics.ts'

const timings = { loadMs: 5, queueMs: 2, runMs: 3 }

describe('statistics of runs', () => {
  it('are nothing before the first', () => {
    expect(new RunStatistics().of('m@1')).toMatchObject({ lastMs: 0, inferences: 0, success: { count: 0, ms: 0 } })
  })

  it('count inputs, runs and their times, version by version', () => {
    const statistics = new RunStatistics()
    statistics.succeeded('m@1', { start: 'cold', timings }, 4, 1000)
    statistics.succeeded('m@1', { start: 'warm', timings: { ...timings, loadMs: 0 } }, 1, 2000)
    statistics.failed('m@1')
    statistics.failed('m@2')
    expect(statistics.of('m@1')).toEqual({
      lastMs: 2000,
      inferences: 5,
      executions: 2,
      success: { count: 2, ms: 15 },
      fail: { count: 1, ms: 0 },
      queue: { count: 2, ms: 4 },
      run: { count: 2, ms: 6 },
      cacheHit: { count: 0, ms: 0 },
      cacheMiss: { count: 2, ms: 0 },
    })
    expect(statistics.of('m@2')).toMatchObject({ inferences: 0, fail: { count: 1 } })
  })

  it('tell what the result cache answered from what ran', () => {
    const statistics = new RunStatistics()
    statistics.succeeded('m@1', { start: 'cached', timings: { loadMs: 0, queueMs: 0, runMs: 0 } }, 2, 1)
    expect(statistics.of('m@1')).toMatchObject({
      inferences: 2,
      executions: 0,
      cacheHit: { count: 1 },
      run: { count: 0 },
    })
  })

  it('forget the version that was used longest ago, when there are very many', () => {
    const statistics = new RunStatistics()
    for (let i = 0; i < 256; i++) statistics.failed(`m@${i}`)
    statistics.failed('m@0')
    statistics.failed('another@1')
    expect(statistics.of('m@0').fail.count).toBe(2)
    expect(statistics.of('m@1').fail.count).toBe(0)
    expect(statistics.of('m@2').fail.count).toBe(1)
  })
})
