import { describe, expect, it } from 'vitest'
import { Agreement, argmax, cosine, sqnrDb } from '../../../src/quantize/shared/metrics.ts'

describe('agreement of results', () => {
  it('is measured as the definitions say', () => {
    const right = [3, 0, 4]
    const given = [3, 1, 4]
    expect(sqnrDb(right, given)).toBeCloseTo(10 * Math.log10(25), 10)
    expect(cosine(right, given)).toBeCloseTo(25 / (5 * Math.sqrt(26)), 10)
    expect(new Agreement().add(right, given).maxAbs).toBe(1)
    expect(cosine([1, 2], [-2, -4])).toBeCloseTo(-1, 10)
    expect(cosine([1, 0], [0, 1])).toBe(0)
  })

  it('comes to the same in pieces', () => {
    const right = Float32Array.from({ length: 1000 }, (_, index) => Math.sin(index))
    const given = right.map((value, index) => value + 0.01 * Math.cos(7 * index))
    const pieces = new Agreement()
    for (let start = 0; start < 1000; start += 130) {
      pieces.add(right.subarray(start, start + 130), given.subarray(start, start + 130))
    }
    expect(pieces.count).toBe(1000)
    expect(pieces.sqnrDb).toBeCloseTo(sqnrDb(right, given), 9)
    expect(pieces.cosine).toBeCloseTo(cosine(right, given), 12)
    expect(pieces.maxAbs).toBe(new Agreement().add(right, given).maxAbs)
  })

  it('is whole where nothing differs', () => {
    for (const same of [[1, -2], [0, 0], [], [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 1]]) {
      const agreement = new Agreement().add(same, same)
      expect([agreement.sqnrDb, agreement.cosine, agreement.maxAbs]).toEqual([Number.POSITIVE_INFINITY, 1, 0])
    }
  })

  it('is none where a number is lost, and where all is noise', () => {
    for (const given of [
      [1, Number.NaN],
      [1, Number.POSITIVE_INFINITY],
    ]) {
      const agreement = new Agreement().add([1, 2], given).add([1], [1])
      expect([agreement.sqnrDb, agreement.cosine, agreement.maxAbs]).toEqual([
        Number.NEGATIVE_INFINITY,
        0,
        Number.POSITIVE_INFINITY,
      ])
    }
    expect(sqnrDb([0, 0], [0, 1])).toBe(Number.NEGATIVE_INFINITY)
    expect(cosine([0, 0], [0, 1])).toBe(0)
  })

  it('of classes is by the largest, the first of equals', () => {
    expect(argmax([Number.NaN, 1, 3, 3])).toBe(2)
    expect(argmax([])).toBe(-1)
    expect(argmax([9, 1, 2, 0], 1, 4)).toBe(1)
  })

  it('needs results of one length', () => {
    expect(() => sqnrDb([1], [1, 2])).toThrow(RangeError)
  })
})
