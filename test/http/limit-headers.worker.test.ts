import { parseList } from 'structured-headers'
import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { setLimitHeaders, spentRate } from '../../src/http/limit-headers.ts'

const RATE = { name: 'rate', quota: 60, unit: 'requests', seconds: 60, remaining: 12, reset: 30.2 }
const TOKENS = { name: 'day-tokens', quota: 1e6, unit: 'tokens', seconds: 86_400, remaining: -3, reset: 7 }
const MONEY = { name: 'month-usd', quota: 1.5, unit: 'usd', seconds: 2_592_000, remaining: 0.25, reset: 9 }

describe('what is left of rates and budgets', () => {
  it('is said by the draft of the IETF, as structured fields that others can read', () => {
    const headers = new Headers()
    setLimitHeaders(headers, [RATE, TOKENS, MONEY])
    const read = (name: string) =>
      parseList(headers.get(name) ?? '').map(([item, parameters]) => [item, Object.fromEntries(parameters)])
    expect(read('ratelimit-policy')).toEqual([
      ['rate', { q: 60, w: 60 }],
      ['day-tokens', { q: 1_000_000, qu: 'tokens', w: 86_400 }],
      ['month-usd', { q: 1_500_000, qu: 'micro-usd', w: 2_592_000 }],
    ])
    expect(read('ratelimit')).toEqual([
      ['rate', { r: 12, t: 31 }],
      ['day-tokens', { r: 0, t: 7 }],
      ['month-usd', { r: 250_000, t: 9 }],
    ])
  })

  it('is not said where there is nothing', () => {
    const headers = new Headers()
    setLimitHeaders(headers, [])
    expect([...headers]).toEqual([])
  })

  it('is said of a rate that is used up by its refusal', () => {
    const details = { limit: 'rate', requests: 5, seconds: 10 }
    expect(spentRate(new VergeError('rate_limited', 'Too many.', { retryAfter: 4, details }))).toEqual({
      ratelimit: '"rate";r=0;t=4',
      'ratelimit-policy': '"rate";q=5;w=10',
    })
    expect(spentRate(new VergeError('rate_limited', 'Too many.', { details: { limit: 'platform' } }))).toEqual({})
  })
})
