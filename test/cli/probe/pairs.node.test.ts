import { describe, expect, it } from 'vitest'
import { type Measured, measurePairs, type Pair } from '../../../src/cli/probe/pairs.ts'

/** Times by side, in the order of requests, on a clock that only requests and pauses move. */
function scene(answers: { canary: readonly (number | string)[]; stable: readonly (number | string)[] }) {
  const asked: string[] = []
  const reports: (readonly Pair[])[] = []
  const pauses: number[] = []
  let now = 0
  const next = { canary: 0, stable: 0 }
  const options = {
    everyMs: 100,
    now: () => now,
    async sleep(ms: number) {
      pauses.push(ms)
      now += ms
    },
    async ask(side: 'canary' | 'stable'): Promise<Measured> {
      asked.push(side)
      const answer = answers[side][next[side]++] ?? 1
      if (typeof answer === 'string') return { ms: 1, failure: answer }
      now += answer
      return { ms: answer }
    },
    async report(pairs: readonly Pair[]) {
      reports.push(pairs)
      return true
    },
    reportPairs: 2,
    signal: new AbortController().signal,
    measured() {},
  }
  return { asked, options, pauses, reports }
}

describe('measurePairs', () => {
  it('leaves the first pair out, lets each version be first in turn, and reports a few at a time', async () => {
    const { asked, options, pauses, reports } = scene({ canary: [900, 20, 30, 40], stable: [800, 10, 11, 12] })
    const { failures, pairs } = await measurePairs({ ...options, count: 3 })
    expect(pairs).toEqual([
      { canaryMs: 20, stableMs: 10 },
      { canaryMs: 30, stableMs: 11 },
      { canaryMs: 40, stableMs: 12 },
    ])
    expect(asked).toEqual(['canary', 'stable', 'stable', 'canary', 'canary', 'stable', 'stable', 'canary'])
    expect(reports.map((report) => report.length)).toEqual([2, 1])
    // a pair that took longer than the interval is followed at once
    expect(pauses).toEqual([0, 70, 59])
    expect(failures).toEqual({ canary: [], stable: [] })
  })

  it('counts failures apart, and no time of their pair', async () => {
    const { options } = scene({ canary: [1, 'HTTP 500', 30], stable: [1, 10, 'HTTP 503'] })
    const { failures, pairs } = await measurePairs({ ...options, count: 2 })
    expect(pairs).toEqual([])
    expect(failures).toEqual({ canary: ['HTTP 500'], stable: ['HTTP 503'] })
  })

  it('ends where the report says so', async () => {
    const { options, reports } = scene({ canary: [], stable: [] })
    const { pairs } = await measurePairs({
      ...options,
      count: 50,
      report: async (given) => {
        reports.push(given)
        return false
      },
    })
    expect(pairs).toHaveLength(2)
    expect(reports).toHaveLength(1)
  })

  it('reports what it has where it is interrupted, and says how far it is', async () => {
    const { options, reports } = scene({ canary: [], stable: [] })
    const controller = new AbortController()
    let measured = 0
    const { pairs } = await measurePairs({
      ...options,
      count: 50,
      reportPairs: 20,
      signal: controller.signal,
      measured: () => {
        if (++measured === 3) controller.abort(new Error('Interrupted.'))
      },
      async sleep() {
        controller.signal.throwIfAborted()
      },
    })
    expect([pairs.length, measured]).toEqual([3, 3])
    expect(reports.map((report) => report.length)).toEqual([3])
  })

  it('hides no other failure', async () => {
    const { options } = scene({ canary: [], stable: [] })
    const broken = { ...options, count: 2, ask: () => Promise.reject(new Error('broken')) }
    await expect(measurePairs(broken)).rejects.toThrow('broken')
  })
})
