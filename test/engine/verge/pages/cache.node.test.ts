import { describe, expect, it } from 'vitest'
import { PageCache } from '../../../../src/engine/verge/pages/cache.ts'

const page = (bytes: number, value: number) => new Uint8Array(bytes).fill(value)

describe('a cache of pages', () => {
  it('lets go what was used longest ago, and nothing that fits', () => {
    const cache = new PageCache(3 * (1000 + 256))
    for (const [at, name] of ['a', 'b', 'c'].entries()) cache.keep(name, page(1000, at))
    expect(cache.get('a', 1000)).toEqual(page(1000, 0))
    cache.keep('d', page(1000, 3))
    expect(['a', 'b', 'c', 'd'].filter((name) => cache.get(name, 1000) !== undefined)).toEqual(['a', 'c', 'd'])
    // A large one takes the place of several.
    cache.keep('e', page(2200, 4))
    expect(['a', 'c', 'd'].filter((name) => cache.get(name, 1000) !== undefined)).toEqual(['d'])
    expect(cache.get('e', 2200)).toEqual(page(2200, 4))
  })

  it('counts what an entry takes beside its bytes', () => {
    const cache = new PageCache(10 * 256)
    for (let at = 0; at < 100; at++) cache.keep(`${at}`, page(4, at))
    expect(Array.from({ length: 100 }, (_, at) => cache.get(`${at}`, 4)).filter(Boolean).length).toBe(9)
  })

  it('keeps copies, and has no page of another length, and none that is larger than itself', () => {
    const cache = new PageCache(2000)
    const given = page(100, 7)
    cache.keep('a', given)
    given.fill(0)
    expect(cache.get('a', 100)).toEqual(page(100, 7))
    expect(cache.get('a', 99)).toBeUndefined()
    cache.keep('b', page(1900, 1))
    expect(cache.get('b', 1900)).toBeUndefined()
    expect(cache.get('a', 100)).toEqual(page(100, 7))
  })
})
