import { describe, expect, it } from 'vitest'
import { LruMap } from '../../src/core/lru.ts'

const kept = <V>(map: LruMap<V>, keys: string): string => [...keys].filter((key) => map.get(key) !== undefined).join('')

describe('values within a budget', () => {
  it('are counted, and the one that was used longest ago goes first', () => {
    const map = new LruMap<number>(3)
    for (const key of 'abc') map.set(key, 1)
    map.get('a')
    map.set('d', 1)
    map.set('c', 2)
    map.set('e', 1)
    expect(kept(map, 'abcde')).toBe('cde')
    expect(map.get('c')).toBe(2)
  })

  it('are weighed where their sizes differ, also when a value is replaced or deleted', () => {
    const map = new LruMap<string>(10, (text) => text.length)
    map.set('a', 'xxxx')
    map.set('b', 'xxxx')
    map.set('a', 'x')
    map.set('c', 'xxxxx')
    expect(kept(map, 'abc')).toBe('abc')
    map.delete('c')
    map.delete('c')
    map.set('d', 'xxxxx')
    expect(kept(map, 'abd')).toBe('abd')
    map.set('e', 'xxxxx')
    expect(kept(map, 'abde')).toBe('de')
  })

  it('keep the newest even if it is larger than the budget', () => {
    const map = new LruMap<string>(3, (text) => text.length)
    map.set('a', 'x')
    map.set('b', 'xxxxxx')
    expect(kept(map, 'ab')).toBe('b')
    map.set('c', 'x')
    expect(kept(map, 'bc')).toBe('c')
  })
})
