import { describe, expect, it } from 'vitest'
import { referenceSession } from '../../../src/cli/verify/reference.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { DataType, rawBytesOf } from '../../../src/onnx/data.ts'
import { graphsOf } from '../../../src/onnx/graph.ts'
import { type StoredInt8Options, storedInt8 } from '../../../src/quantize/products/stored-int8.ts'
import type { LayerResult, SkippedLayer } from '../../../src/quantize/types.ts'
import { type AttributeValue, type ModelSpec, type NodeSpec, onnxModel } from '../../../synthetic/onnx.ts'
import { normals } from '../../../synthetic/random.ts'
import { never } from '../../../synthetic/source.ts'
import { change, floats, initializersOf, opsOf, runEdge } from '../../fixtures/node/quantize.ts'

const random = (name: string, shape: readonly number[], deviation = 1): Tensor =>
  floats(
    shape,
    normals(
      name,
      shape.reduce((product, size) => product * size, 1),
      deviation,
    ),
  )

function model(
  nodes: readonly NodeSpec[],
  initializers: Readonly<Record<string, Tensor>>,
  spec: Partial<ModelSpec> = {},
): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32' }],
    outputs: [{ name: 'y', datatype: 'FP32' }],
    nodes,
    initializers,
    ...spec,
  })
}

interface Case {
  readonly name: string
  readonly op: string
  readonly x: readonly number[]
  /** Shapes of the weights that are to be stored, `w` and `r`. */
  readonly weights: readonly (readonly number[])[]
  /** Along which output channels lie; null for one scale. */
  readonly axis: number | null
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  /** Linear in its weight, so that what rounding costs is bounded by the same operator. */
  readonly linear: boolean
}

const CASES: readonly Case[] = [
  { name: 'Conv', op: 'Conv', x: [2, 8, 10, 10], weights: [[16, 8, 3, 3]], axis: 0, linear: true },
  {
    name: 'Conv by group',
    op: 'Conv',
    x: [1, 128, 6, 6],
    weights: [[128, 1, 3, 3]],
    axis: 0,
    attributes: { group: { int: 128 } },
    linear: true,
  },
  { name: 'Conv of sequences', op: 'Conv', x: [1, 16, 12], weights: [[16, 16, 5]], axis: 0, linear: true },
  { name: 'ConvTranspose', op: 'ConvTranspose', x: [1, 8, 5, 5], weights: [[8, 16, 3, 3]], axis: null, linear: true },
  { name: 'MatMul', op: 'MatMul', x: [6, 48], weights: [[48, 40]], axis: 1, linear: true },
  { name: 'MatMul by batch', op: 'MatMul', x: [2, 6, 32], weights: [[2, 32, 24]], axis: 2, linear: true },
  { name: 'Gemm', op: 'Gemm', x: [6, 48], weights: [[48, 40]], axis: 1, linear: true },
  {
    name: 'Gemm turned round',
    op: 'Gemm',
    x: [6, 48],
    weights: [[40, 48]],
    axis: 0,
    attributes: { transB: { int: 1 } },
    linear: true,
  },
  {
    name: 'LSTM',
    op: 'LSTM',
    x: [5, 2, 20],
    weights: [
      [1, 64, 20],
      [1, 64, 16],
    ],
    axis: null,
    attributes: { hidden_size: { int: 16 } },
    linear: false,
  },
  {
    name: 'GRU',
    op: 'GRU',
    x: [5, 2, 24],
    weights: [
      [1, 60, 24],
      [1, 60, 20],
    ],
    axis: null,
    attributes: { hidden_size: { int: 20 } },
    linear: false,
  },
]

/**
 * The only output, by onnxruntime-node without its optimizations: those make `MatMulNBits` of a product with a restored
 * weight, which rounds activations as well.
 */
async function runAsWritten(bytes: Uint8Array, inputs: Readonly<Record<string, Tensor>>): Promise<Float32Array> {
  const session = await referenceSession(bytes, never())
  const outputs = await session.run(new Map(Object.entries(inputs)), { outputs: ['y'], signal: never() })
  session.dispose()
  const y = outputs.get('y')
  if (y?.datatype !== 'FP32') throw new Error('The model is to give floats.')
  return y.data
}

