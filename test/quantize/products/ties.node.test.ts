import { describe, expect, it } from 'vitest'
import { referenceEngine } from '../../../src/cli/build/context.ts'
import { toOrtFormat } from '../../../src/cli/pack/convert.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { encodeModel } from '../../../src/onnx/codec.ts'
import { DataType } from '../../../src/onnx/data.ts'
import type { ModelProto } from '../../../src/onnx/schema/onnx_pb.js'
import { chooseMethod } from '../../../src/quantize/method.ts'
import { type Quantized, type QuantizeOptions, quantizeModel } from '../../../src/quantize/quantize.ts'
import type { ModelSpec, NodeSpec } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { loadNative } from '../../fixtures/node/native.ts'
import { named, randomTensor } from '../../fixtures/node/networks.ts'
import { initializersOf, opsOf, runEdge } from '../../fixtures/node/quantize.ts'

const env = { engine: referenceEngine(), signal: never() }
const quantize = (model: ModelProto, options: QuantizeOptions): Promise<Quantized> => quantizeModel(model, options, env)

const WORDS = 300
const WIDTH = 64
const TABLE = WORDS * WIDTH * 4

const lookup: NodeSpec = { op: 'Gather', inputs: ['E', 'ids'], outputs: ['words'] }

/** INT64 `ids` -> FP32 `y`, and whatever else is asked for; `E` [300, 64] is the only weight. */
function tied(nodes: readonly NodeSpec[], more: Partial<ModelSpec> = {}): ReturnType<typeof named> {
  return named({
    inputs: [{ name: 'ids', datatype: 'INT64', shape: [1, 'length'] }],
    outputs: [{ name: 'y', datatype: 'FP32' }],
    nodes,
    initializers: { E: randomTensor('E', [WORDS, WIDTH], 0.2) },
    ...more,
  })
}

/** As exporters write it: the last layer multiplies by the table's transpose. */
const withTranspose = (): ReturnType<typeof named> =>
  tied([
    lookup,
    { op: 'Transpose', inputs: ['E'], outputs: ['Et'], attributes: { perm: { ints: [1, 0] } } },
    { op: 'MatMul', inputs: ['words', 'Et'], outputs: ['y'] },
  ])

/** The same as a `Gemm` over the mean of the words. */
const withGemm = (): ReturnType<typeof named> =>
  tied([
    lookup,
    {
      op: 'ReduceMean',
      inputs: ['words'],
      outputs: ['mean'],
      attributes: { axes: { ints: [1] }, keepdims: { int: 0 } },
    },
    { op: 'Gemm', inputs: ['mean', 'E'], outputs: ['y'], attributes: { transB: { int: 1 } } },
  ])

/** The other way round: the weight lies as the product reads it, and the table is its transpose. */
const withTurnedTable = (): ReturnType<typeof named> =>
  tied(
    [
      { op: 'Transpose', inputs: ['W'], outputs: ['E'], attributes: { perm: { ints: [1, 0] } } },
      lookup,
      { op: 'MatMul', inputs: ['words', 'W'], outputs: ['y'] },
    ],
    { initializers: { W: randomTensor('W', [WIDTH, WORDS], 0.2) } },
  )

const FORMS = [
  ['a MatMul behind a Transpose', withTranspose],
  ['a Gemm', withGemm],
  ['a lookup behind a Transpose', withTurnedTable],
] as const

const idsOf = (...values: readonly number[]): Tensor =>
  tensor('INT64', [1, values.length], BigInt64Array.from(values, BigInt))

async function answer(bytes: Uint8Array, ids: Tensor): Promise<Float32Array> {
  const session = await loadNative(bytes)
  const result = (await session.run(new Map([['ids', ids]]), { signal: never() })).get('y')
  session.dispose()
  if (result?.datatype !== 'FP32') throw new Error('The model is to give floats.')
  return result.data
}

function relativeError(expected: Float32Array, actual: Float32Array): number {
  expect(actual.length).toBe(expected.length)
  let [error, power] = [0, 0]
  for (const [index, value] of expected.entries()) {
    error += (value - (actual[index] ?? Number.NaN)) ** 2
    power += value ** 2
  }
  return Math.sqrt(error / power)
}

const floatsLeft = (model: ModelProto): string[] =>
  [...initializersOf(model).values()]
    .filter(({ dataType, dims }) => dataType === DataType.FLOAT && dims.reduce((a, b) => a * b, 1n) >= 1024n)
    .map(({ name }) => name)

