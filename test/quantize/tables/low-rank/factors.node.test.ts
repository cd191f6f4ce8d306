import { describe, expect, it } from 'vitest'
import { FloatWeights } from '../../../../src/quantize/shared/floats.ts'
import { sqnrDb } from '../../../../src/quantize/shared/metrics.ts'
import { spectrumOf } from '../../../../src/quantize/tables/low-rank/factors.ts'
import { normals } from '../../../../synthetic/random.ts'
import { never } from '../../../../synthetic/source.ts'
import { lowRankTable } from '../../../fixtures/low-rank.ts'
import { plainEngine } from '../../../fixtures/node/run-onnx.ts'

const productsOf = (values: Float32Array, columns: number) => ({
  floats: new FloatWeights(values),
  columns,
  engine: plainEngine(),
  signal: never(),
})

function multiplied(left: Float32Array, right: Float32Array, rank: number): Float32Array {
  const columns = right.length / rank
  return Float32Array.from({ length: (left.length / rank) * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns]
    let sum = 0
    for (let k = 0; k < rank; k++) sum += (left[row * rank + k] as number) * (right[k * columns + column] as number)
    return sum
  })
}

describe('spectrumOf', () => {
  it('finds the rank of a table under noise, in several blocks of rows', async () => {
    const [rows, columns, rank] = [9000, 48, 7]
    const values = lowRankTable({ rows, columns, rank, noise: 0.01 })
    const seen: number[] = []
    const spectrum = await spectrumOf(
      { ...productsOf(values, columns), progress: (done) => seen.push(done) },
      { loss: 0.001 },
    )
    expect(seen).toEqual([4096, 8192, 9000])
    expect(spectrum.rank).toBe(rank)
    const { left, right, signal, beyond } = await spectrum.factors()
    const energy = values.reduce((sum, value) => sum + value * value, 0)
    expect(Math.abs(signal / energy - 1)).toBeLessThan(1e-5)
    const restored = multiplied(left, right, rank)
    const lost = restored.reduce((sum, value, at) => sum + (value - (values[at] as number)) ** 2, 0)
    expect(Math.abs(lost / beyond - 1)).toBeLessThan(1e-3)
    // 41 of 48 parts of the noise, of variance 0.0001, are lost of a table of variance 1.
    expect(sqnrDb(values, restored)).toBeGreaterThan(40)
  })

  it('keeps as much as is asked for, or the rank that is asked for', async () => {
    const values = normals('full', 400 * 32, 1)
    const products = productsOf(values, 32)
    const { rank, beyond, signal } = await spectrumOf(products, { loss: 0.1 })
    expect(beyond / signal).toBeLessThanOrEqual(0.1)
    const less = await spectrumOf(products, { rank: rank - 1 })
    expect(less.rank).toBe(rank - 1)
    expect(less.beyond / less.signal).toBeGreaterThan(0.1)
    expect((await spectrumOf(products, { rank: 99 })).rank).toBe(32)
    expect((await spectrumOf(productsOf(new Float32Array(64), 8), { loss: 0.1 })).rank).toBe(1)
  })

  it.each([1e20, 1e-24])('keeps as much of a table of numbers like %d', async (size) => {
    const values = normals('full', 400 * 32, 1)
    const [like, sized] = [
      productsOf(values, 32),
      productsOf(
        values.map((value) => value * size),
        32,
      ),
    ]
    const [expected, actual] = [await spectrumOf(like, { loss: 0.1 }), await spectrumOf(sized, { loss: 0.1 })]
    expect(actual.rank).toBe(expected.rank)
    expect(actual.beyond / actual.signal).toBeCloseTo(expected.beyond / expected.signal, 5)
    const { left } = await actual.factors()
    expect(left.every(Number.isFinite)).toBe(true)
  })

  it('stops when it is aborted', async () => {
    const controller = new AbortController()
    const products = productsOf(normals('t', 9000 * 8, 1), 8)
    const seen: number[] = []
    const progress = (done: number): void => {
      seen.push(done)
      controller.abort(new Error('stop'))
    }
    const { signal } = controller
    await expect(spectrumOf({ ...products, signal, progress }, { rank: 1 })).rejects.toThrow('stop')
    expect(seen).toEqual([4096])
  })
})
