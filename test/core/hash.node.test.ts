import { describe, expect, it } from 'vitest'
import { unitHash } from '../../src/core/hash.ts'

describe('unitHash', () => {
  it('is the same for the same texts, and keeps the texts apart', () => {
    expect(unitHash('m', '2', 'key:1')).toBe(unitHash('m', '2', 'key:1'))
    // a later Verge may not move every caller
    expect(unitHash('m', '2', 'key:1')).toBe(0.3884437535920344)
    const different = [['ab', 'c'], ['a', 'bc'], ['abc'], ['abc', ''], ['', 'abc'], ['a\u0100', 'bc'], [], ['']]
    expect(new Set(different.map((texts) => unitHash(...texts))).size).toBe(different.length)
  })

  it.each([
    ['numbered', (n: number) => `key:${n}`],
    [
      'alike but for the end of a long text',
      (n: number) => `${'Mozilla/5.0 (X11; Linux x86_64) '.repeat(5)}${n % 10}${n}`,
    ],
    ['alike but for the beginning', (n: number) => `${n}${' of many'.repeat(9)}`],
  ])('spreads evenly what is %s', (_, textOf) => {
    const [buckets, texts] = [100, 20_000]
    const counts = new Array<number>(buckets).fill(0)
    for (let n = 0; n < texts; n++) {
      const at = unitHash('m', '2', textOf(n))
      expect(at >= 0 && at < 1).toBe(true)
      counts[Math.floor(at * buckets)] = (counts[Math.floor(at * buckets)] ?? 0) + 1
    }
    const mean = texts / buckets
    const chiSquare = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0)
    // 99 degrees of freedom: above 149 in one of a thousand
    expect(chiSquare).toBeLessThan(149)
  })
})
