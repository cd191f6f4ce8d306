import type { Limits } from '../../core/limits.ts'
import type { SparseAnswer, TextVectorsAnswer, VectorKind } from '../../protocols/text-vectors.ts'
import { type EncodedVector, encodeVector, type VectorEncoding } from '../../protocols/vector-encoding.ts'
import type { SparseVector, TokenVectors, Vectors } from './vectors.ts'

/** The limits of an answer that has each vector in several encodings: its numbers count once for each. */
export function limitsFor(encodings: number, limits: Limits): Limits {
  return { ...limits, jsonOutputElements: Math.floor(limits.jsonOutputElements / encodings) }
}

/** What each text became, of the kinds that were made. */
export function answersOf(
  { dense, sparse, tokenCounts, tokens }: Vectors,
  encoding: VectorEncoding,
): TextVectorsAnswer[] {
  return tokenCounts.map((_, i) => {
    const [one, weights, many] = [dense?.[i], sparse?.[i], tokens?.[i]]
    return {
      ...(one && { dense: encodeVector(one, encoding) }),
      ...(weights && { sparse: sparseAnswer(weights) }),
      ...(many && { tokens: { ids: many.ids, vectors: rowsOf(many, encoding) } }),
    }
  })
}

/** What each text became of one kind, without its name. */
export function plainAnswers(vectors: Vectors, kind: VectorKind, encoding: VectorEncoding): unknown[] {
  const { dense = [], sparse = [], tokens = [] } = vectors
  switch (kind) {
    case 'dense':
      return dense.map((vector) => encodeVector(vector, encoding))
    case 'sparse':
      return sparse.map(sparseAnswer)
    case 'tokens':
      return tokens.map((vector) => rowsOf(vector, encoding))
  }
}

function sparseAnswer({ indices, values }: SparseVector): SparseAnswer {
  return { indices: Array.from(indices), values: Array.from(values) }
}

function rowsOf({ ids, values, width }: TokenVectors, encoding: VectorEncoding): EncodedVector[] {
  return ids.map((_, i) => encodeVector(values.subarray(i * width, (i + 1) * width), encoding))
}
