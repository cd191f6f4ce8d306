import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger } from '../../../src/core/runtime.ts'
import { NO_COUNTS, type WatchCounts } from '../../../src/releases/watch/judge.ts'
import type { Trial, WatchReply, WatchReport } from '../../../src/releases/watch/report.ts'
import { CanaryReporter } from '../../../src/releases/watch/reporter.ts'
import { ManualClock, settle } from '../../fixtures/clock.ts'

const trial: Trial = { model: 'm', generation: 7, canary: { version: '2', against: '1', guarded: true } }
const seen = (side: 'canary' | 'stable', requests: number): WatchCounts => ({
  ...NO_COUNTS,
  [side]: { requests, errors: 0 },
})
const stop = { generation: 7, version: '2', at: 1, reason: 'errors' }

function setUp(answer: (report: WatchReport) => Promise<WatchReply> = async () => ({ verdict: 'continue' })) {
  const clock = new ManualClock()
  const reports: WatchReport[] = []
  const stopped: unknown[] = []
  const reporter = new CanaryReporter({
    clock,
    limits: LIMITS,
    logger: silentLogger,
    randomId: () => 'isolate',
    stopped: (...said) => stopped.push(said),
    watchOf: () => ({
      report: (report) => {
        reports.push(report)
        return answer(report)
      },
    }),
  })
  const kept: Promise<unknown>[] = []
  const record = (side: 'canary' | 'stable', times = 1, of = trial): void => {
    reporter.record(of, seen(side, times), (work) => kept.push(work))
  }
  return { clock, kept, record, reports, stopped }
}

describe('CanaryReporter', () => {
  it("hands over after ten of the canary's requests, on a clock that stands still", async () => {
    const { record, reports } = setUp()
    record('stable', 100)
    expect(reports).toEqual([])
    record('canary', 10)
    await settle()
    expect(reports).toHaveLength(1)
    expect(reports[0]).toMatchObject({ source: 'isolate', seq: 1, generation: 7 })
    expect(reports[0]?.counts).toMatchObject({ canary: { requests: 10 }, stable: { requests: 100 } })
    record('canary', 10)
    await settle()
    expect(reports.map(({ seq }) => seq)).toEqual([1, 2])
  })

  it('hands over fewer after a while, and nothing where the canary was not seen', async () => {
    const { clock, record, reports } = setUp()
    record('stable', 5)
    await clock.advance(60_000)
    expect(reports).toEqual([])
    record('canary')
    await clock.advance(LIMITS.canaryFlushMs - 1)
    expect(reports).toEqual([])
    await clock.advance(1)
    expect(reports[0]?.counts).toMatchObject({ canary: { requests: 1 }, stable: { requests: 5 } })
  })

  it("forgets many of the stable version's requests that are old", async () => {
    const { clock, record, reports } = setUp()
    record('stable', 1_000)
    await clock.advance(LIMITS.canaryWindowMs + 1)
    record('canary', 10)
    await settle()
    expect(reports[0]?.counts.stable.requests).toBe(0)
  })

  it('sends a report again, unchanged, until it was counted', async () => {
    let calls = 0
    const { clock, record, reports } = setUp(async () => {
      if (++calls < 3) throw new Error('the object was reset')
      return { verdict: 'continue' }
    })
    record('canary', 10)
    await settle()
    record('canary', 10)
    await clock.advance(LIMITS.canaryRetryMs)
    expect(reports).toHaveLength(2)
    // The tries behind that request are used up: the next one goes on.
    await clock.advance(LIMITS.canaryRetryMs)
    record('canary')
    await settle()
    expect(reports.map(({ seq }) => seq)).toEqual([1, 1, 1])
    expect(new Set(reports.map((report) => JSON.stringify(report))).size).toBe(1)
    record('canary')
    await settle()
    expect(reports[3]).toMatchObject({ seq: 2, counts: { canary: { requests: 12 } } })
  })

  it('gives up on an object that does not answer, and never rejects', async () => {
    const { clock, kept, record, reports } = setUp(() => new Promise(() => {}))
    record('canary', 10)
    await clock.advance(2 * (LIMITS.canaryReportMs + LIMITS.canaryRetryMs))
    expect(reports).toHaveLength(2)
    await Promise.all(kept)
  })

  it('has the canary stopped here, and reports no more of this generation', async () => {
    const { record, reports, stopped } = setUp(async () => ({ verdict: 'stopped', stop }))
    record('canary', 10)
    await settle()
    expect(stopped).toEqual([['m', stop, false]])
    record('canary', 20)
    await settle()
    expect(reports).toHaveLength(1)
    record('canary', 10, { ...trial, generation: 8 })
    await settle()
    expect(reports[1]?.generation).toBe(8)
    // A request that still has the old alias.
    record('canary', 20)
    await settle()
    expect(reports).toHaveLength(2)
  })
})
