import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../../src/core/tensors.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { rawBytesOf } from '../../../src/onnx/data.ts'
import { type DynamicInt8Options, dynamicInt8 } from '../../../src/quantize/products/dynamic.ts'
import { sqnrDb } from '../../../src/quantize/shared/metrics.ts'
import { quantizeColumns, quantizeRows } from '../../../src/quantize/shared/scales.ts'
import { embeddings } from '../../../src/quantize/tables/embeddings.ts'
import type { LayerResult, SkippedLayer } from '../../../src/quantize/types.ts'
import { type ModelSpec, type NodeSpec, onnxModel } from '../../../synthetic/onnx.ts'
import { normals } from '../../../synthetic/random.ts'
import { change, floats, ids, initializersOf, opsOf, runEdge, runNative } from '../../fixtures/node/quantize.ts'

const INNER = 48
const OUTER = 40
const ROWS = 6
const FULL = { weightType: 'uint8', symmetric: false, reduceRange: false } as const

const weight = (name: string, rows = INNER, columns = OUTER): Tensor =>
  floats([rows, columns], normals(name, rows * columns, 0.1))
const x = floats([ROWS, INNER], normals('x', ROWS * INNER, 1))

/** `x` [rows, 48] -> `y` [rows, 40]. */
function model(
  nodes: readonly NodeSpec[],
  initializers: Readonly<Record<string, Tensor>>,
  spec: Partial<ModelSpec> = {},
): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['rows', INNER] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['rows', OUTER] }],
    nodes,
    initializers,
    ...spec,
  })
}

const single = (w = weight('w')): Uint8Array => model([{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], { w })

/**
 * The most that a product of matrices can stray when the activation is rounded to steps of `stepOf(x)` and the weight to
 * steps of `weightStep`: half a step each, times what it is multiplied by. The activation's step is that of ONNX's
 * DynamicQuantizeLinear; its zero point is rounded too, which can cost values at the ends another half step.
 */
function bound(row: Float32Array, column: Float32Array, step: number, weightStep: number): number {
  let most = 0
  for (const [k, value] of row.entries()) {
    most += Math.abs(value) * (weightStep / 2) + Math.abs(column[k] ?? 0) * step + (step * weightStep) / 2
  }
  return most * (1 + 1e-5)
}

function stepOf(values: Float32Array): number {
  return (Math.max(0, ...values) - Math.min(0, ...values)) / 255
}

describe('eight-bit levels', () => {
  // The examples of DynamicQuantizeLinear in ONNX's documentation of operators: the same formula.
  it.each([
    [[0, 2, -3, -2.5, 1.34, 0.5], [153, 255, 0, 26, 221, 179], 0.0196078438, 153],
    [[-1, -2.1, -1.3, -2.5, -3.34, -4], [191, 121, 172, 96, 42, 0], 0.0156862754, 255],
    [
      [1, 2.1, 1.3, 2.5, 3.34, 4, 1.5, 2.6, 3.9, 4, 3, 2.345],
      [64, 134, 83, 159, 213, 255, 96, 166, 249, 255, 191, 149],
      0.0156862754,
      0,
    ],
  ])('are those that ONNX publishes for %j', (values, levels, scale, zero) => {
    const result = quantizeRows(Float32Array.from(values), 1, values.length, FULL)
    for (const [index, value] of values.entries()) {
      // 0.5 lies half-way between two levels, and which is nearer depends on the precision of the division.
      const tie = value === 0.5 ? 1 : 0
      expect(Math.abs((result.data[index] ?? 0) - (levels[index] ?? 0))).toBeLessThanOrEqual(tie)
    }
    expect(result.scales[0]).toBeCloseTo(scale, 9)
    expect(result.zeroPoints[0]).toBe(zero)
  })

  it('are those of onnxruntime-node, row by row', async () => {
    const reference = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
      nodes: [
        { op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 's', 'z'] },
        { op: 'Cast', inputs: ['q'], outputs: ['y'], attributes: { to: { int: 1 } } },
      ],
    })
    const [rows, columns] = [7, 200]
    const values = normals('levels', rows * columns, 3).map((value, index) => value + Math.floor(index / columns))
    const { data } = quantizeRows(values, rows, columns, FULL)
    for (let row = 0; row < rows; row++) {
      const part = values.slice(row * columns, (row + 1) * columns)
      const expected = await runNative(reference, { x: floats([columns], part) })
      expect([...data.slice(row * columns, (row + 1) * columns)]).toEqual([...expected])
    }
  })

  it.each(['int8', 'uint8'] as const)('%s use the whole grid and keep zero, in seven bits too', (weightType) => {
    const values = normals('grid', 64, 1)
    for (const symmetric of [true, false]) {
      for (const reduceRange of [true, false]) {
        const result = quantizeColumns(values, 64, 1, { weightType, symmetric, reduceRange })
        const [scale = 0, zero = 0] = [result.scales[0], result.zeroPoints[0]]
        const span = Math.max(...result.data) - Math.min(...result.data)
        expect(span).toBeLessThanOrEqual(reduceRange ? 128 : 255)
        expect(span).toBeGreaterThan(reduceRange ? 90 : 180)
        if (weightType === 'uint8' && reduceRange) expect(Math.max(...result.data)).toBeLessThanOrEqual(127)
        for (const [index, value] of values.entries()) {
          const restored = ((result.data[index] ?? 0) - zero) * scale
          // Asymmetric grids round their zero point, which moves both ends by up to half a step.
          expect(Math.abs(restored - value)).toBeLessThanOrEqual(scale * (symmetric ? 0.501 : 1.001))
        }
      }
    }
  })

  it('of columns of zeros, and of numbers next to zero, are zero on a scale of one', () => {
    const values = Float32Array.of(0, 1e-42, 1, 0, -1e-42, -2)
    const result = quantizeColumns(values, 2, 3, { weightType: 'int8', symmetric: true, reduceRange: false })
    expect([...result.scales.slice(0, 2)]).toEqual([1, 1])
    expect([...result.data]).toEqual([0, 0, 64, 0, 0, -127])
  })
})

