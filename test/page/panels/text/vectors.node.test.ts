import { describe, expect, it } from 'vitest'
import { cosine, linesOf, similarities } from '../../../../page/panels/text/vectors.ts'

describe('similarities', () => {
  it('are cosines of each pair, whatever the lengths of the vectors', () => {
    const values = similarities([
      Float32Array.of(3, 0),
      Float32Array.of(0, 2),
      Float32Array.of(1, 1),
      Float32Array.of(-1, 0),
    ])
    const half = Math.SQRT1_2
    const expected = [
      [1, 0, half, -1],
      [0, 1, half, 0],
      [half, half, 1, -half],
      [-1, 0, -half, 1],
    ]
    for (const [i, row] of expected.entries())
      for (const [j, value] of row.entries()) expect(values[i]?.[j]).toBeCloseTo(value, 6)
  })

  it('of a vector of zeros are 0', () => {
    expect(cosine(Float32Array.of(0, 0), Float32Array.of(1, 2))).toBe(0)
  })
})

describe('linesOf', () => {
  it('are the lines that hold something', () => {
    expect(linesOf(' one \r\n\n two\rthree\n ')).toEqual(['one', 'two', 'three'])
    expect(linesOf(' \n ')).toEqual([])
  })
})
