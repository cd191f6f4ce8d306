import { describe, expect, it } from 'vitest'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import type { ModelProto } from '../../../src/onnx/schema/onnx_pb.js'
import { type CalibrateOptions, calibrate } from '../../../src/quantize/static/calibrate.ts'
import { ChannelMeans } from '../../../src/quantize/static/channel-means.ts'
import { edgesOf, Histogram } from '../../../src/quantize/static/histogram.ts'
import { activationScale } from '../../../src/quantize/static/ranges.ts'
import { entropyRange, percentileRange } from '../../../src/quantize/static/thresholds.ts'
import { onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { nativeEngine } from '../../fixtures/node/native.ts'

function histogramOf(...batches: Float32Array[]): Histogram {
  const histogram = new Histogram()
  for (const values of batches) {
    const sorted = values.toSorted()
    histogram.add(values, { min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 })
  }
  return histogram
}

/** Sums of four uniform numbers: a bell from -4 to 4, the same for the same seed. */
function bell(count: number, seed: number): Float32Array {
  const uniform = seededFloats(4 * count, seed)
  return Float32Array.from({ length: count }, (_, index) =>
    [0, 1, 2, 3].reduce((sum, part) => sum + (uniform[4 * index + part] ?? 0), 0),
  )
}

describe('histogram', () => {
  it('counts each number in the bin that holds it', () => {
    const values = bell(5000, 3)
    const histogram = histogramOf(values)
    const { counts } = histogram
    expect(counts.reduce((sum, count) => sum + count)).toBe(values.length)
    for (const bin of [0, 100, 4095, 4096, 5000, 8191]) {
      const [low, high] = edgesOf(histogram, bin)
      const inside = values.filter((value) => value >= low && (value < high || (bin === 8191 && value === high)))
      expect(counts[bin]).toBe(inside.length)
    }
  })

  it('is the same whatever the order and size of the batches', () => {
    const [small, large] = [bell(1000, 1).map((value) => value / 100), bell(1000, 2)]
    const [one, other] = [histogramOf(small, large), histogramOf(large, small)]
    expect(one.counts).toEqual(other.counts)
    expect([one.range, one.reach]).toEqual([other.range, other.reach])
    // The reach is the power of two above the largest magnitude, so that at least half of the bins are of use.
    const largest = Math.max(...large.map(Math.abs))
    expect(one.reach / 2).toBeLessThan(largest)
    expect(one.reach).toBeGreaterThanOrEqual(largest)
  })

  it('takes nothing but zeros', () => {
    const histogram = histogramOf(new Float32Array(7))
    expect(histogram.reach).toBe(0)
    expect(percentileRange(histogram, 99)).toEqual({ min: 0, max: 0 })
    expect(entropyRange(histogram)).toEqual({ min: 0, max: 0 })
  })
})

describe('thresholds', () => {
  it.each([50, 90, 99, 99.9, 100])('percentile %d is that of the sorted numbers to a bin', (percentile) => {
    const values = bell(20_000, 5)
    const histogram = histogramOf(values)
    const { min, max } = percentileRange(histogram, percentile)
    const sorted = values.toSorted()
    const cut = Math.floor((values.length * (100 - percentile)) / 200)
    const width = histogram.reach / 4096
    expect(Math.abs(min - (sorted[cut] ?? 0))).toBeLessThanOrEqual(width)
    expect(Math.abs(max - (sorted.at(-1 - cut) ?? 0))).toBeLessThanOrEqual(width)
    const held = values.filter((value) => value >= min && value <= max).length
    expect(held / values.length).toBeGreaterThanOrEqual(percentile / 100)
  })

  it('entropy keeps a distribution without outliers almost whole, and cuts outliers off', () => {
    const plain = bell(50_000, 9)
    const { max } = entropyRange(histogramOf(plain))
    expect(max).toBeGreaterThan(2.5)
    const outliers = Float32Array.from([...plain, 100, -100])
    const cut = entropyRange(histogramOf(outliers))
    expect(cut.max).toBeLessThan(20)
    expect(cut.max).toBeGreaterThan(2.5)
    expect(cut.min).toBe(-cut.max)
  })

  it('entropy keeps to what was seen where nothing is below zero', () => {
    const values = bell(50_000, 4).map((value) => Math.max(0, value))
    const { min, max } = entropyRange(histogramOf(values))
    expect(min).toBe(0)
    expect(max).toBeGreaterThan(2)
    expect(max).toBeLessThanOrEqual(4)
  })
})

describe('scales of activations', () => {
  it('have zero at a level, and reach both ends to half a step', () => {
    for (const type of ['uint8', 'int8'] as const) {
      for (const symmetric of [false, true]) {
        for (const [min, max] of [
          [-1, 3],
          [0.5, 6],
          [-7, -2],
          [0, 1e-3],
          [-1e20, 1e20],
        ] as const) {
          const { scale, zeroPoint } = activationScale({ min, max }, type, symmetric)
          const [least, most] = type === 'uint8' ? [0, 255] : [-128, 127]
          expect(Number.isInteger(zeroPoint)).toBe(true)
          expect((least - zeroPoint) * scale).toBeLessThanOrEqual(Math.min(0, min) + 0.51 * scale)
          expect((most - zeroPoint) * scale).toBeGreaterThanOrEqual(Math.max(0, max) - 0.51 * scale)
        }
      }
    }
  })

  it('never go beyond the bound of a Clip', () => {
    for (const max of [6, 1, 0.1, 5.7, 1e-20, 3.3333333]) {
      const bound = Math.fround(max)
      const { scale, zeroPoint } = activationScale({ min: 0, max: bound }, 'uint8', false)
      expect(zeroPoint).toBe(0)
      expect(Math.fround(255 * scale)).toBeLessThanOrEqual(bound)
    }
  })

  it('are 1 where there is nothing but zeros', () => {
    expect(activationScale({ min: 0, max: 0 }, 'uint8', false)).toEqual({ scale: 1, zeroPoint: 0 })
  })
})

describe('means of channels', () => {
  it('are those of the dimension asked for, over all samples', () => {
    const [second, last] = [new ChannelMeans(1), new ChannelMeans(-1)]
    for (const means of [second, last]) {
      means.add(Float32Array.of(1, 2, 3, 4, 5, 6), [1, 2, 3])
      means.add(
        Float32Array.of(1, 2, 3, 4, 5, 6).map((value) => 3 * value),
        [1, 2, 3],
      )
    }
    expect([...(second.means() ?? [])]).toEqual([4, 10])
    expect([...(last.means() ?? [])]).toEqual([5, 7, 9])
    second.add(new Float32Array(3), [1, 3, 1])
    expect(second.means()).toBeUndefined()
  })
})

/** x [n, 3] -> Log -> `log` -> Relu -> `y`; `ids` goes along. */
function small(): ModelProto {
  return decodeModel(
    onnxModel({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: ['n', 3] },
        { name: 'ids', datatype: 'INT64', shape: [1] },
      ],
      outputs: [
        { name: 'y', datatype: 'FP32', shape: ['n', 3] },
        { name: 'same', datatype: 'INT64', shape: [1] },
      ],
      nodes: [
        { op: 'Log', inputs: ['x'], outputs: ['log'] },
        { op: 'Relu', inputs: ['log'], outputs: ['y'] },
        { op: 'Identity', inputs: ['ids'], outputs: ['same'] },
      ],
    }),
  )
}