const modelOf = ({ op, attributes = {} }: Case, weights: readonly Tensor[]): Uint8Array => {
  const names = ['w', 'r'].slice(0, weights.length)
  const initializers = Object.fromEntries(names.map((name, index) => [name, weights[index] as Tensor]))
  return model([{ op, inputs: ['x', ...names], outputs: ['y'], attributes }], initializers)
}

const weightsOf = ({ name, weights }: Case): Tensor[] =>
  weights.map((shape, index) => random(`${name} weight ${index}`, shape, 0.2))

/** Elements by group: those that share a scale. */
function groupsOf({ shape }: Tensor, axis: number | null): (index: number) => number {
  if (axis === null) return () => 0
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1)
  return (index) => Math.floor(index / inner) % (shape[axis] ?? 1)
}

interface Rounded {
  readonly values: Tensor
  /** The step of each element's scale. */
  readonly steps: Tensor
}

/** What ONNX's documentation of quantization says of eight bits, element by element. */
function rounded(weight: Tensor, axis: number | null, { weightType = 'int8', symmetric = true }: StoredInt8Options) {
  const data = weight.data as Float32Array
  const group = groupsOf(weight, axis)
  const lows = new Map<number, number>()
  const highs = new Map<number, number>()
  for (const [index, value] of data.entries()) {
    lows.set(group(index), Math.min(lows.get(group(index)) ?? 0, value))
    highs.set(group(index), Math.max(highs.get(group(index)) ?? 0, value))
  }
  const [least, most] = weightType === 'int8' ? [-128, 127] : [0, 255]
  const values = new Float32Array(data.length)
  const steps = new Float32Array(data.length)
  for (const [index, value] of data.entries()) {
    const low = lows.get(group(index)) ?? 0
    const high = highs.get(group(index)) ?? 0
    const step = Math.fround(symmetric ? Math.max(-low, high) / 127 : (high - low) / 255)
    const zero = symmetric ? (weightType === 'int8' ? 0 : 128) : Math.round(least - low / step)
    const level = Math.min(most, Math.max(least, Math.round(value / step) + zero))
    values[index] = Math.fround((level - zero) * step)
    steps[index] = step
  }
  return { values: floats(weight.shape, values), steps: floats(weight.shape, steps) } satisfies Rounded
}

/** Largest difference, as a share of the largest element. */
function difference(left: Float32Array, right: Float32Array): number {
  expect(left.length).toBe(right.length)
  let most = 0
  let scale = 0
  for (const [index, value] of left.entries()) {
    most = Math.max(most, Math.abs(value - (right[index] ?? Number.NaN)))
    scale = Math.max(scale, Math.abs(value))
  }
  return most / scale
}

describe.each([
  { weightType: 'int8', perChannel: true, symmetric: true },
  { weightType: 'int8', perChannel: false, symmetric: true },
  { weightType: 'uint8', perChannel: true, symmetric: false },
  { weightType: 'uint8', perChannel: false, symmetric: true },
] as const)('weights stored as $weightType, by channel $perChannel, symmetric $symmetric', (options) => {
  it.each(CASES)('are those that rounding gives: $name', async (each) => {
    const weights = weightsOf(each)
    const axis = options.perChannel ? each.axis : null
    const x = random(`${each.name} x`, each.x)
    const original = modelOf(each, weights)
    const layers: LayerResult[] = []
    const { bytes, model: changed } = await change(original, [
      storedInt8({ ...options, record: (layer) => layers.push(layer) }),
    ])
    expect(opsOf(changed)).toEqual([...weights.map(() => 'DequantizeLinear'), each.op])
    const stored = [...initializersOf(changed).values()]
    const type = options.weightType === 'int8' ? DataType.INT8 : DataType.UINT8
    expect(stored.filter(({ dataType, dims }) => dataType === type && dims.length > 1)).toHaveLength(weights.length)
    expect(stored.some(({ dataType, dims }) => dataType === DataType.FLOAT && dims.length > 1)).toBe(false)
    expect(layers.map(({ op, to, elements }) => ({ op, to, elements }))).toEqual(
      weights.map(({ data }) => ({ op: each.op, to: options.weightType, elements: data.length })),
    )
    // Its scales and zero points cost a fraction of what eight bits save.
    for (const { bytesBefore, bytesAfter, sqnrDb } of layers) {
      expect(bytesAfter).toBeLessThan(0.4 * bytesBefore)
      expect(sqnrDb).toBeGreaterThan(30)
    }

    const roundedWeights = weights.map((weight) => rounded(weight, axis, options))
    const expected = await runAsWritten(
      modelOf(
        each,
        roundedWeights.map(({ values }) => values),
      ),
      { x },
    )
    const result = await runAsWritten(bytes, { x })
    // The same numbers in the same operator: what is left is the order of additions.
    expect(difference(expected, result)).toBeLessThan(1e-5)

    if (!each.linear) return
    const reference = await runAsWritten(original, { x })
    const positive = floats(
      x.shape,
      (x.data as Float32Array).map((value) => Math.abs(value)),
    )
    // No element strays by more than half a step; the ends of an asymmetric grid by a whole one.
    const steps = roundedWeights.map(({ steps: of }) => of)
    const bound = await runAsWritten(modelOf(each, steps), { x: positive })
    for (const [index, value] of result.entries()) {
      const most = (bound[index] ?? 0) * (options.symmetric ? 0.5 : 1)
      expect(Math.abs(value - (reference[index] ?? Number.NaN))).toBeLessThanOrEqual(most + 1e-4)
    }
  })
})

