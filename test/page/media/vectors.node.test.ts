import { describe, expect, it } from 'vitest'
import { barsOf, factsOf, meanOf } from '../../../page/media/vectors.ts'

describe('vectors', () => {
  it('have facts', () => {
    expect(factsOf([3, -4])).toEqual({ size: 2, length: 5, least: -4, most: 3 })
    expect(factsOf(new Array<number>(300_000).fill(1)).length).toBeCloseTo(Math.sqrt(300_000))
  })

  it('become bars, of which each keeps the furthest value of its part', () => {
    expect(barsOf([1, -2, 0.5, 0.25], 2)).toEqual([-1, 0.25])
    expect(barsOf([0, 0], 8)).toEqual([0, 0])
  })

  it('have a mean', () => {
    expect(
      meanOf([
        [1, 2],
        [3, 4],
      ]),
    ).toEqual([2, 3])
    expect(meanOf([])).toEqual([])
  })
})