describe.each(FORMS)('a table that is the last layer too, as %s', (_name, made) => {
  it.each([
    // A byte an element and a scale a row; four bits, and a scale for each 32 for the product and for the lookup.
    ['q8', TABLE / 4 + 4 * WORDS, 0.02],
    ['uint8', TABLE / 4 + 5 * WORDS, 0.02],
    ['q4', TABLE / 8 + (2 * TABLE) / 32, 0.12],
    ['q4f16', TABLE / 8 + (2 * TABLE) / 32, 0.12],
  ] as const)('is stored once in %s, agrees with the original, and is named', async (dtype, most, tolerance) => {
    const { model, bytes } = made()
    const result = await quantize(model, { dtype })
    const after = encodeModel(result.model)
    expect(floatsLeft(result.model)).toEqual([])
    const stored = [...initializersOf(result.model).values()].reduce(
      (sum, { rawData }) => sum + (rawData?.length ?? 0),
      0,
    )
    expect(stored).toBeLessThanOrEqual(most + 100)
    expect(result.skipped).toEqual([])
    expect(result.layers.filter(({ to }) => to !== 'fp16').map(({ op }) => op)).toEqual([
      expect.stringMatching(/^(MatMul|Gemm)$/),
      'Gather',
    ])
    expect(result.notes.join('\n')).toMatch(
      /^tied weight: "[EW]" is the weight of "\w+" \(\w+\) and "words" \(Gather\)$/m,
    )
    // Indices may be negative.
    const ids = idsOf(3, 299, -1, 0, 7)
    const error = relativeError(await answer(bytes, ids), await answer(after, ids))
    expect(error).toBeLessThan(tolerance)
    expect(error).toBeGreaterThan(0)
  })

  it('is stored once in ORT format too, and runs at the edge', async () => {
    const { model, bytes } = made()
    const after = encodeModel((await quantize(model, { dtype: 'q8' })).model)
    const ids = idsOf(3, 299, 0, 7)
    const { result, bytes: ort } = await runEdge(after, { ids })
    expect(relativeError(await answer(bytes, ids), result)).toBeLessThan(0.02)
    expect(ort.length).toBeLessThan(0.5 * (await toOrtFormat(bytes)).bytes.length)
  })
})

it('a lookup of no words in a tied table gives no words', async () => {
  const { model } = withTranspose()
  for (const dtype of ['q8', 'q4'] as const) {
    const { model: after } = await quantize(model, { dtype })
    expect(await answer(encodeModel(after), idsOf())).toEqual(new Float32Array(0))
  }
})

it('a tied table behind indices of unknown rank is stored for each reader, and is smaller all the same', async () => {
  const { model, bytes } = tied(
    [
      { op: 'Reshape', inputs: ['flat', 'shape'], outputs: ['ids'] },
      lookup,
      { op: 'Transpose', inputs: ['E'], outputs: ['Et'], attributes: { perm: { ints: [1, 0] } } },
      { op: 'MatMul', inputs: ['words', 'Et'], outputs: ['y'] },
    ],
    {
      inputs: [
        { name: 'flat', datatype: 'INT64', shape: ['n'] },
        { name: 'shape', datatype: 'INT64', shape: ['rank'] },
      ],
    },
  )
  const result = await quantize(model, { dtype: 'q8' })
  expect(floatsLeft(result.model)).toEqual([])
  expect(encodeModel(result.model).length).toBeLessThan(0.6 * bytes.length)
})

