import { describe, expect, it } from 'vitest'
import { halves, type Tensor, tensor } from '../../../src/core/tensors.ts'
import { DataType, rawBytesOf } from '../../../src/onnx/data.ts'
import { intOf } from '../../../src/onnx/make.ts'
import type { ModelProto, TensorProto } from '../../../src/onnx/schema/onnx_pb.js'
import { weightOnly4 } from '../../../src/quantize/products/weight-only.ts'
import { BLOCK_SIZES, type BlockSize, quantizeBlocks } from '../../../src/quantize/shared/blocks.ts'
import { FloatWeights } from '../../../src/quantize/shared/floats.ts'
import { Agreement, sqnrDb } from '../../../src/quantize/shared/metrics.ts'
import { embeddings } from '../../../src/quantize/tables/embeddings.ts'
import type { LayerResult, SkippedLayer } from '../../../src/quantize/types.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import { normals } from '../../../synthetic/random.ts'
import { change, floats, ids, initializersOf, opsOf, runEdge, runNative } from '../../fixtures/node/quantize.ts'

const ROWS = 5

function product(w: Tensor, op = 'MatMul', attributes = {}, extra: Readonly<Record<string, Tensor>> = {}): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['rows', 'inner'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['rows', 'outer'] }],
    nodes: [{ op, inputs: ['x', 'w', ...Object.keys(extra)], outputs: ['y'], attributes }],
    initializers: { w, ...extra },
  })
}

function lookup(rows: number, columns: number, values: Float32Array): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'ids', datatype: 'INT64', shape: ['batch', 'n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'n', columns] }],
    nodes: [{ op: 'Gather', inputs: ['table', 'ids'], outputs: ['y'] }],
    initializers: { table: floats([rows, columns], values) },
  })
}

function initializer(model: ModelProto, name: string): TensorProto {
  const found = initializersOf(model).get(name)
  if (!found) throw new Error(`The model has no initializer "${name}".`)
  return found
}

/** Element `index` of a row of half bytes, the earlier in the lower half. */
function nibble(bytes: Uint8Array, row: number, rowBytes: number, index: number): number {
  return ((bytes[row * rowBytes + (index >> 1)] ?? 0) >> (4 * (index & 1))) & 15
}

function floatsIn(tensor: TensorProto): Float32Array {
  const bytes = rawBytesOf(tensor).slice()
  if (tensor.dataType === DataType.FLOAT16) return Float32Array.from(halves(new Uint16Array(bytes.buffer)))
  return new Float32Array(bytes.buffer)
}

/** The vectors that 4-bit initializers stand for, [count, length], by the operators' documentation. */
function restored(
  model: ModelProto,
  name: string,
  { count, length, blockSize, rowBytes }: Record<'count' | 'length' | 'blockSize' | 'rowBytes', number>,
): Float64Array {
  const levels = rawBytesOf(initializer(model, `${name}_Q4`))
  const scales = floatsIn(initializer(model, `${name}_scales`))
  const zeros = initializersOf(model).get(`${name}_zero_points`)
  const blocks = Math.ceil(length / blockSize)
  expect(levels).toHaveLength(count * rowBytes)
  expect(scales).toHaveLength(count * blocks)
  const result = new Float64Array(count * length)
  for (let vector = 0; vector < count; vector++) {
    for (let index = 0; index < length; index++) {
      const block = Math.floor(index / blockSize)
      const zero = zeros ? nibble(rawBytesOf(zeros), vector, Math.ceil(blocks / 2), block) : 8
      const level = nibble(levels, vector, rowBytes, index)
      result[vector * length + index] = (level - zero) * (scales[vector * blocks + block] ?? 0)
    }
  }
  return result
}

