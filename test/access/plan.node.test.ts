import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { planSchema, rateSchema } from '../../src/access/plan.ts'

describe('rateSchema', () => {
  it.each([
    ['60/1m', 60, 60],
    ['60/m', 60, 60],
    ['10/1s', 10, 1],
    ['1000/1h', 1000, 3600],
    ['5/90s', 5, 90],
    ['1/31d', 1, 2_678_400],
  ])('reads %s', (text, requests, seconds) => {
    expect(rateSchema.parse(text)).toEqual({ requests, seconds })
  })

  it.each([
    '',
    '60',
    '60/',
    '60/1',
    '0/1m',
    '60/0s',
    '-1/1m',
    '60/1w',
    '60/32d',
    '6e1/1m',
    '60/1m ',
    ' 60/1m',
    '60/1.5m',
  ])('refuses "%s"', (text) => {
    expect(() => rateSchema.parse(text)).toThrow(/a rate like/)
  })

  it('writes a rate so that it is read as the same', () => {
    for (const seconds of [1, 59, 60, 90, 3600, 5400, 86_400, 31 * 86_400]) {
      const rate = { requests: 7, seconds }
      expect(rateSchema.parse(z.encode(rateSchema, rate))).toEqual(rate)
    }
    expect(z.encode(rateSchema, { requests: 60, seconds: 60 })).toBe('60/1m')
    expect(z.encode(rateSchema, { requests: 1, seconds: 90 })).toBe('1/90s')
  })
})

describe('planSchema', () => {
  const written = {
    rate: '60/1m',
    concurrency: 4,
    budgets: { day: { tokens: 100_000 }, month: { usd: 12.5, units: 10_000, requests: 0 } },
    bodyBytes: 65_536,
    batch: 32,
    maxTokens: 512,
    whenLow: { below: 0.1, models: { large: 'small' }, artifact: 'smallest' },
  } as const

  it('reads a whole plan, and writes it back as it was', () => {
    const plan = planSchema.parse(written)
    expect(plan.rate).toEqual({ requests: 60, seconds: 60 })
    expect(z.encode(planSchema, plan)).toEqual(written)
  })

  it('refuses a limit that it does not know: a mistyped one would limit nothing', () => {
    for (const plan of [
      { budget: {} },
      { budgets: { week: {} } },
      { budgets: { day: { token: 1 } } },
      { rates: '1/1s' },
    ])
      expect(planSchema.safeParse(plan).success, JSON.stringify(plan)).toBe(false)
  })

  it('refuses what is no amount', () => {
    for (const value of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', null])
      expect(planSchema.safeParse({ budgets: { day: { tokens: value } } }).success, String(value)).toBe(false)
  })
})
