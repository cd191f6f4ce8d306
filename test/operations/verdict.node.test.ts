import { describe, expect, it } from 'vitest'
import { type Facts, verdictOf } from '../../src/operations/verdict.ts'
import type { OperationsModel, OperationsOrigin } from '../../src/protocols/verge/operations.ts'

const WELL: Facts = { totals: null, models: [], origins: [], callers: [], problems: [] }

function traffic(requests: number, errors: number) {
  const span = { requests, errors, units: 0, tokens: 0 }
  return { last5m: span, lastHour: span }
}

const model = (some: Partial<OperationsModel>): OperationsModel => ({
  model: 'digits',
  live: [],
  traffic: traffic(0, 0),
  versions: [],
  ...some,
})

const origin = (name: string, up: boolean | null): OperationsOrigin => ({ name, up, here: 'up', failures: up ? 0 : 3 })

const namesOf = (facts: Partial<Facts>) => verdictOf({ ...WELL, ...facts }).alerts.map(({ name }) => name)

describe('the verdict', () => {
  it('is that all is well where no threshold is exceeded', () => {
    const facts = { ...WELL, totals: traffic(1000, 50), models: [model({ traffic: traffic(19, 19) })] }
    expect(verdictOf({ ...facts, origins: [origin('home', true), origin('new', null)] })).toEqual({
      health: 'ok',
      alerts: [],
    })
  })

  it('is critical where a model fails, and names the command that goes back', () => {
    const { alerts, health } = verdictOf({ ...WELL, models: [model({ traffic: traffic(40, 3) })] })
    expect(health).toBe('critical')
    expect(alerts).toEqual([
      {
        name: 'VergeModelErrors',
        severity: 'critical',
        model: 'digits',
        what: "7.5 % of the last five minutes' 40 requests to digits failed.",
        do: 'The logs have the reason by request id. After a release, go back: npx verge release digits --rollback',
      },
    ])
  })

  it('counts all models together, too', () => {
    expect(namesOf({ totals: traffic(100, 6) })).toEqual(['VergeErrors'])
    expect(namesOf({ totals: traffic(99, 99) })).toEqual([])
  })

  it('tells one origin that is down from all', () => {
    expect(namesOf({ origins: [origin('home', true), origin('away', false)] })).toEqual(['VergeOriginDown'])
    expect(namesOf({ origins: [origin('home', false), origin('away', false)] })).toEqual(['VergeOriginsDown'])
  })

  it('warns of a canary that went back, of what could not be read and of budgets, after what is critical', () => {
    const stopped = { version: '2', at: '2026-11-30T12:00:00Z', reason: 'disagreement' }
    const used = { period: 'day', kind: 'usd' } as const
    const caller = {
      principal: 'key:a',
      name: 'shop',
      requestsToday: 1,
      errorsToday: 0,
      spentTodayUsd: 1,
      spentMonthUsd: 1,
      lastUsedAt: '2026-11-30T12:00:00Z',
    }
    const facts: Facts = {
      ...WELL,
      models: [model({ stopped, traffic: traffic(20, 20) })],
      problems: [{ part: 'cost', what: 'away' }],
      callers: [
        {
          ...caller,
          budgets: [
            { ...used, used: 9.5, limit: 10 },
            { ...used, used: 1, limit: 100 },
          ],
        },
        { ...caller, principal: 'key:b', budgets: [{ ...used, used: 0, limit: 0 }] },
        { ...caller, principal: 'key:c', budgets: [{ ...used, used: 9, limit: 10 }] },
      ],
    }
    const { alerts, health } = verdictOf(facts)
    expect(health).toBe('critical')
    expect(alerts.map(({ name, principal }) => [name, principal])).toEqual([
      ['VergeModelErrors', undefined],
      ['VergeCanaryStopped', undefined],
      ['VergeMetricsUnreadable', undefined],
      ['VergeBudgetLow', 'key:a'],
      ['VergeBudgetLow', 'key:b'],
    ])
    expect(alerts[3]?.what).toBe('shop has used 95.0 % of its 10 usd for this day.')
  })
})