describe('dynamic int8', () => {
  const cases: [string, DynamicInt8Options][] = (['int8', 'uint8'] as const).flatMap((weightType) =>
    [true, false].flatMap((perChannel) =>
      [true, false].map((symmetric): [string, DynamicInt8Options] => [
        `${weightType} ${perChannel ? 'by column' : 'by matrix'} ${symmetric ? 'symmetric' : 'asymmetric'}`,
        { weightType, perChannel, symmetric },
      ]),
    ),
  )

  it.each(cases)('%s stays within what rounding can cost, and the edge answers the same', async (_name, options) => {
    const w = weight('w')
    const { bytes, model: changed } = await change(single(w), [dynamicInt8(options)])
    expect(opsOf(changed)).toEqual(['DynamicQuantizeLinear', 'MatMulInteger', 'Cast', 'Mul', 'Mul'])
    expect([...initializersOf(changed).keys()]).not.toContain('w')
    const expected = await runNative(single(w), { x })
    const result = await runNative(bytes, { x })
    const [values, weights] = [x.data as Float32Array, w.data as Float32Array]
    const step = stepOf(values)
    for (let row = 0; row < ROWS; row++) {
      for (let column = 0; column < OUTER; column++) {
        const one = weights.filter((_, index) => index % OUTER === column)
        const range = options.perChannel ? one : weights
        const high = Math.max(0, ...range)
        const low = Math.min(0, ...range)
        // An asymmetric weight's zero point is rounded: a whole step at the ends.
        const weightStep = options.symmetric ? (2 * Math.max(high, -low)) / 254 : (2 * (high - low)) / 255
        const most = bound(values.slice(row * INNER, (row + 1) * INNER), one, step, weightStep)
        const at = row * OUTER + column
        expect(Math.abs((result[at] ?? 0) - (expected[at] ?? 0))).toBeLessThanOrEqual(most)
      }
    }
    expect(sqnrDb(expected, result)).toBeGreaterThan(33)
    // The edge fuses the same operators and adds in whole numbers: only the last product of scales may round otherwise.
    expect(sqnrDb(result, (await runEdge(bytes, { x })).result)).toBeGreaterThan(100)
  })

  it.each(['int8', 'uint8'] as const)('%s is fused when it is converted for the edge', async (weightType) => {
    const source = model(
      [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
        { op: 'Relu', inputs: ['a'], outputs: ['b'] },
        { op: 'MatMul', inputs: ['b', 'v'], outputs: ['c'] },
        { op: 'MatMul', inputs: ['b', 'u'], outputs: ['d'] },
        { op: 'Add', inputs: ['c', 'd'], outputs: ['y'] },
      ],
      { w: weight('w'), v: weight('v', OUTER, OUTER), u: weight('u', OUTER, OUTER) },
    )
    const { bytes } = await change(source, [dynamicInt8({ weightType })])
    const text = new TextDecoder('latin1').decode((await runEdge(bytes, { x })).bytes)
    // An ORT-format file lists the operators that it needs as `domain:operator:version`.
    const has = (op: string): boolean => text.includes(`:${op}:`)
    expect([has('DynamicQuantizeMatMul'), has('MatMulIntegerToFloat')]).toEqual([true, true])
    expect([has('MatMulInteger'), has('Cast'), has('Mul')]).toEqual([false, false, false])
  })

  it('quantizes an activation once for all products that read it, and a shared weight once', async () => {
    const source = model(
      [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
        { op: 'MatMul', inputs: ['x', 'v'], outputs: ['b'] },
        { op: 'Neg', inputs: ['x'], outputs: ['n'] },
        { op: 'MatMul', inputs: ['n', 'w'], outputs: ['c'] },
        { op: 'Sum', inputs: ['a', 'b', 'c'], outputs: ['y'] },
      ],
      { w: weight('w'), v: weight('v') },
    )
    const { bytes, model: changed } = await change(source, [dynamicInt8()])
    expect(opsOf(changed).filter((op) => op === 'DynamicQuantizeLinear')).toHaveLength(2)
    expect([...initializersOf(changed).keys()].sort()).toEqual(['v_quantized', 'v_scale', 'w_quantized', 'w_scale'])
    expect(sqnrDb(await runNative(source, { x }), await runNative(bytes, { x }))).toBeGreaterThan(30)
  })

  it('leaves a model that runs after every single patch', async () => {
    const nodes: NodeSpec[] = [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['b'] },
      { op: 'Gemm', inputs: ['x', 'v', 'bias'], outputs: ['c'] },
      { op: 'Sum', inputs: ['a', 'b', 'c'], outputs: ['y'] },
    ]
    const bias = floats([OUTER], normals('bias', OUTER, 1))
    const source = model(nodes, { w: weight('w'), v: weight('v'), bias })
    const expected = await runNative(source, { x })
    for (const stopAfter of [0, 1, 2, 3]) {
      const { bytes, patches } = await change(source, [dynamicInt8()], stopAfter)
      expect(patches).toBe(stopAfter)
      expect(sqnrDb(expected, await runNative(bytes, { x }))).toBeGreaterThan(33)
    }
  })

  it.each([
    ['transB', { transB: { int: 1 } }],
    ['transA', { transA: { int: 1 } }],
    ['alpha and beta', { alpha: { float: -2.5 }, beta: { float: 0.25 } }],
    ['beta of zero', { beta: { float: 0 } }],
  ] as const)('does Gemm with %s', async (_name, attributes) => {
    const turnedWeight = 'transB' in attributes
    const turnedInput = 'transA' in attributes
    const source = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: turnedInput ? [INNER, 'rows'] : ['rows', INNER] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['rows', OUTER] }],
      nodes: [{ op: 'Gemm', inputs: ['x', 'w', 'bias'], outputs: ['y'], attributes }],
      initializers: {
        w: turnedWeight ? weight('w', OUTER, INNER) : weight('w'),
        bias: floats([OUTER], normals('bias', OUTER, 1)),
      },
    })
    const input = turnedInput ? floats([INNER, ROWS], normals('x', ROWS * INNER, 1)) : x
    for (const perChannel of [true, false]) {
      const { bytes, model: changed } = await change(source, [dynamicInt8({ perChannel })])
      expect(opsOf(changed)).toContain('MatMulInteger')
      expect(sqnrDb(await runNative(source, { x: input }), await runNative(bytes, { x: input }))).toBeGreaterThan(33)
    }
  })

  it('gives two Gemms of one weight and different alphas their own scales', async () => {
    const source = model(
      [
        { op: 'Gemm', inputs: ['x', 'w'], outputs: ['a'], attributes: { alpha: { float: 3 } } },
        { op: 'Gemm', inputs: ['x', 'w'], outputs: ['b'] },
        { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] },
      ],
      { w: weight('w') },
    )
    const { bytes, model: changed } = await change(source, [dynamicInt8()])
    expect([...initializersOf(changed).keys()].sort()).toEqual(['w_quantized', 'w_scale', 'w_scale_1'])
    expect(sqnrDb(await runNative(source, { x }), await runNative(bytes, { x }))).toBeGreaterThan(33)
  })

  it('reaches into subgraphs whose weights lie outside', async () => {
    const branch = (name: string, w: string) => ({
      graph: {
        inputs: [],
        outputs: [{ name, datatype: 'FP32' as const, shape: ['rows', OUTER] }],
        nodes: [{ op: 'MatMul', inputs: ['x', w], outputs: [name] }],
      },
    })
    const source = model(
      [
        {
          op: 'If',
          inputs: ['which'],
          outputs: ['y'],
          attributes: { then_branch: branch('yes', 'w'), else_branch: branch('no', 'v') },
        },
      ],
      { w: weight('w'), v: weight('v') },
      {
        inputs: [
          { name: 'x', datatype: 'FP32', shape: ['rows', INNER] },
          { name: 'which', datatype: 'BOOL', shape: [] },
        ],
      },
    )
    const { bytes, model: changed } = await change(source, [dynamicInt8()])
    expect([...initializersOf(changed).keys()].sort()).toEqual(['v_quantized', 'v_scale', 'w_quantized', 'w_scale'])
    for (const value of [0, 1]) {
      const which = tensor('BOOL', [], Uint8Array.of(value))
      const inputs = { x, which }
      expect(sqnrDb(await runNative(source, inputs), await runNative(bytes, inputs))).toBeGreaterThan(33)
    }
  })

  it('keeps a weight that something else reads', async () => {
    const source = model(
      [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
        { op: 'ReduceSum', inputs: ['w'], outputs: ['sum'] },
        { op: 'Add', inputs: ['a', 'sum'], outputs: ['y'] },
      ],
      { w: weight('w') },
    )
    expect([...initializersOf((await change(source, [dynamicInt8()])).model).keys()]).toContain('w')
  })

  it('says what it did and what it left', async () => {
    const layers: LayerResult[] = []
    const skipped: SkippedLayer[] = []
    const source = onnxModel({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: ['rows', INNER] },
        { name: 'given', datatype: 'FP32', shape: [INNER, OUTER] },
      ],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [] }],
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
        { op: 'MatMul', inputs: ['x', 'small'], outputs: ['b'] },
        { op: 'MatMul', inputs: ['x', 'deep'], outputs: ['c'] },
        { op: 'MatMul', inputs: ['x', 'given'], outputs: ['d'] },
        { op: 'MatMul', inputs: ['x', 'v'], outputs: ['e'] },
        { op: 'MatMul', inputs: ['left', 'a'], outputs: ['f'] },
        { op: 'Sum', inputs: ['a'], outputs: ['y'] },
      ],
      initializers: {
        w: weight('w'),
        v: weight('v'),
        small: weight('small', INNER, 2),
        deep: floats([2, INNER, OUTER], normals('deep', 2 * INNER * OUTER, 1)),
        given: weight('given'),
        left: weight('left', OUTER, ROWS),
      },
    })
    const options = {
      select: ({ output }: { output: string[] }) => output[0] !== 'e',
      record: (layer: LayerResult) => layers.push(layer),
      skip: (layer: SkippedLayer) => skipped.push(layer),
    }
    const { model: changed } = await change(source, [dynamicInt8(options)])
    expect(layers).toEqual([
      {
        node: 'a',
        op: 'MatMul',
        weight: 'w',
        to: 'int8',
        elements: INNER * OUTER,
        bytesBefore: 4 * INNER * OUTER,
        bytesAfter: INNER * OUTER + 4 * OUTER,
        sqnrDb: expect.any(Number),
      },
    ])
    // Of 127 steps to the peak of a normal distribution of 48: about 20 * log10(127 * sqrt(12) / 2.2).
    expect(layers[0]?.sqnrDb).toBeGreaterThan(42)
    expect(layers[0]?.sqnrDb).toBeLessThan(50)
    expect(skipped).toEqual([
      { node: 'b', op: 'MatMul', reason: 'its weight has only 96 elements' },
      { node: 'c', op: 'MatMul', reason: 'its weight has 3 dimensions instead of two' },
      { node: 'd', op: 'MatMul', reason: 'its weight is also an input of the model, which callers may set' },
      { node: 'f', op: 'MatMul', reason: 'its weight is the first factor' },
    ])
    expect(opsOf(changed).filter((op) => op === 'MatMul')).toHaveLength(5)
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('refuses a weight of %d', async (value) => {
    const w = normals('w', INNER * OUTER, 1)
    w[77] = value
    const refused = change(single(floats([INNER, OUTER], w)), [dynamicInt8()])
    await expect(refused).rejects.toMatchObject({ code: 'bad_weights', node: 'y' })
    await expect(refused).rejects.toThrow(`Weight "w" of node "y" has ${value} at element 77.`)
  })

  it('refuses operator sets without DynamicQuantizeLinear', async () => {
    const old = model([{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], { w: weight('w') }, { opset: 10 })
    await expect(change(old, [dynamicInt8()])).rejects.toMatchObject({ code: 'unsupported' })
  })

  it('takes all-zero weights', async () => {
    const source = single(floats([INNER, OUTER], new Float32Array(INNER * OUTER)))
    for (const symmetric of [true, false]) {
      const layers: LayerResult[] = []
      const { bytes } = await change(source, [dynamicInt8({ symmetric, record: (layer) => layers.push(layer) })])
      expect(new Set(await runNative(bytes, { x }))).toEqual(new Set([0]))
      expect(layers[0]?.sqnrDb).toBeNull()
    }
  })

  it('does not change the model that it is given', async () => {
    const bytes = single()
    const before = bytes.slice()
    await change(bytes, [dynamicInt8({ symmetric: false })])
    expect(bytes).toEqual(before)
  })
})