describe('four-bit blocks', () => {
  const blocksOf = (values: Float32Array, blockSize: BlockSize, symmetric: boolean) =>
    quantizeBlocks(
      { floats: new FloatWeights(values), count: 1, length: values.length, columns: false },
      values.length / 2,
      {
        blockSize,
        symmetric,
        scales: 'fp32',
      },
    )

  /** Rounding to the nearest of 16 levels that span the block: what is done without a search. */
  function plainNoise(values: Float32Array, blockSize: number, symmetric: boolean): number {
    let noise = 0
    for (let start = 0; start < values.length; start += blockSize) {
      const block = [...values.slice(start, start + blockSize)]
      const [low, high] = [Math.min(0, ...block), Math.max(0, ...block)]
      const peak = -low > high ? low : high
      const scale = symmetric ? peak / -8 : (high - low) / 15
      const zero = symmetric ? 8 : Math.round(-low / scale)
      for (const value of block) {
        const level = Math.min(15, Math.max(0, Math.round(value / scale) + zero))
        noise += (value - (level - zero) * scale) ** 2
      }
    }
    return noise
  }

  it.each(BLOCK_SIZES.flatMap((size) => [[size, true] as const, [size, false] as const]))(
    'of %d, symmetric %s, lose less than plain rounding does',
    (blockSize, symmetric) => {
      const values = normals(`blocks ${blockSize}`, 256 * 64, 0.02)
      const { signal, noise } = blocksOf(values, blockSize, symmetric)
      const plain = plainNoise(values, blockSize, symmetric)
      // Not by chance: on normal weights the search saves at least a twentieth of the noise.
      expect(noise).toBeLessThan(0.95 * plain)
      // 20.2 dB is the most that 16 even levels, the same for all, can do for a normal distribution (Max, 1960).
      expect(10 * Math.log10(signal / noise)).toBeGreaterThan(20.2)
    },
  )

  it('never lose more than plain rounding, whatever the block', () => {
    const shapes: Record<string, (value: number) => number> = {
      'heavy tails': (value) => value ** 3,
      'one side': (value) => Math.abs(value) + 1,
      'few values': (value) => Math.round(value),
      tiny: (value) => value * 1e-30,
      huge: (value) => value * 1e37,
      'one in ten': (value) => (Math.abs(value) > 1.6 ? value : 0),
    }
    for (const [name, shape] of Object.entries(shapes)) {
      const values = normals(name, 64, 1).map(shape)
      for (const symmetric of [true, false]) {
        const { noise } = blocksOf(values, 64, symmetric)
        expect(noise, `${name}, symmetric ${symmetric}`).toBeLessThanOrEqual(
          plainNoise(values, 64, symmetric) * (1 + 1e-6),
        )
      }
    }
  })

  it('hold exactly what lies on sixteen even levels', () => {
    const grid = Float32Array.from({ length: 32 }, (_, index) => ((index % 16) - 8) * 0.25)
    for (const symmetric of [true, false]) expect(blocksOf(grid, 32, symmetric).noise).toBe(0)
  })

  it('of zeros, and of numbers next to zero, are zero on a scale of one', () => {
    const values = new Float32Array(32)
    values[20] = 1e-44
    for (const symmetric of [true, false]) {
      const { scales, levels, zeroPoints } = blocksOf(values, 16, symmetric)
      expect([...scales]).toEqual([1, 1])
      const zero = zeroPoints ? (zeroPoints[0] ?? 0) & 15 : 8
      expect((levels[0] ?? 0) & 15).toBe(zero)
    }
  })
})