function sample(...values: number[]): Map<string, Tensor> {
  return new Map<string, Tensor>([
    ['x', tensor('FP32', [values.length / 3, 3], Float32Array.from(values))],
    ['ids', tensor('INT64', [1], BigInt64Array.of(1n))],
  ])
}

function run(samples: Iterable<Tensors> | AsyncIterable<Tensors>, options: Partial<CalibrateOptions> = {}) {
  return calibrate(small(), samples, {
    engine: nativeEngine(),
    values: ['x', 'log', 'y'],
    method: 'minmax',
    signal: never(),
    ...options,
  })
}

describe('calibration', () => {
  it('finds what values of inputs, nodes and outputs lie between, over all samples', async () => {
    const done: number[] = []
    const ranges = await run([sample(1, 2, Math.E), sample(0.5, 1, 1, 4, 1, 1)], {
      progress: (count) => done.push(count),
    })
    expect(ranges.get('x')).toEqual({ min: 0.5, max: 4 })
    expect(ranges.get('log')?.min).toBeCloseTo(Math.log(0.5), 6)
    expect(ranges.get('log')?.max).toBeCloseTo(Math.log(4), 6)
    expect(ranges.get('y')?.min).toBe(0)
    expect(done).toEqual([1, 2])
  })

  it('takes samples as they come, each once', async () => {
    async function* samples(): AsyncIterable<Tensors> {
      yield sample(1, 2, 3)
      yield sample(4, 5, 6)
    }
    expect((await run(samples(), { method: 'percentile' })).get('x')).toEqual({ min: 1, max: 6 })
  })

  it.each([
    [
      'an input that is missing',
      new Map([...sample(1, 2, 3)].slice(0, 1)),
      /Sample 1: input "ids" is missing.*"x" FP32 \[n, 3\]/,
    ],
    [
      'an input of another type',
      new Map([...sample(1, 2, 3), ['ids', tensor('INT32', [1], Int32Array.of(1))] as const]),
      /"ids" is of INT32/,
    ],
    [
      'an input of another rank',
      new Map([...sample(1, 2, 3), ['x', tensor('FP32', [3], Float32Array.of(1, 2, 3))] as const]),
      /"x" has shape \[3\]/,
    ],
    [
      'an input of another size',
      new Map([...sample(1, 2, 3), ['x', tensor('FP32', [1, 2], Float32Array.of(1, 2))] as const]),
      /"x" has shape \[1, 2\]/,
    ],
    [
      'an input that the model lacks',
      new Map([...sample(1, 2, 3), ['z', tensor('FP32', [], Float32Array.of(1))] as const]),
      /"z" is not known/,
    ],
    ['numbers that lead to NaN', sample(1, -1, 1), /NaN or infinity in value "log"/],
    ['numbers that lead to infinity', sample(1, 0, 1), /NaN or infinity in value "log"/],
  ])('refuses %s', async (_, bad, message) => {
    const failure = run([bad])
    await expect(failure).rejects.toThrow(message)
    await expect(failure).rejects.toMatchObject({ code: 'bad_samples' })
  })

  it('refuses no samples, values that do not exist or are no floats, and percentiles that are none', async () => {
    await expect(run([])).rejects.toMatchObject({ code: 'bad_samples' })
    await expect(run([sample(1, 2, 3)], { values: ['nope'] })).rejects.toMatchObject({
      code: 'missing_value',
      node: 'nope',
    })
    await expect(run([sample(1, 2, 3)], { values: ['same'] })).rejects.toMatchObject({ code: 'bad_options' })
    await expect(run([sample(1, 2, 3)], { percentile: 0 })).rejects.toMatchObject({ code: 'bad_options' })
  })

  it('stops when it is told to', async () => {
    const controller = new AbortController()
    function* samples(): Iterable<Tensors> {
      yield sample(1, 2, 3)
      controller.abort(new Error('enough'))
      yield sample(1, 2, 3)
    }
    await expect(run(samples(), { signal: controller.signal })).rejects.toThrow('enough')
  })
})