describe('embeddings in eight bits', () => {
  const rows = 60
  const lookup = (table: Tensor, columns: number, attributes = {}): Uint8Array =>
    onnxModel({
      inputs: [{ name: 'ids', datatype: 'INT64', shape: ['batch', 'n'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'n', columns] }],
      nodes: [{ op: 'Gather', inputs: ['table', 'ids'], outputs: ['y'], attributes }],
      initializers: { table },
    })

  it('have a scale for each row, and answer the same at the edge', async () => {
    const columns = 64
    // Rows of very different size, which a scale for the whole table could not hold.
    const values = normals('table', rows * columns, 1).map(
      (value, index) => value * 10 ** (Math.floor(index / columns) % 5),
    )
    const source = lookup(floats([rows, columns], values), columns)
    const layers: LayerResult[] = []
    const { bytes, model: changed } = await change(source, [embeddings({ record: (layer) => layers.push(layer) })])
    expect(opsOf(changed)).toEqual(['Gather', 'Cast', 'Gather', 'Mul'])
    expect(layers[0]).toMatchObject({ to: 'int8', bytesAfter: rows * (columns + 4) })
    const inputs = { ids: ids(0, 1, 2, 3, 4, rows - 1, -1) }
    const expected = await runNative(source, inputs)
    const result = await runNative(bytes, inputs)
    for (let row = 0; row < 7; row++) {
      const one = expected.slice(row * columns, (row + 1) * columns)
      const step = Math.max(...one.map(Math.abs)) / 127
      for (const [column, value] of one.entries()) {
        expect(Math.abs((result[row * columns + column] ?? 0) - value)).toBeLessThanOrEqual(step * 0.5001)
      }
    }
    expect((await runEdge(bytes, inputs)).result).toEqual(result)
  })

  it.each([
    [[1200, 1], 1],
    [[1200], undefined],
    [[400, 16], 16],
  ])('of shape %j share scales by column', async (shape, columns) => {
    const count = shape.reduce((product, size) => product * size, 1)
    const source = onnxModel({
      inputs: [{ name: 'ids', datatype: 'INT64', shape: ['batch', 'n'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: columns ? ['batch', 'n', columns] : ['batch', 'n'] }],
      nodes: [{ op: 'Gather', inputs: ['table', 'ids'], outputs: ['y'] }],
      initializers: { table: floats(shape, normals('short', count, 1)) },
    })
    const { bytes, model: changed } = await change(source, [embeddings()])
    expect(opsOf(changed)).toEqual(['Gather', 'Cast', 'Mul'])
    expect(rawBytesOf(initializersOf(changed).get('table_scale') as never).length).toBe(4 * (columns ?? 1))
    const inputs = { ids: ids(5, 399, 0, -2) }
    const result = await runNative(bytes, inputs)
    expect(sqnrDb(await runNative(source, inputs), result)).toBeGreaterThan(35)
    expect((await runEdge(bytes, inputs)).result).toEqual(result)
  })

  it('are left where columns are gathered, and where the table is small', async () => {
    const skipped: SkippedLayer[] = []
    const pass = embeddings({ skip: (layer) => skipped.push(layer) })
    const table = weight('table', rows, 64)
    await change(lookup(table, 64, { axis: { int: 1 } }), [pass])
    await change(lookup(weight('table', 10, 64), 64), [pass])
    expect(skipped.map(({ reason }) => reason)).toEqual([
      'it gathers along axis 1 instead of the first',
      'its table has only 640 elements',
    ])
  })

  it('are not quantized twice: their scales are left', async () => {
    const many = 1200
    const source = lookup(weight('table', many, 32), 32)
    const once = await change(source, [embeddings()])
    const twice = await change(once.bytes, [embeddings()])
    expect([once.patches, twice.patches]).toEqual([1, 0])
  })

  it('refuse NaN', async () => {
    const values = normals('table', rows * 64, 1)
    values[5] = Number.NaN
    await expect(change(lookup(floats([rows, 64], values), 64), [embeddings()])).rejects.toMatchObject({
      code: 'bad_weights',
    })
  })

  it('work where the model was read from bytes at any start', async () => {
    const source = lookup(weight('table', rows, 64), 64)
    const expected = (await change(source, [embeddings()])).bytes
    for (let start = 1; start < 4; start++) {
      const moved = new Uint8Array(source.length + start).subarray(start)
      moved.set(source)
      expect(decodeModel(moved).graph?.initializer[0]?.rawData?.byteOffset).toBeGreaterThan(start)
      expect((await change(moved, [embeddings()])).bytes).toEqual(expected)
    }
  })
})
