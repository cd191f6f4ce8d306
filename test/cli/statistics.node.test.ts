import { describe, expect, it } from 'vitest'
import { percentile, wilsonInterval } from '../../src/cli/statistics.ts'

describe('statistics', () => {
  it("gives Wilson's interval", () => {
    // Reference values: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3; the third by symmetry.
    const rounded = (right: number, count: number) => wilsonInterval(right, count).map((end) => end.toFixed(4))
    expect(rounded(15, 148)).toEqual(['0.0624', '0.1605'])
    expect(rounded(0, 20)).toEqual(['0.0000', '0.1611'])
    expect(rounded(20, 20)).toEqual(['0.8389', '1.0000'])
  })

  it('reaches the end where all are right or none', () => {
    for (let count = 1; count <= 200; count++) {
      expect(wilsonInterval(count, count)[1]).toBe(1)
      expect(wilsonInterval(0, count)[0]).toBe(0)
    }
  })

  it('gives percentiles that are values', () => {
    const values = [5, 1, 4, 2, 3]
    expect([percentile(values, 0.5), percentile(values, 0.95), percentile([7], 0.5)]).toEqual([3, 5, 7])
  })
})