describe('products with weights in four bits', () => {
  const cases = [
    { inner: 64, outer: 24, blockSize: 32, symmetric: true },
    { inner: 64, outer: 70, blockSize: 16, symmetric: false },
    { inner: 96, outer: 20, blockSize: 32, symmetric: false },
    { inner: 100, outer: 33, blockSize: 32, symmetric: true },
    { inner: 100, outer: 33, blockSize: 32, symmetric: false },
    { inner: 130, outer: 65, blockSize: 64, symmetric: false },
    { inner: 256, outer: 16, blockSize: 256, symmetric: true },
    { inner: 384, outer: 128, blockSize: 128, symmetric: false },
  ] as const

  it.each(cases)('$inner x $outer in blocks of $blockSize, symmetric $symmetric', async (sizes) => {
    const { inner, outer, blockSize, symmetric } = sizes
    const w = normals('w', inner * outer, 0.1)
    const x = normals('x', ROWS * inner, 1)
    const source = product(floats([inner, outer], w))
    const { bytes, model } = await change(source, [weightOnly4({ blockSize, symmetric })])
    expect(opsOf(model)).toEqual(['MatMulNBits'])
    expect(initializersOf(model).has('w')).toBe(false)
    const rowBytes = (Math.ceil(inner / blockSize) * blockSize) / 2
    const columns = restored(model, 'w', { count: outer, length: inner, blockSize, rowBytes })
    const upright = w.map((_, index) => columns[(index % outer) * inner + Math.floor(index / outer)] ?? 0)
    expect(sqnrDb(w, upright)).toBeGreaterThan(19)
    const input = { x: floats([ROWS, inner], x) }
    const result = await runNative(bytes, input)
    for (let row = 0; row < ROWS; row++) {
      for (let column = 0; column < outer; column++) {
        let [sum, size] = [0, 0]
        for (let k = 0; k < inner; k++) {
          const term = (x[row * inner + k] ?? 0) * (columns[column * inner + k] ?? 0)
          sum += term
          size += Math.abs(term)
        }
        // Single precision: half a unit in the last place for each of the additions.
        expect(Math.abs((result[row * outer + column] ?? 0) - sum)).toBeLessThanOrEqual(inner * 2 ** -24 * size)
      }
    }
    const edge = await runEdge(bytes, input)
    expect(new Agreement().add(edge.result, result).maxAbs).toBeLessThan(1e-5)
  })

  it('multiply in int8 where accuracy level 4 allows it', async () => {
    const source = product(floats([128, 64], normals('w', 128 * 64, 0.1)))
    const { bytes, model } = await change(source, [weightOnly4({ accuracyLevel: 4 })])
    const [node] = model.graph?.node ?? []
    expect(node && intOf(node, 'accuracy_level', 0)).toBe(4)
    const input = { x: floats([ROWS, 128], normals('x', ROWS * 128, 1)) }
    expect(sqnrDb(await runNative(source, input), await runNative(bytes, input))).toBeGreaterThan(18)
  })

  it.each([
    ['transB', { transB: { int: 1 } }],
    ['transA', { transA: { int: 1 } }],
    ['alpha and beta', { alpha: { float: -2.5 }, beta: { float: 0.25 } }],
  ] as const)('do Gemm with %s', async (_name, attributes) => {
    const [inner, outer] = [80, 48]
    const shape = 'transB' in attributes ? [outer, inner] : [inner, outer]
    const bias = floats([outer], normals('bias', outer, 1))
    const source = product(floats(shape, normals('w', inner * outer, 0.1)), 'Gemm', attributes, { bias })
    const x = normals('x', ROWS * inner, 1)
    const input = { x: floats('transA' in attributes ? [inner, ROWS] : [ROWS, inner], x) }
    const { bytes, model } = await change(source, [weightOnly4()])
    expect(opsOf(model)).toContain('MatMulNBits')
    expect(sqnrDb(await runNative(source, input), await runNative(bytes, input))).toBeGreaterThan(19)
  })

  it('give a weight that is read in both directions two forms, and each of them once', async () => {
    const [inner, outer] = [64, 64]
    const source = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['rows', inner] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['rows', outer] }],
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
        { op: 'Gemm', inputs: ['a', 'w'], outputs: ['b'], attributes: { transB: { int: 1 } } },
        { op: 'MatMul', inputs: ['b', 'w'], outputs: ['y'] },
      ],
      initializers: { w: floats([inner, outer], normals('w', inner * outer, 0.1)) },
    })
    const { bytes, model } = await change(source, [weightOnly4()])
    expect([...initializersOf(model).keys()].sort()).toEqual(['w_Q4', 'w_Q4_1', 'w_scales', 'w_scales_1'])
    const input = { x: floats([ROWS, inner], normals('x', ROWS * inner, 1)) }
    expect(sqnrDb(await runNative(source, input), await runNative(bytes, input))).toBeGreaterThan(14)
  })

  it('are left where columns are too short to gain by, and say what they weigh otherwise', async () => {
    const layers: LayerResult[] = []
    const skipped: SkippedLayer[] = []
    const options = {
      record: (layer: LayerResult) => layers.push(layer),
      skip: (layer: SkippedLayer) => skipped.push(layer),
    }
    await change(product(floats([8, 400], normals('w', 3200, 1))), [weightOnly4(options)])
    const { model } = await change(product(floats([64, 50], normals('w', 3200, 1))), [weightOnly4(options)])
    expect(skipped).toEqual([{ node: 'y', op: 'MatMul', reason: 'its columns of 8 are too short for blocks of 32' }])
    const bytes = [...initializersOf(model).values()].reduce((sum, tensor) => sum + rawBytesOf(tensor).length, 0)
    expect(layers).toMatchObject([{ to: 'int4', elements: 3200, bytesBefore: 12_800, bytesAfter: bytes }])
    expect(bytes).toBe((3200 * 5) / 8)
  })

  it('refuse other block sizes, NaN, and say so', async () => {
    expect(() => weightOnly4({ blockSize: 48 as BlockSize })).toThrow('A block has 16, 32, 64, 128, 256 weights')
    const w = normals('w', 3200, 1)
    w[3199] = Number.NaN
    await expect(change(product(floats([64, 50], w)), [weightOnly4()])).rejects.toMatchObject({ code: 'bad_weights' })
  })
})

