import { describe, expect, it } from 'vitest'
import type { Caller, GrantedCaller } from '../../src/access/authorize.ts'
import { stickyOf } from '../../src/access/sticky.ts'

const granted = (by: GrantedCaller['by'], principal: string): Caller => ({
  kind: 'granted',
  by,
  principal,
  name: 'someone',
  grant: { models: ['*'], actions: ['infer'], places: ['edge'] },
})
const anonymous: Caller = { kind: 'anonymous' }
const browser = { address: '203.0.113.9', userAgent: 'Mozilla/5.0' }

describe('stickyOf', () => {
  it('tells keys and people by their principal, wherever they are', () => {
    for (const by of ['key', 'sign-in'] as const) {
      expect(stickyOf(granted(by, 'key:a'), browser)).toBe('key:a')
      expect(stickyOf(granted(by, 'key:a'), {})).toBe('key:a')
    }
  })

  it('tells anonymous callers by address and browser, and keeps neither', () => {
    const one = stickyOf(anonymous, browser)
    expect(one).toMatch(/^0\.[0-9a-z]+$/)
    expect(stickyOf(anonymous, { ...browser })).toBe(one)
    expect(stickyOf(anonymous, { ...browser, address: '203.0.113.10' })).not.toBe(one)
    expect(stickyOf(anonymous, { ...browser, userAgent: 'curl/8' })).not.toBe(one)
    const within = (address: string): string | undefined => stickyOf(anonymous, { ...browser, address })
    expect(within('2001:db8:1:2::5')).toBe(within('2001:db8:1:2:ffff::9'))
    expect(within('2001:db8:1:3::5')).not.toBe(within('2001:db8:1:2::5'))
    expect(stickyOf(anonymous, { userAgent: 'curl/8' })).toBeUndefined()
  })

  it('tells who has a browser token as a visitor, because the page renews the token', () => {
    expect(stickyOf(granted('token', 'token:a:1'), browser)).toBe(stickyOf(granted('token', 'token:a:2'), browser))
    expect(stickyOf(granted('token', 'token:a:1'), {})).toBe('token:a:1')
  })

  it('leaves it to each request where a caller stands for many, unless the request says for whom', () => {
    for (const caller of [{ kind: 'operator' }, { kind: 'service', name: 'shop' }] as const) {
      expect(stickyOf(caller, browser)).toBeUndefined()
      expect(stickyOf(caller, { asked: '' })).toBeUndefined()
      expect(stickyOf(caller, { asked: 'user-7' })).toBe(stickyOf(caller, { ...browser, asked: 'user-7' }))
      expect(stickyOf(caller, { asked: 'user-7' })).not.toBe(stickyOf(caller, { asked: 'user-8' }))
    }
    expect(stickyOf(granted('key', 'key:a'), { asked: 'u' })).not.toBe(
      stickyOf(granted('key', 'key:b'), { asked: 'u' }),
    )
  })

  it('looks at a bounded part of what callers wrote', () => {
    const long = 'x'.repeat(100_000)
    expect(stickyOf(anonymous, { asked: long })).toBe(stickyOf(anonymous, { asked: `${long}y` }))
  })
})
