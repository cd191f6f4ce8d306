import { expect, it } from 'vitest'
import { encodeVector, type VectorEncoding } from '../../src/protocols/vector-encoding.ts'
import { normals } from '../../synthetic/random.ts'

const WIDTH = 384
const TOPICS = 50
const DOCUMENTS = 1_000
const QUERIES = 100

/**
 * Vectors as encoders make them: a topic and noise of the same size, and a part that all have in common, with a few channels far
 * larger than the others.
 */
const common = normals('common', WIDTH, 0.3)
for (const [i, channel] of [0, 71, 142, 213, 284].entries()) common[channel] = i % 2 === 0 ? 8 : -8
const topics = Array.from({ length: TOPICS }, (_, i) => normals(`topic.${i}`, WIDTH, 1))
const vectors = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const noise = normals(`${name}.${i}`, WIDTH, 1)
    const vector = noise.map((value, channel) => value + (topics[i % TOPICS]?.[channel] ?? 0) + (common[channel] ?? 0))
    const length = Math.hypot(...vector)
    return vector.map((value) => value / length)
  })
const documents = vectors('document', DOCUMENTS)
const queries = vectors('query', QUERIES)

const encoded = (vector: Float32Array, encoding: VectorEncoding): readonly number[] => {
  const numbers = encodeVector(vector, encoding)
  if (typeof numbers === 'string') throw new Error('numbers were expected')
  return numbers
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    const [x = 0, y = 0] = [a[i], b[i]]
    ab += x * y
    aa += x * x
    bb += y * y
  }
  return ab / Math.sqrt(aa * bb)
}

/** Bits that are the same. */
function sameBits(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, byte, i) => {
    let [different, count] = [byte ^ (b[i] ?? 0), 8]
    for (; different > 0; different &= different - 1) count--
    return sum + count
  }, 0)
}

function ranked(score: (place: number) => number): number[] {
  const scored = documents.map((_, place) => ({ place, score: score(place) }))
  return scored.sort((a, b) => b.score - a.score || a.place - b.place).map(({ place }) => place)
}

const byFloats = queries.map((query) => ranked((place) => cosine(query, documents[place] ?? [])))
/** Share of the first `own` results by floats that are among the first `others` of another ranking. */
const found = (rankings: readonly number[][], own: number, others: number): number =>
  byFloats.reduce((sum, best, i) => {
    const kept = new Set(rankings[i]?.slice(0, others))
    return sum + best.slice(0, own).filter((place) => kept.has(place)).length / own / QUERIES
  }, 0)

it('int8 ranks as floats do, and moves a cosine by 0.0013', () => {
  const codes = documents.map((vector) => encoded(vector, 'int8'))
  let squares = 0
  const rankings = queries.map((query, i) => {
    const own = encoded(query, 'int8')
    squares += (cosine(own, codes[i] ?? []) - cosine(query, documents[i] ?? [])) ** 2
    return ranked((place) => cosine(own, codes[place] ?? []))
  })
  expect(Math.sqrt(squares / QUERIES)).toBeCloseTo(0.0013, 3)
  expect(found(rankings, 1, 1)).toBeGreaterThan(0.93)
  expect(found(rankings, 1, 3)).toBeCloseTo(1, 9)
  expect(found(rankings, 10, 10)).toBeGreaterThan(0.97)
})

it('bits have the first result by floats among their first forty', () => {
  const codes = documents.map((vector) => encoded(vector, 'ubinary'))
  const rankings = queries.map((query) => {
    const own = encoded(query, 'ubinary')
    return ranked((place) => sameBits(own, codes[place] ?? []))
  })
  expect(found(rankings, 1, 40)).toBeCloseTo(1, 9)
  expect(found(rankings, 10, 10)).toBeGreaterThan(0.55)
})
