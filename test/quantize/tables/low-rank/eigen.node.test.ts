import { describe, expect, it } from 'vitest'
import { symmetricEigen } from '../../../../src/quantize/tables/low-rank/eigen.ts'
import { normals } from '../../../../synthetic/random.ts'

/** Products of the columns of a random matrix [rank, size]. */
function products(size: number, rank: number): Float64Array {
  const x = normals(`x ${size} ${rank}`, rank * size, 1)
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size]
    let sum = 0
    for (let row = 0; row < rank; row++) sum += (x[row * size + i] as number) * (x[row * size + j] as number)
    return sum
  })
}

const dot = (left: Float64Array, right: Float64Array): number =>
  left.reduce((sum, value, at) => sum + value * (right[at] as number), 0)

function largest(values: Iterable<number>): number {
  return Math.max(...Array.from(values, Math.abs))
}

describe('symmetricEigen', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [40, 60],
    [64, 9],
    [96, 96],
  ])('finds the values and vectors of a matrix of %d columns and rank %d', (size, rank) => {
    const matrix = products(size, rank)
    const { values, vectors } = symmetricEigen(matrix, size)
    const rows = Array.from({ length: size }, (_, at) => vectors.subarray(at * size, (at + 1) * size))
    const norm = largest(values)
    for (const [at, vector] of rows.entries()) {
      const image = Float64Array.from(vector, (_, row) => dot(matrix.subarray(row * size, (row + 1) * size), vector))
      const off = largest(image.map((value, place) => value - (values[at] as number) * (vector[place] as number)))
      expect(off).toBeLessThan(1e-12 * norm)
      for (const [other, second] of rows.entries())
        expect(Math.abs(dot(vector, second) - Number(at === other))).toBeLessThan(1e-12)
    }
    expect([...values]).toEqual([...values].sort((left, right) => right - left))
    expect(values.filter((value) => value > 1e-10 * norm)).toHaveLength(Math.min(size, rank))
  })

  it('takes matrices that are diagonal, zero, or known by hand', () => {
    const diagonal = symmetricEigen(Float64Array.of(2, 0, 0, 0, 5, 0, 0, 0, 3), 3)
    expect([...diagonal.values]).toEqual([5, 3, 2])
    expect([...symmetricEigen(new Float64Array(16), 4).values]).toEqual([0, 0, 0, 0])
    // 2 on the diagonal and -1 beside it: 2 - 2 cos(k pi / 5).
    const chain = Float64Array.from({ length: 16 }, (_, at) => {
      const apart = Math.abs(Math.floor(at / 4) - (at % 4))
      return apart === 0 ? 2 : apart === 1 ? -1 : 0
    })
    const expected = [4, 3, 2, 1].map((k) => 2 - 2 * Math.cos((k * Math.PI) / 5))
    for (const [at, value] of symmetricEigen(chain, 4).values.entries())
      expect(value).toBeCloseTo(expected[at] ?? Number.NaN, 12)
  })

  it('leaves the matrix as it is', () => {
    const matrix = products(8, 8)
    const before = matrix.slice()
    symmetricEigen(matrix, 8)
    expect(matrix).toEqual(before)
  })
})