describe('a weight whose floats stay', () => {
  const product: NodeSpec = { op: 'MatMul', inputs: ['words', 'E'], outputs: ['y'] }
  const x = [{ name: 'words', datatype: 'FP32', shape: ['n', WORDS] }] as const

  it.each(['q8', 'uint8', 'q4', 'q4f16'] as const)(
    'because it is an output gets no copy in %s, and the reason is told',
    async (dtype) => {
      const { model, bytes } = tied([product], {
        inputs: x,
        outputs: [
          { name: 'y', datatype: 'FP32', shape: ['n', WIDTH] },
          { name: 'E', datatype: 'FP32', shape: [WORDS, WIDTH] },
        ],
      })
      const result = await quantize(model, { dtype })
      expect(encodeModel(result.model).length).toBeLessThan(1.02 * bytes.length)
      expect(result.layers.filter(({ to }) => to !== 'fp16')).toEqual([])
      expect(result.skipped).toContainEqual({
        node: 'y',
        op: 'MatMul',
        reason: 'its weight "E" stays in float for an output, so a quantized copy would save nothing',
      })
    },
  )

  it('because another node reads it gets no copy, and that node is named', async () => {
    const { model, bytes } = tied(
      [
        product,
        { op: 'ReduceSum', inputs: ['E'], outputs: ['sum'], attributes: { keepdims: { int: 0 } } },
        { op: 'Mul', inputs: ['y0', 'sum'], outputs: ['y'] },
      ].map((node) => (node === product ? { ...product, outputs: ['y0'] } : node)),
      { inputs: [...x, { name: 'axes', datatype: 'INT64', shape: [1] }] },
    )
    const reduce = model.graph?.node.find(({ opType }) => opType === 'ReduceSum')
    reduce?.input.push('axes')
    const result = await quantize(model, { dtype: 'q8' })
    expect(encodeModel(result.model).length).toBeLessThan(1.02 * bytes.length)
    expect(result.layers).toEqual([])
    expect(result.skipped).toEqual([
      expect.objectContaining({ node: 'y0', reason: expect.stringMatching(/stays in float for "sum" \(ReduceSum\)/) }),
    ])
  })

  it('because its other reader is excluded stays one float table for both', async () => {
    const { model, bytes } = withTranspose()
    const result = await quantize(model, { dtype: 'q8', exclude: { nodes: ['y'], ops: [] } })
    expect(encodeModel(result.model).length).toBeLessThan(1.02 * bytes.length)
    expect(result.skipped).toEqual([expect.objectContaining({ node: 'words', op: 'Gather' })])
    expect(opsOf(result.model)).toEqual(['Gather', 'Transpose', 'MatMul'])
  })

  it('in a model whose weights alone are stored in eight bits is not copied for the lookup', async () => {
    const { model, bytes } = withTranspose()
    const result = await quantize(model, { dtype: 'q8', method: 'weights' })
    expect(encodeModel(result.model).length).toBeLessThan(1.02 * bytes.length)
    expect(result.skipped.map(({ op }) => op).sort()).toEqual(['Gather', 'MatMul'])
  })
})

describe('what no pass has a form for', () => {
  const weighted = (op: string, domain: string, attributes: NodeSpec['attributes'] = {}): ReturnType<typeof named> =>
    tied([{ op, domain, inputs: ['x', 'E'], outputs: ['y'], attributes }], {
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', WORDS] }],
      domains: { 'com.microsoft': 1 },
    })

  it.each([
    ['Einsum', '', { equation: { string: 'nw,wc->nc' } }, /Einsum is not quantized/],
    [
      'FusedMatMul',
      'com.microsoft',
      {},
      /FusedMatMul is an operator that ONNX Runtime's optimizer wrote.*before the optimization/,
    ],
    ['FusedGemm', 'com.microsoft', { activation: { string: 'Relu' } }, /FusedGemm is an operator that ONNX Runtime/],
  ] as const)('%s is listed with its reason', async (op, domain, attributes, reason) => {
    for (const dtype of ['q8', 'q4'] as const) {
      const result = await quantize(weighted(op, domain, attributes).model, { dtype })
      expect(result.layers).toEqual([])
      expect(result.skipped).toEqual([{ node: 'y', op, reason: expect.stringMatching(reason) }])
    }
  })

  it('is not listed where a person excludes it', async () => {
    const { model } = weighted('FusedMatMul', 'com.microsoft')
    expect((await quantize(model, { dtype: 'q8', exclude: { nodes: [], ops: ['FusedMatMul'] } })).skipped).toEqual([])
  })

  it('a product behind what was not computed beforehand is listed with what stands between', async () => {
    const { model } = tied(
      [
        { op: 'Reshape', inputs: ['E', 'shape'], outputs: ['turned'] },
        { op: 'MatMul', inputs: ['x', 'turned'], outputs: ['y'] },
      ],
      {
        inputs: [
          { name: 'x', datatype: 'FP32', shape: ['n', WORDS] },
          { name: 'shape', datatype: 'INT64', shape: [2] },
        ],
      },
    )
    const { skipped } = await quantize(model, { dtype: 'q8' })
    expect(skipped).toEqual([expect.objectContaining({ node: 'y', reason: 'its weight "E" is read through Reshape' })])
  })
})

it('a network of recurrent layers with a small convolution is not called one of convolutions', () => {
  const width = 128
  const { model } = tied(
    [
      { op: 'Conv', inputs: ['x', 'kernel'], outputs: ['c'] },
      { op: 'Transpose', inputs: ['c'], outputs: ['s'], attributes: { perm: { ints: [2, 0, 1] } } },
      { op: 'LSTM', inputs: ['s', 'w', 'r'], outputs: ['y'], attributes: { hidden_size: { int: width } } },
    ],
    {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 32, 'n'] }],
      initializers: {
        kernel: randomTensor('kernel', [width, 32, 1]),
        w: randomTensor('w', [1, 4 * width, width]),
        r: randomTensor('r', [1, 4 * width, width]),
      },
    },
  )
  const { why } = chooseMethod(model, false)
  expect(why).toMatch(/most weights are of recurrent layers/)
  expect(why).not.toMatch(/most weights are of convolutions/)
})
