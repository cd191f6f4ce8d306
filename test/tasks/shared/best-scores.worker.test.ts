import { describe, expect, it } from 'vitest'
import { finish } from '../../../src/core/work.ts'
import { likeliest } from '../../../src/tasks/shared/best-scores.ts'
import { activate } from '../../../src/tasks/shared/scores.ts'
import { seededFloats } from '../../../synthetic/onnx.ts'

/** By the definition: softmax of all, then all in order. */
function sorted(logits: Float32Array, most: number, among = Array.from(logits, (_, i) => i)) {
  const scores = activate(Float64Array.from(logits), 'softmax')
  return among
    .map((index) => ({ index, score: scores[index] ?? 0 }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, most)
}

describe('likeliest', () => {
  it.each([1, 2, 5, 100, 999, 1000, 2000])('finds the best %i as sorting all of them does', (most) => {
    for (const seed of [1, 2, 3]) {
      // Few different values, so that many are equal.
      const logits = seededFloats(1000, seed).map((value) => Math.round(value * 100) / 10)
      const expected = sorted(logits, most)
      const found = finish(likeliest(logits, most))
      expect(found.map(({ index }) => index)).toEqual(expected.map(({ index }) => index))
      for (const [i, { score }] of expected.entries()) expect(found[i]?.score).toBeCloseTo(score, 12)
    }
  })

  it.each(['ascending', 'descending'])('takes scores that are %s', (order) => {
    const logits = Float32Array.from({ length: 500 }, (_, i) => (order === 'ascending' ? i : 500 - i) / 50)
    expect(finish(likeliest(logits, 7))).toEqual(
      sorted(logits, 7).map((each) => expect.objectContaining({ index: each.index })),
    )
  })

  it('chooses among some, whose scores are shares of all', () => {
    const logits = seededFloats(300, 7)
    const among = [250, 3, 77, 12]
    const found = finish(likeliest(logits, 3, among))
    expect(found.map(({ index }) => index)).toEqual(sorted(logits, 3, among).map(({ index }) => index))
    expect(found.reduce((sum, { score }) => sum + score, 0)).toBeLessThan(0.1)
  })

  it('does not overflow, and gives no number where there is none', () => {
    expect(finish(likeliest(Float32Array.of(1e30, -1e30, 0), 1))).toEqual([{ index: 0, score: 1 }])
    expect(finish(likeliest(Float32Array.of(Number.NaN, 1), 2)).some(({ score }) => Number.isNaN(score))).toBe(true)
  })
})
