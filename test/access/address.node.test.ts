import { describe, expect, it } from 'vitest'
import { addressKey } from '../../src/access/address.ts'

describe('addressKey', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::5:6:7:8', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    ['64:ff9b::192.0.2.33', '64:ff9b:0:0::/64'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['0:0:0:0:0:FFFF:203.0.113.7', '203.0.113.7'],
    ['', ''],
  ])('counts %s as %s', (address, expected) => {
    expect(addressKey(address)).toBe(expected)
  })

  it('counts callers without an address together, and keeps no long text', () => {
    expect(addressKey(undefined)).toBe('')
    expect(addressKey('x'.repeat(1_000_000)).length).toBeLessThan(64)
    expect(addressKey(':'.repeat(1_000_000)).length).toBeLessThan(64)
    expect(addressKey('0:'.repeat(1_000_000)).length).toBeLessThan(64)
  })

  it('tells networks apart, and no addresses within one', () => {
    const inside = Array.from({ length: 50 }, (_, i) => addressKey(`2001:db8:0:1::${i.toString(16)}`))
    expect(new Set(inside).size).toBe(1)
    const networks = Array.from({ length: 50 }, (_, i) => addressKey(`2001:db8:0:${i.toString(16)}::1`))
    expect(new Set(networks).size).toBe(50)
  })
})
