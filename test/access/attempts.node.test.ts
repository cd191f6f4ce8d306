import { describe, expect, it } from 'vitest'
import { Attempts } from '../../src/access/attempts.ts'
import type { FloodGuard } from '../../src/access/flood.ts'
import { isVergeError } from '../../src/core/errors.ts'

const limits = { failedAttempts: 3, failedAttemptMs: 1_000, failingAddresses: 4 }

function counting(addressRate?: FloodGuard) {
  const clock = { at: 0, now: () => clock.at }
  const attempts = new Attempts({ clock, limits, addressRate })
  const outcome = async (work: () => Promise<void> | void): Promise<string> => {
    try {
      await work()
      return 'allowed'
    } catch (error) {
      if (!isVergeError(error)) throw error
      return `${error.code} ${error.retryAfter}`
    }
  }
  const ask = (address?: string) => outcome(() => attempts.beforeLookUp(address))
  const check = (address?: string) => outcome(() => attempts.beforeCheck(address))
  const fail = (address?: string) => outcome(() => attempts.failed(address))
  return { ask, check, clock, fail }
}

describe('Attempts', () => {
  it('lets an address fail so often, and no more while the clock stands still', async () => {
    const { ask, fail } = counting()
    for (let i = 0; i < 3; i++) expect([await ask('a'), await fail('a')]).toEqual(['allowed', 'allowed'])
    for (let i = 0; i < 100; i++)
      expect([await ask('a'), await fail('a')]).toEqual(['rate_limited 1', 'rate_limited 1'])
    expect(await ask('b')).toBe('allowed')
  })

  it('forgets one failure at a time', async () => {
    const { ask, clock, fail } = counting()
    for (let i = 0; i < 4; i++) await fail('a')
    clock.at = 999
    expect(await ask('a')).toBe('rate_limited 1')
    clock.at = 1_000
    expect([await ask('a'), await fail('a'), await ask('a')]).toEqual(['allowed', 'allowed', 'rate_limited 1'])
    // the rest of a period is not lost by asking
    clock.at = 1_500
    expect(await ask('a')).toBe('rate_limited 1')
    clock.at = 2_000
    expect(await ask('a')).toBe('allowed')
    clock.at = 60_000
    for (let i = 0; i < 3; i++) expect(await fail('a')).toBe('allowed')
    expect(await ask('a')).toBe('rate_limited 1')
  })

  it('lets nobody off by a clock that jumps back', async () => {
    const { ask, clock, fail } = counting()
    clock.at = 1_000_000
    for (let i = 0; i < 3; i++) await fail('a')
    clock.at = 0
    expect(await ask('a')).toBe('rate_limited 1')
    clock.at = 999
    expect(await ask('a')).toBe('rate_limited 1')
    // and locks nobody out for as long as it jumped
    clock.at = 1_000
    expect(await ask('a')).toBe('allowed')
  })

  it('counts a network of IPv6 as one, and callers without an address together', async () => {
    const { ask, fail } = counting()
    for (let i = 0; i < 3; i++) await fail(`2001:db8::${i}`)
    expect(await ask('2001:db8::ffff')).toBe('rate_limited 1')
    expect(await ask('2001:db8:0:1::1')).toBe('allowed')
    for (let i = 0; i < 3; i++) await fail(undefined)
    expect(await ask()).toBe('rate_limited 1')
  })

  it('keeps so many addresses, and forgets the one that failed longest ago', async () => {
    const { ask, fail } = counting()
    for (const address of ['a', 'b', 'c', 'd']) for (let i = 0; i < 3; i++) await fail(address)
    await fail('e')
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((address) => ask(address)))).toEqual([
      'allowed',
      ...Array(3).fill('rate_limited 1'),
    ])
  })

  it('has the platform asked of each look-up, and of what costs none only after a failure', async () => {
    const asked: string[] = []
    const { ask, check, fail } = counting(async (key) => {
      asked.push(key)
    })
    expect([await check('a'), await ask('a'), await ask('2001:db8::1')]).toEqual(['allowed', 'allowed', 'allowed'])
    expect(asked.splice(0)).toEqual(['a', '2001:db8:0:0::/64'])
    await fail('a')
    expect([await check('a'), await check('b')]).toEqual(['allowed', 'allowed'])
    expect(asked.splice(0)).toEqual(['a'])
    // what the isolate refuses by itself asks nobody
    for (let i = 0; i < 3; i++) await fail('a')
    expect([await check('a'), await ask('a')]).toEqual(['rate_limited 1', 'rate_limited 1'])
    expect(asked).toEqual([])
  })
})
