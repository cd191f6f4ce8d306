import { transposed } from '../../shared/scales.ts'
import { bytesInEight } from '../embedding-int8.ts'
import { symmetricEigen } from './eigen.ts'
import { columnProducts, rowsAlong, type TableProducts } from './table-products.ts'

/** A table as the product of two smaller ones, the best of their rank (C. Eckart and G. Young, 1936). */
export interface Factors {
  readonly rank: number
  /** [rows, rank] */
  readonly left: Float32Array
  /** [rank, columns], rows of length 1 at right angles: what is lost of `left` is lost of the table, and no more. */
  readonly right: Float32Array
  /** Sum of the squares of the table's elements. */
  readonly signal: number
  /** Sum of the squares of what a product of this rank cannot have. */
  readonly beyond: number
}

/** The rank that keeps enough of a table, and the way to its factors. */
export interface Spectrum extends Pick<Factors, 'rank' | 'signal' | 'beyond'> {
  factors(): Promise<Factors>
}

/**
 * Finds what a table of a given rank can keep, by the eigenvalues of the products of its columns: they are the squares
 * of its singular values.
 * @param wanted the rank; or the share of the table's sum of squares that may be lost
 */
export async function spectrumOf(
  products: TableProducts,
  wanted: { readonly rank: number } | { readonly loss: number },
): Promise<Spectrum> {
  const { columns } = products
  const { values, vectors } = symmetricEigen(await columnProducts(products), columns)
  const energies = values.map((value) => Math.max(0, value))
  const signal = sumOf(energies)
  const rank =
    'rank' in wanted ? Math.min(columns, wanted.rank) : Math.max(1, rankKeeping(energies, signal * (1 - wanted.loss)))
  const kept = { rank, signal, beyond: sumOf(energies.subarray(rank)) }
  return {
    ...kept,
    async factors() {
      const right = Float32Array.from(vectors.subarray(0, rank * columns))
      const left = await rowsAlong(products, transposed(right, rank, columns), rank)
      return { ...kept, left, right }
    },
  }
}

function rankKeeping(energies: Float64Array, enough: number): number {
  let kept = 0
  const last = energies.findIndex((energy) => {
    kept += energy
    return kept >= enough
  })
  return last === -1 ? energies.length : last + 1
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0)
}

/** Bytes of the factors: the left one in eight bits, the right one in floats. */
export function bytesFactored(rows: number, columns: number, rank: number): number {
  return bytesInEight(rows, rank) + 4 * rank * columns
}
