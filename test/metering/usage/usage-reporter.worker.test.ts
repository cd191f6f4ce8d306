import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger } from '../../../src/core/runtime.ts'
import type { UsageBlock } from '../../../src/metering/usage/block.ts'
import { UsageReporter } from '../../../src/metering/usage/usage-reporter.ts'
import { ManualClock, settle } from '../../fixtures/clock.ts'
import { counts } from '../../fixtures/usage.ts'

const ROW = { day: '2026-11-30', model: 'a@1', counts: counts({ requests: 1 }) }

/** A reporter and a ledger that books each block once, and may fail before or after that. */
function setup() {
  const clock = new ManualClock()
  const booked = new Map<number, number>()
  const calls: UsageBlock[] = []
  const state = { fails: false as false | 'before' | 'after' }
  const reporter = new UsageReporter({
    clock,
    limits: LIMITS,
    logger: silentLogger,
    randomId: () => 'isolate',
    book: async (_, block) => {
      calls.push(block)
      if (state.fails === 'before') throw new Error('the ledger does not answer')
      booked.set(
        block.seq,
        block.rows.reduce((sum, row) => sum + row.counts.requests, 0),
      )
      if (state.fails === 'after') throw new Error('the answer was lost')
    },
  })
  /** Work that runs behind answers. */
  const kept: Promise<unknown>[] = []
  const record = (times: number, principal = 'key:a'): void => {
    for (let i = 0; i < times; i++) reporter.record(principal, ROW, (work) => void kept.push(work))
  }
  return {
    booked,
    calls,
    clock,
    kept,
    record,
    reporter,
    state,
    total: () => [...booked.values()].reduce((a, b) => a + b, 0),
  }
}

describe('what an isolate hands to the ledgers', () => {
  it('is one call for many requests', async () => {
    const { calls, record, total } = setup()
    for (let i = 0; i < 10; i++) {
      record(LIMITS.usageFlushRequests)
      await settle()
    }
    expect(calls).toHaveLength(10)
    expect(total()).toBe(10 * LIMITS.usageFlushRequests)
  })

  it('is handed over after ten seconds, where there are fewer', async () => {
    const { calls, clock, record, total } = setup()
    record(3)
    await clock.advance(LIMITS.usageFlushMs - 1)
    record(2)
    expect(calls).toHaveLength(0)
    await clock.advance(1)
    expect(calls).toHaveLength(1)
    expect(total()).toBe(5)
  })

  it.each(['before', 'after'] as const)(
    'is kept and sent again, and counted once, where the call fails %s it was booked',
    async (fails) => {
      const { calls, clock, record, state, total } = setup()
      state.fails = fails
      record(LIMITS.usageFlushRequests)
      await settle()
      record(7)
      state.fails = false
      await clock.advance(LIMITS.usageRetryMs)
      record(1)
      await clock.advance(LIMITS.usageFlushMs)
      expect(total()).toBe(LIMITS.usageFlushRequests + 8)
      expect(calls[1]).toBe(calls[0])
    },
  )

  it('is not sent with each request while the ledger does not answer', async () => {
    const { calls, clock, record, state } = setup()
    state.fails = 'before'
    record(LIMITS.usageFlushRequests)
    await settle()
    record(1_000)
    await settle()
    expect(calls).toHaveLength(1)
    // The tries of the two answers behind which something is handed over: the request's that filled the block, and the first one's.
    await clock.advance(60_000)
    expect(calls).toHaveLength(6)
  })

  it('is handed over by a later request where the one that waited was killed, or the clock was set back', async () => {
    const { calls, clock, record, reporter, total } = setup()
    // Killed: what it was to do behind its answer never happens.
    reporter.record('key:a', ROW, () => {})
    await clock.advance(-3_600_000)
    record(1)
    await clock.advance(LIMITS.usageFlushMs)
    expect(calls).toHaveLength(1)
    expect(total()).toBe(2)
  })

  it('may go with something else', async () => {
    const { calls, clock, record, reporter } = setup()
    record(2)
    const block = reporter.carry('key:a')
    expect(block?.rows).toEqual([{ ...ROW, counts: counts({ requests: 2 }) }])
    if (block !== undefined) reporter.carried('key:a', block)
    await clock.advance(LIMITS.usageFlushMs)
    expect(calls).toHaveLength(0)
    expect(reporter.carry('key:a')).toBeUndefined()
  })

  it('is each principal of its own', async () => {
    const { calls, clock, record } = setup()
    record(1, 'key:a')
    record(2, 'key:b')
    await clock.advance(LIMITS.usageFlushMs)
    expect(calls.map(({ rows }) => rows[0]?.counts.requests)).toEqual([1, 2])
  })
})
