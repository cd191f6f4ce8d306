import { describe, expect, it } from 'vitest'
import { retryAfterHeader, retryAfterMs } from '../../src/core/headers.ts'

describe('Retry-After', () => {
  it('is read as seconds or as a date, from now on', () => {
    const now = Date.UTC(2026, 0, 1)
    expect(retryAfterMs('3', now)).toBe(3000)
    expect(retryAfterMs(' 0 ', now)).toBe(0)
    expect(retryAfterMs('Thu, 01 Jan 2026 00:00:05 GMT', now)).toBe(5000)
    expect(retryAfterMs('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0)
    for (const header of [null, undefined, '', 'soon'])
      expect(retryAfterMs(header, now), String(header)).toBeUndefined()
  })

  it('is written as whole seconds, at least one', () => {
    expect([0, 0.2, 1, 1.01, 30].map(retryAfterHeader)).toEqual(['1', '1', '1', '2', '30'])
  })
})
