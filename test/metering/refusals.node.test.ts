import { describe, expect, it } from 'vitest'
import type { Line } from '../../src/metering/ledger/lease.ts'
import { refusal } from '../../src/metering/refusals.ts'

const rate = (seconds: number, resetMs: number): Line => ({
  name: 'rate',
  kind: 'rate',
  period: 'rate',
  quota: 3,
  remaining: 0,
  seconds,
  resetMs,
})

describe('the refusal of a rate', () => {
  it.each([
    [10, 4_200, '3 requests in 10 s is used up. Try again in 5 s.'],
    [60, 90_000, '3 requests in 1 minute is used up. Try again in 90 s.'],
    [60, 60_000, '3 requests in 1 minute is used up. Try again in 1 minute.'],
    [3_600, 121_000, '3 requests in 1 hour is used up. Try again in 3 minutes.'],
    [86_400, 86_399_000, '3 requests in 1 day is used up. Try again in 24 hours.'],
  ])('of %i s with %i ms left says both as people do', (seconds, resetMs, said) => {
    const error = refusal(rate(seconds, resetMs), 0)
    expect(error.message).toBe(`The rate of ${said}`)
    expect(error.retryAfter).toBe(Math.ceil(resetMs / 1000))
  })
})
