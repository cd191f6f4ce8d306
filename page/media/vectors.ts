/** What is said of a vector, and its shape. Pure. */

export interface VectorFacts {
  readonly size: number
  readonly length: number
  readonly least: number
  readonly most: number
}

export function factsOf(vector: readonly number[]): VectorFacts {
  return {
    size: vector.length,
    length: lengthOf(vector),
    least: vector.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY),
    most: vector.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY),
  }
}

function lengthOf(vector: readonly number[]): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
}

/** Bars from -1 to 1 for at most so many parts of a vector: each is the value that lies furthest from zero in its part. */
export function barsOf(vector: readonly number[], most: number): readonly number[] {
  const count = Math.min(most, vector.length)
  const scale = vector.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) || 1
  return Array.from({ length: count }, (_, i) => {
    const part = vector.slice(Math.floor((i * vector.length) / count), Math.floor(((i + 1) * vector.length) / count))
    return part.reduce((kept, value) => (Math.abs(value) > Math.abs(kept) ? value : kept), 0) / scale
  })
}

/** The mean of several vectors of one size. */
export function meanOf(vectors: readonly (readonly number[])[]): readonly number[] {
  const [first = []] = vectors
  return first.map((_, i) => vectors.reduce((sum, vector) => sum + (vector[i] ?? 0), 0) / vectors.length)
}
