import { describe, expect, it } from 'vitest'
import { barsOf, cosine, factsOf, meanOf } from '../../../page/media/vectors.ts'

describe('vectors', () => {
  it('have facts', () => {
    expect(factsOf([3, -4])).toEqual({ size: 2, length: 5, least: -4, most: 3 })
    expect(factsOf(new Array<number>(300_000).fill(1)).length).toBeCloseTo(Math.sqrt(300_000))
  })

  it('are compared by their angle', () => {
    expect(cosine([1, 0], [0, 2])).toBe(0)
    expect(cosine([1, 2], [2, 4])).toBeCloseTo(1)
    expect(cosine([1, 2], [1, 2, 3])).toBeUndefined()
    expect(cosine([0, 0], [1, 2])).toBeUndefined()
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