describe('stored int8', () => {
  it.each(CASES.filter(({ name }) => /^(Conv|ConvTranspose|MatMul|Gemm turned round|LSTM)$/.test(name)))(
    'says the same at the edge: $name',
    async (each) => {
      const x = random(`${each.name} x`, each.x)
      const original = modelOf(each, weightsOf(each))
      const { bytes } = await change(original, [storedInt8()])
      const edge = await runEdge(bytes, { x })
      expect(difference(await runAsWritten(bytes, { x }), edge.result)).toBeLessThan(1e-5)
      // The weights stay in eight bits in the edge's form as well.
      expect(edge.bytes.length).toBeLessThan((await runEdge(original, { x })).bytes.length)
    },
  )

  it('stores a weight once that two nodes read the same way, and keeps floats that somebody else reads', async () => {
    const square = random('square', [40, 40], 0.2)
    const nodes: NodeSpec[] = [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
      { op: 'MatMul', inputs: ['a', 'w'], outputs: ['b'] },
      { op: 'Gemm', inputs: ['b', 'w'], outputs: ['y'], attributes: { transB: { int: 1 } } },
    ]
    const x = random('shared x', [3, 40])
    const original = model(nodes, { w: square })
    const layers: LayerResult[] = []
    const { bytes, model: changed } = await change(original, [storedInt8({ record: (layer) => layers.push(layer) })])
    // Columns have other scales than rows: once for the products, once for the turned one.
    expect(opsOf(changed).filter((op) => op === 'DequantizeLinear')).toHaveLength(2)
    expect(layers.map(({ node }) => node)).toEqual(['a', 'b', 'y'])
    expect([...initializersOf(changed).keys()]).not.toContain('w')
    expect(difference(await runAsWritten(original, { x }), await runAsWritten(bytes, { x }))).toBeLessThan(0.05)

    const added = model([...nodes.slice(0, 2), { op: 'Add', inputs: ['b', 'row'], outputs: ['y'] }], {
      w: square,
      row: random('row', [1, 40]),
    })
    const asOutput = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32' }],
      outputs: [
        { name: 'y', datatype: 'FP32' },
        { name: 'w', datatype: 'FP32' },
      ],
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: { w: square },
    })
    expect([...initializersOf((await change(added, [storedInt8()])).model).keys()]).toContain('row')
    expect([...initializersOf((await change(asOutput, [storedInt8()])).model).keys()]).toContain('w')
  })

  it('reaches into branches, and quantizes a weight of the graph around them once', async () => {
    const branch = (op: string): AttributeValue => ({
      graph: {
        inputs: [],
        outputs: [{ name: `${op} out`, datatype: 'FP32' }],
        nodes: [
          { op: 'MatMul', inputs: ['x', 'w'], outputs: [`${op} product`] },
          { op, inputs: [`${op} product`], outputs: [`${op} out`] },
        ],
      },
    })
    const original = onnxModel({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [6, 48] },
        { name: 'flag', datatype: 'BOOL', shape: [] },
      ],
      outputs: [{ name: 'y', datatype: 'FP32' }],
      nodes: [
        {
          op: 'If',
          inputs: ['flag'],
          outputs: ['y'],
          attributes: { then_branch: branch('Relu'), else_branch: branch('Neg') },
        },
      ],
      initializers: { w: random('branches', [48, 40], 0.2) },
    })
    const { bytes, model: changed } = await change(original, [storedInt8()])
    expect(opsOf(changed).filter((op) => op === 'DequantizeLinear')).toHaveLength(2)
    expect([...initializersOf(changed).keys()]).not.toContain('w')
    const stored = graphsOf(changed).flatMap(({ graph }) =>
      graph.initializer.filter(({ dataType, dims }) => dataType === DataType.INT8 && dims.length === 2).map(rawBytesOf),
    )
    expect(stored).toHaveLength(2)
    expect(stored[1]?.buffer).toBe(stored[0]?.buffer)
    const x = random('branches x', [6, 48])
    for (const flag of [0, 1]) {
      const inputs = { x, flag: tensor('BOOL', [], Uint8Array.of(flag)) }
      expect(difference(await runAsWritten(original, inputs), await runAsWritten(bytes, inputs))).toBeLessThan(0.02)
    }
  })

  it('leaves what is small, no float, given by callers, or not selected', async () => {
    const skipped: SkippedLayer[] = []
    const options: StoredInt8Options = { skip: (layer) => skipped.push(layer) }
    const untouched = async (bytes: Uint8Array, more: StoredInt8Options = {}): Promise<void> => {
      const { model: changed, patches } = await change(bytes, [storedInt8({ ...options, ...more })])
      expect(patches).toBe(0)
      expect(changed).toEqual(decodeModel(bytes))
    }
    const product = [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }]
    await untouched(model(product, { w: random('small', [31, 33]) }))
    expect(skipped).toEqual([{ node: 'y', op: 'MatMul', reason: 'its weights have less than 1024 elements' }])
    const w = random('large', [48, 40])
    await untouched(model(product, { w }), { select: () => false })
    await untouched(
      model(
        product,
        { w },
        {
          inputs: [
            { name: 'x', datatype: 'FP32' },
            { name: 'w', datatype: 'FP32', shape: [48, 40] },
          ],
        },
      ),
    )
    const doubles = tensor('FP64', [48, 40], Float64Array.from(w.data as Float32Array))
    await untouched(model(product, { w: doubles }))
    const foreign = { op: 'Conv', domain: 'example', inputs: ['x', 'w'], outputs: ['y'] }
    await untouched(model([foreign], { w }, { domains: { example: 1 } }))
    expect(skipped).toHaveLength(1)
  })

  it('keeps zeros, and channels of zeros, exactly', async () => {
    const values = normals('zeros', 48 * 40, 0.2)
    for (let index = 0; index < values.length; index += 40) values[index] = 0
    const x = random('zeros x', [4, 48])
    const zeros = await change(
      model([{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], { w: floats([48, 40], values) }),
      [storedInt8()],
    )
    const result = await runAsWritten(zeros.bytes, { x })
    for (let index = 0; index < result.length; index += 40) expect(result[index]).toBe(0)
    const layers: LayerResult[] = []
    const nothing = model([{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], {
      w: floats([48, 40], new Float32Array(48 * 40)),
    })
    const { bytes } = await change(nothing, [storedInt8({ record: (layer) => layers.push(layer) })])
    expect((await runAsWritten(bytes, { x })).every((value) => value === 0)).toBe(true)
    expect(layers[0]?.sqnrDb).toBeNull()
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('refuses %s in a weight', async (value) => {
    const values = normals('broken', 48 * 40, 0.2)
    values[1234] = value
    const broken = model([{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], { w: floats([48, 40], values) })
    await expect(change(broken, [storedInt8()])).rejects.toMatchObject({
      name: 'OnnxError',
      code: 'bad_weights',
      node: 'y',
      message: expect.stringContaining(`"w" of node "y" has ${value} at element 1234`),
    })
  })

  it('asks for the operator set that has what it writes', async () => {
    const old = model(
      [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      { w: random('old', [48, 40]) },
      { opset: 12 },
    )
    await expect(change(old, [storedInt8()])).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/operator set 12.*needs 13/),
    })
  })
})
