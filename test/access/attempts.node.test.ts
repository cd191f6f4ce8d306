import { describe, expect, it } from 'vitest'
import { Attempts } from '../../src/access/attempts.ts'
import { isVergeError } from '../../src/core/errors.ts'

const limits = { failedAttempts: 3, failedAttemptMs: 1_000, failingAddresses: 4 }

function counting() {
  const clock = { at: 0, now: () => clock.at }
  const attempts = new Attempts({ clock, limits })
  const outcome = (work: () => void): string => {
    try {
      work()
      return 'allowed'
    } catch (error) {
      if (!isVergeError(error)) throw error
      return `${error.code} ${error.retryAfter}`
    }
  }
  const ask = (address?: string): string => outcome(() => attempts.assertAllowed(address))
  const fail = (address?: string): string => outcome(() => attempts.failed(address))
  return { ask, clock, fail }
}

describe('Attempts', () => {
  it('lets an address fail so often, and no more while the clock stands still', () => {
    const { ask, fail } = counting()
    for (let i = 0; i < 3; i++) expect([ask('a'), fail('a')]).toEqual(['allowed', 'allowed'])
    for (let i = 0; i < 100; i++) expect([ask('a'), fail('a')]).toEqual(['rate_limited 1', 'rate_limited 1'])
    expect(ask('b')).toBe('allowed')
  })

  it('forgets one failure at a time', () => {
    const { ask, clock, fail } = counting()
    for (let i = 0; i < 4; i++) fail('a')
    clock.at = 999
    expect(ask('a')).toBe('rate_limited 1')
    clock.at = 1_000
    expect([ask('a'), fail('a'), ask('a')]).toEqual(['allowed', 'allowed', 'rate_limited 1'])
    // the rest of a period is not lost by asking
    clock.at = 1_500
    expect(ask('a')).toBe('rate_limited 1')
    clock.at = 2_000
    expect(ask('a')).toBe('allowed')
    clock.at = 60_000
    for (let i = 0; i < 3; i++) expect(fail('a')).toBe('allowed')
    expect(ask('a')).toBe('rate_limited 1')
  })

  it('lets nobody off by a clock that jumps back', () => {
    const { ask, clock, fail } = counting()
    clock.at = 1_000_000
    for (let i = 0; i < 3; i++) fail('a')
    clock.at = 0
    expect(ask('a')).toBe('rate_limited 1')
    clock.at = 999
    expect(ask('a')).toBe('rate_limited 1')
    // and locks nobody out for as long as it jumped
    clock.at = 1_000
    expect(ask('a')).toBe('allowed')
  })

  it('counts a network of IPv6 as one, and callers without an address together', () => {
    const { ask, fail } = counting()
    for (let i = 0; i < 3; i++) fail(`2001:db8::${i}`)
    expect(ask('2001:db8::ffff')).toBe('rate_limited 1')
    expect(ask('2001:db8:0:1::1')).toBe('allowed')
    for (let i = 0; i < 3; i++) fail(undefined)
    expect(ask()).toBe('rate_limited 1')
  })

  it('keeps so many addresses, and forgets the one that failed longest ago', () => {
    const { ask, fail } = counting()
    for (const address of ['a', 'b', 'c', 'd']) for (let i = 0; i < 3; i++) fail(address)
    fail('e')
    expect(['a', 'b', 'c', 'd'].map((address) => ask(address))).toEqual(['allowed', ...Array(3).fill('rate_limited 1')])
  })
})
