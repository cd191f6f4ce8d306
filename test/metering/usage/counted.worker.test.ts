import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { UNLIMITED } from '../../../src/metering/limited.ts'
import type { Metering, Permit } from '../../../src/metering/metering.ts'
import type { UsageRow } from '../../../src/metering/usage/block.ts'
import { counted } from '../../../src/metering/usage/counted.ts'
import { ManualClock, testContext } from '../../fixtures/clock.ts'

const USAGE = { model: 'a@1', status: 200, inputTokens: 1, outputTokens: 2, units: 3, originMs: 0, cached: false }
const OPERATOR = { kind: 'operator' } as const

function setup(metering: Metering = UNLIMITED) {
  const recorded: [string, UsageRow][] = []
  const reporter = { record: (principal: string, row: UsageRow) => void recorded.push([principal, row]) }
  return { recorded, metering: counted(metering, { clock: new ManualClock(), reporter }) }
}

describe('a metering whose requests are counted', () => {
  it('counts each request once, when it ends', async () => {
    const { metering, recorded } = setup()
    const permit = await metering.admit(OPERATOR, {}, testContext())
    expect(recorded).toEqual([])
    permit.finish(USAGE)
    permit.finish(USAGE)
    expect(recorded).toMatchObject([['operator', { model: 'a@1', counts: { requests: 1, outputTokens: 2 } }]])
  })

  it('counts what it refuses as an error', async () => {
    const refusing: Metering = { admit: () => Promise.reject(new VergeError('rate_limited', 'Too many.')) }
    const { metering, recorded } = setup(refusing)
    await expect(metering.admit({ kind: 'anonymous' }, {}, testContext())).rejects.toThrow('Too many.')
    expect(recorded).toMatchObject([['anonymous', { model: '', counts: { requests: 1, errors: 1 } }]])
  })

  it('counts parts of a request that was counted as no request', async () => {
    const { metering, recorded } = setup()
    const permit = await metering.admit(OPERATOR, { continued: true }, testContext())
    permit.finish(USAGE)
    expect(recorded).toMatchObject([['operator', { counts: { requests: 0, milliUnits: 3_000 } }]])
  })

  it("does not count the requests of Verge's own servers, which were counted before", async () => {
    const { metering, recorded } = setup()
    const permit = await metering.admit({ kind: 'relayed', name: 'key:one' }, {}, testContext())
    permit.finish(USAGE)
    expect(recorded).toEqual([])
  })

  it('leaves the limits to what is behind it', async () => {
    const calls: string[] = []
    const waiting = Promise.resolve()
    const called = (name: string) => {
      calls.push(name)
      return waiting
    }
    const behind: Permit = {
      plan: { concurrency: 2 },
      low: true,
      state: [],
      forModel: (model) => called(model),
      spend: (units) => called(`spend ${units}`),
      tokens: (input, output) => called(`tokens ${input} ${output}`),
      refund: ({ units }) => void calls.push(`refund ${units}`),
      finish: ({ units }) => void calls.push(`finish ${units}`),
    }
    const { metering } = setup({ admit: () => Promise.resolve(behind) })
    const permit = await metering.admit(OPERATOR, {}, testContext())
    expect([permit.plan, permit.low, permit.state]).toEqual([{ concurrency: 2 }, true, []])
    for (const wait of [permit.forModel('m'), permit.spend(3), permit.tokens(1, 2)]) expect(wait).toBe(waiting)
    permit.refund({ units: 4 })
    permit.finish(USAGE)
    expect(calls).toEqual(['m', 'spend 3', 'tokens 1 2', 'refund 4', 'finish 3'])
  })
})