describe('tables in four bits', () => {
  it.each([
    { columns: 64, blockSize: 32, symmetric: true },
    { columns: 50, blockSize: 16, symmetric: false },
    { columns: 96, blockSize: 64, symmetric: false },
    { columns: 16, blockSize: 32, symmetric: true },
  ] as const)('$columns columns in blocks of $blockSize, symmetric $symmetric', async ({ columns, ...options }) => {
    const rows = 80
    const values = normals('table', rows * columns, 0.02)
    const { bytes, model } = await change(lookup(rows, columns, values), [embeddings({ bits: 4, ...options })])
    expect(opsOf(model)).toEqual(['GatherBlockQuantized', 'Cast'])
    const { blockSize } = options
    const table = restored(model, 'table', { count: rows, length: columns, blockSize, rowBytes: columns / 2 })
    expect(sqnrDb(values, table)).toBeGreaterThan(19)
    const wanted = [0, 7, 79, 3]
    const input = { ids: ids(...wanted) }
    const result = await runNative(bytes, input)
    const expected = wanted.flatMap((row) => [...table.slice(row * columns, (row + 1) * columns)])
    // The operator multiplies in halves: 11 bits.
    for (const [index, value] of expected.entries()) {
      expect(Math.abs((result[index] ?? 0) - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -11)
    }
    expect((await runEdge(bytes, input)).result).toEqual(result)
  })

  it.each([1e-6, 1e6])('keep scales in single precision where halves do not reach: %d', async (size) => {
    const values = normals('table', 40 * 64, size)
    const { bytes, model } = await change(lookup(40, 64, values), [embeddings({ bits: 4 })])
    expect(opsOf(model)).toEqual(['GatherBlockQuantized'])
    const input = { ids: ids(0, 39) }
    const expected = [...values.slice(0, 64), ...values.slice(39 * 64)]
    expect(sqnrDb(expected, await runNative(bytes, input))).toBeGreaterThan(18)
  })

  it('keep scales in single precision where that is asked for', async () => {
    const source = lookup(40, 64, normals('table', 40 * 64, 1))
    const { model } = await change(source, [embeddings({ bits: 4, scales: 'fp32' })])
    expect(opsOf(model)).toEqual(['GatherBlockQuantized'])
    expect(initializer(model, 'table_scales').dataType).toBe(DataType.FLOAT)
  })

  it.each([
    { opset: 12, size: 1, symmetric: true },
    { opset: 17, size: 1, symmetric: false },
    { opset: 17, size: 1e6, symmetric: true },
  ])('of one column are folded into rows: operator set $opset, size $size', async ({ opset, size, symmetric }) => {
    // Not a multiple of the block, so that the last row is cut short.
    const rows = 1200 + 13
    const values = normals('column', rows, size)
    const model = (datatype: 'INT32' | 'INT64', shape: readonly string[]): Uint8Array =>
      onnxModel({
        opset,
        inputs: [{ name: 'ids', datatype, shape }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [...shape, 1] }],
        nodes: [{ op: 'Gather', inputs: ['table', 'ids'], outputs: ['y'] }],
        initializers: { table: floats([rows, 1], values) },
      })
    const layers: LayerResult[] = []
    const record = (layer: LayerResult) => layers.push(layer)
    const { bytes } = await change(model('INT64', ['a', 'b']), [embeddings({ bits: 4, symmetric, record })])
    const wanted = [...Array.from({ length: 200 }, (_, index) => (index * 31) % rows), rows - 1, -1, -rows, -14]
    const input = { ids: ids(...wanted) }
    const expected = wanted.map((index) => values.at(index) ?? 0)
    const result = await runNative(bytes, input)
    expect(sqnrDb(expected, result)).toBeGreaterThan(18)
    // -1 is the last element, and -rows the first.
    expect([result[201], result[202]]).toEqual([result[200], result[0]])
    expect((await runEdge(bytes, input)).result).toEqual(result)
    expect(layers[0]?.to).toBe(symmetric ? 'int4' : 'uint4')
    expect(layers[0]?.bytesAfter).toBeLessThan(0.9 * rows)

    const single = await change(model('INT32', []), [embeddings({ bits: 4, symmetric })])
    const one = await runNative(single.bytes, { ids: tensor('INT32', [], Int32Array.of(rows - 1)) })
    expect([...one]).toEqual([result[200]])
    await expect(runNative(single.bytes, { ids: tensor('INT32', [], Int32Array.of(rows + 32)) })).rejects.toThrow()
  })

  it.each([3, 33])('of %d columns get eight bits, and say so', async (columns) => {
    const layers: LayerResult[] = []
    const values = normals('table', 1200 * columns, 1)
    const pass = embeddings({ bits: 4, record: (layer) => layers.push(layer) })
    const { bytes } = await change(lookup(1200, columns, values), [pass])
    expect(layers.map(({ to }) => to)).toEqual(['int8'])
    const input = { ids: ids(3, 0) }
    const expected = [...values.slice(3 * columns, 4 * columns), ...values.slice(0, columns)]
    expect(new Agreement().add(expected, await runNative(bytes, input)).maxAbs).toBeLessThan(0.02)
  })
})
