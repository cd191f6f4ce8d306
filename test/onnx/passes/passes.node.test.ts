import { create } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { floatsOf } from '../../../src/onnx/data.ts'
import { graphsOf } from '../../../src/onnx/graph.ts'
import { type Pass, runPasses } from '../../../src/onnx/pass.ts'
import { cleaning } from '../../../src/onnx/passes/clean.ts'
import { dropDead } from '../../../src/onnx/passes/drop-dead.ts'
import { dropIdentity } from '../../../src/onnx/passes/drop-identity.ts'
import { foldBatchNorm } from '../../../src/onnx/passes/fold-batch-norm.ts'
import { foldConstants } from '../../../src/onnx/passes/fold-constants.ts'
import { nameNodes } from '../../../src/onnx/passes/name-nodes.ts'
import { ownInitializers } from '../../../src/onnx/passes/own-initializers.ts'
import { shareInitializers } from '../../../src/onnx/passes/share-initializers.ts'
import { type ModelProto, ValueInfoProtoSchema } from '../../../src/onnx/schema/onnx_pb.js'
import { type ModelSpec, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { haveRealModels, SKIP_REASON } from '../../fixtures/node/real-models.ts'
import { GRAPH_MODELS, graphModel, inputsOf, loadModel, plainEngine, runModel } from '../../fixtures/node/run-onnx.ts'

async function applied(model: ModelProto, ...passes: readonly Pass[]): Promise<ModelProto> {
  return (await runPasses(model, passes, { signal: never() })).model
}

async function answers(model: ModelProto): Promise<{ inputs: Tensors; outputs: Tensors }> {
  const session = await loadModel(model)
  const inputs = inputsOf(session)
  const outputs = await session.run(inputs, { signal: never() })
  session.dispose()
  return { inputs, outputs }
}

/** Largest difference of two runs' floats, as a share of the largest number; infinite where anything else differs. */
function distance(expected: Tensors, actual: Tensors): number {
  let worst = expected.size === actual.size ? 0 : Number.POSITIVE_INFINITY
  for (const [name, right] of expected) {
    const given = actual.get(name)
    expect(given?.shape, name).toEqual(right.shape)
    if (right.datatype !== 'FP32' || given?.datatype !== 'FP32') {
      expect(given, name).toEqual(right)
      continue
    }
    const largest = right.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30)
    for (const [index, value] of right.data.entries()) {
      worst = Math.max(worst, Math.abs(value - (given.data[index] as number)) / largest)
    }
  }
  return worst
}

const spec = (fields: Partial<ModelSpec> & Pick<ModelSpec, 'nodes'>): ModelProto =>
  decodeModel(
    onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 4] }],
      outputs: [{ name: 'y', datatype: 'FP32' }],
      ...fields,
    }),
  )

const opsOf = (model: ModelProto): string[] => graphsOf(model).flatMap(({ graph }) => graph.node.map((n) => n.opType))
const constantsOf = (model: ModelProto): string[] =>
  graphsOf(model).flatMap(({ graph }) => graph.initializer.map(({ name }) => name))

const floats = (...values: number[]) => tensor('FP32', [values.length], Float32Array.from(values))
const scalar = (value: number) => tensor('FP32', [], Float32Array.of(value))

describe(haveRealModels ? 'cleaning' : `cleaning (third-party models left out: ${SKIP_REASON})`, () => {
  const exact = [ownInitializers, nameNodes, dropDead, foldConstants(plainEngine()), dropIdentity, shareInitializers]
  it.each(Object.keys(GRAPH_MODELS))('keeps the answers of %s', async (name) => {
    const model = graphModel(name)
    const { inputs, outputs } = await answers(model)
    const clean = await applied(model, ...exact, dropDead)
    const weights = ({ graph }: ModelProto): number => new Set(graph?.input.map((input) => input.name)).size
    // The same bits, but where weights were inputs: constants are multiplied by other kernels, which add up in another
    // order. Each of a few hundred additions may then round by half a unit in the last place, 6e-8.
    const order = weights(model) > weights(clean) ? 2e-6 : 0
    expect(distance(outputs, await runModel(clean, inputs))).toBeLessThanOrEqual(order)
    expect(opsOf(clean).length).toBeLessThanOrEqual(opsOf(model).length)
    // Scaling weights before adding up rounds each product anew: some units in the last place for each layer.
    const folded = await applied(model, ...cleaning({ engine: plainEngine() }))
    expect(opsOf(folded)).not.toContain('BatchNormalization')
    expect(distance(outputs, await runModel(folded, inputs))).toBeLessThan(2e-5)
    expect(encodeModel(folded).length).toBeLessThan(encodeModel(model).length * 1.02 + 1_000)
    const names = graphsOf(folded).flatMap(({ graph }) => graph.node.map((node) => node.name))
    expect(names).not.toContain('')
    expect(new Set(names).size).toBe(names.length)
  })

  it.skipIf(!haveRealModels)(
    `takes shapes apart that are known beforehand (skipped only where ${SKIP_REASON})`,
    async () => {
      const ultraface = await applied(graphModel('ultraface'), ...cleaning({ engine: plainEngine() }))
      expect(new Set(opsOf(ultraface))).toEqual(
        new Set([
          'Add',
          'Concat',
          'Conv',
          'Div',
          'Exp',
          'Mul',
          'Relu',
          'Reshape',
          'Slice',
          'Softmax',
          'Sub',
          'Transpose',
        ]),
      )
    },
  )

  it('leaves the model that it was given as it was', async () => {
    const model = graphModel('reviews')
    const before = encodeModel(model)
    await applied(model, ...cleaning({ engine: plainEngine() }))
    expect(encodeModel(model)).toEqual(before)
  })

  it('can be cut short after any patch', async () => {
    const model = graphModel('small encoder, fp32')
    const { inputs, outputs } = await answers(model)
    const passes = cleaning({ engine: plainEngine() })
    const { applied: all } = await runPasses(model, passes, { signal: never() })
    for (let stopAfter = 0; stopAfter <= all.length; stopAfter += 13) {
      const { model: part } = await runPasses(model, passes, { signal: never(), stopAfter })
      expect(distance(outputs, await runModel(part, inputs)), `after ${stopAfter} patches`).toBeLessThan(2e-5)
    }
  })
})

describe('own-initializers', () => {
  const old = (): ModelProto =>
    spec({
      irVersion: 3,
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [4] },
        { name: 'w', datatype: 'FP32', shape: [4] },
      ],
      nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: { w: floats(1, 2, 3, 4) },
    })

  it('takes weights out of the inputs, and asks for the format that allows it', async () => {
    const model = await applied(old(), ownInitializers)
    expect(model.graph?.input.map(({ name }) => name)).toEqual(['x'])
    expect(model.irVersion).toBe(4n)
    const outputs = await runModel(model, new Map([['x', floats(1, 1, 1, 1)]]))
    expect(outputs.get('y')?.data).toEqual(Float32Array.of(1, 2, 3, 4))
  })

  it('is left out where callers are to keep their say', async () => {
    const model = await applied(old(), ...cleaning({ keepInputs: true }))
    expect(model.graph?.input.map(({ name }) => name)).toEqual(['x', 'w'])
  })
})

describe('drop-dead', () => {
  it('drops what no output needs, and keeps what inner graphs read', async () => {
    const model = spec({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [2] },
        { name: 'c', datatype: 'BOOL', shape: [] },
      ],
      nodes: [
        { op: 'Relu', inputs: ['x'], outputs: ['dead'] },
        { op: 'Neg', inputs: ['dead'], outputs: ['deader'] },
        { op: 'Abs', inputs: ['x'], outputs: ['captured'] },
        {
          op: 'If',
          inputs: ['c'],
          outputs: ['y'],
          attributes: {
            then_branch: {
              graph: {
                inputs: [],
                outputs: [{ name: 't', datatype: 'FP32' }],
                nodes: [{ op: 'Add', inputs: ['captured', 'k'], outputs: ['t'] }],
              },
            },
            else_branch: {
              graph: {
                inputs: [],
                outputs: [{ name: 'e', datatype: 'FP32' }],
                nodes: [
                  { op: 'Identity', inputs: ['captured'], outputs: ['e'] },
                  { op: 'Sqrt', inputs: ['x'], outputs: ['unused'] },
                ],
              },
            },
          },
        },
      ],
      initializers: { k: floats(1, 1), gone: floats(2, 2) },
    })
    const clean = await applied(model, dropDead)
    expect(opsOf(clean)).toEqual(['Abs', 'If', 'Add', 'Identity'])
    expect(constantsOf(clean)).toEqual(['k'])
  })
})

it('takes the declared types of values away with the values', async () => {
  const model = spec({
    nodes: [
      { op: 'Relu', inputs: ['x'], outputs: ['kept'] },
      { op: 'Neg', inputs: ['x'], outputs: ['dead'] },
      { op: 'Exp', inputs: ['kept'], outputs: ['y'] },
    ],
  })
  const { graph } = model
  if (!graph) throw new Error('no graph')
  graph.valueInfo = ['kept', 'dead'].map((name) => create(ValueInfoProtoSchema, { name }))
  const clean = await applied(model, dropDead)
  expect(clean.graph?.valueInfo.map(({ name }) => name)).toEqual(['kept'])
  expect(graph.valueInfo).toHaveLength(2)
})

describe('drop-identity', () => {
  it('bypasses nodes that change nothing, up to the outputs', async () => {
    const model = spec({
      nodes: [
        { op: 'Identity', inputs: ['x'], outputs: ['a'] },
        { op: 'Cast', inputs: ['a'], outputs: ['b'], attributes: { to: { int: 1 } } },
        { op: 'Relu', inputs: ['b'], outputs: ['r'] },
        { op: 'Dropout', inputs: ['r'], outputs: ['d', 'mask'] },
        { op: 'Transpose', inputs: ['d'], outputs: ['t'], attributes: { perm: { ints: [0, 1] } } },
        { op: 'Reshape', inputs: ['t', 'shape'], outputs: ['s'] },
        { op: 'Concat', inputs: ['s'], outputs: ['y'], attributes: { axis: { int: 0 } } },
      ],
      initializers: { shape: tensor('INT64', [2], BigInt64Array.of(0n, 4n)) },
    })
    const clean = await applied(model, dropIdentity)
    expect(clean.graph?.node.map(({ opType, input, output }) => [opType, input, output])).toEqual([
      ['Relu', ['x'], ['y']],
    ])
  })

  it('keeps those that do change something', async () => {
    const nodes: ModelSpec['nodes'] = [
      { op: 'Cast', inputs: ['x'], outputs: ['a'], attributes: { to: { int: 11 } } },
      { op: 'Transpose', inputs: ['a'], outputs: ['b'], attributes: { perm: { ints: [1, 0] } } },
      { op: 'Slice', inputs: ['b', 'start', 'end', 'axis', 'step'], outputs: ['c'] },
      { op: 'Unsqueeze', inputs: ['c', 'axis'], outputs: ['d'] },
      { op: 'Cast', inputs: ['d'], outputs: ['y'], attributes: { to: { int: 1 } } },
    ]
    const one = (value: bigint) => tensor('INT64', [1], BigInt64Array.of(value))
    // The slice keeps the shape and turns the order round.
    const initializers = { start: one(-1n), end: one(-(2n ** 40n)), axis: one(0n), step: one(-1n) }
    const model = spec({ nodes, initializers })
    expect(opsOf(await applied(model, dropIdentity))).toEqual(nodes.map(({ op }) => op))
  })

  it('keeps a copy of an input that is an output', async () => {
    const model = spec({ nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }] })
    expect(opsOf(await applied(model, dropIdentity))).toEqual(['Identity'])
  })
})

describe('share-initializers', () => {
  it('keeps one of equal constants, and tells apart what only looks alike', async () => {
    const model = spec({
      nodes: [
        { op: 'Add', inputs: ['x', 'a'], outputs: ['p'] },
        { op: 'Add', inputs: ['p', 'b'], outputs: ['q'] },
        { op: 'Add', inputs: ['q', 'c'], outputs: ['r'] },
        { op: 'Add', inputs: ['r', 'd'], outputs: ['y'] },
      ],
      initializers: {
        a: floats(1, 2, 3, 4),
        b: floats(1, 2, 3, 4),
        c: floats(1, 2, 3, 5),
        d: tensor('FP32', [1, 4], Float32Array.of(1, 2, 3, 4)),
      },
    })
    const clean = await applied(model, shareInitializers)
    expect(constantsOf(clean)).toEqual(['a', 'c', 'd'])
    expect(clean.graph?.node.map(({ input }) => input[1])).toEqual(['a', 'a', 'c', 'd'])
  })
})

describe('fold-constants', () => {
  const folding = (model: ModelProto, maxBytes?: number): Promise<ModelProto> =>
    applied(model, foldConstants(plainEngine(), maxBytes === undefined ? {} : { maxBytes }), dropDead)

  it('computes what follows from constants alone', async () => {
    const model = spec({
      nodes: [
        { op: 'Constant', inputs: [], outputs: ['two'], attributes: { value: { tensor: scalar(2) } } },
        { op: 'Sqrt', inputs: ['w'], outputs: ['root'] },
        { op: 'Mul', inputs: ['root', 'two'], outputs: ['factor'] },
        { op: 'Mul', inputs: ['x', 'factor'], outputs: ['y'] },
      ],
      initializers: { w: floats(1, 4, 9, 16) },
    })
    const clean = await folding(model)
    expect(opsOf(clean)).toEqual(['Mul'])
    const [factor] = clean.graph?.initializer ?? []
    expect(factor && floatsOf(factor)).toEqual(Float32Array.of(2, 4, 6, 8))
  })

  it('keeps random numbers, quantized weights and what would make the file grow', async () => {
    const model = spec({
      opset: 13,
      nodes: [
        { op: 'RandomNormal', inputs: [], outputs: ['noise'], attributes: { shape: { ints: [4] } } },
        { op: 'DequantizeLinear', inputs: ['q', 'scale'], outputs: ['w'] },
        { op: 'Expand', inputs: ['one', 'large'], outputs: ['ones'] },
        { op: 'ReduceSum', inputs: ['ones'], outputs: ['sum'] },
        { op: 'Add', inputs: ['x', 'noise'], outputs: ['a'] },
        { op: 'Mul', inputs: ['a', 'w'], outputs: ['b'] },
        { op: 'Add', inputs: ['b', 'sum'], outputs: ['y'] },
      ],
      initializers: {
        q: tensor('INT8', [4], Int8Array.of(1, 2, 3, 4)),
        scale: scalar(0.5),
        one: floats(1),
        // A million times a million: never to be allocated.
        large: tensor('INT64', [2], BigInt64Array.of(1_000_000n, 1_000_000n)),
      },
    })
    expect(opsOf(await folding(model))).toEqual(opsOf(model))
  })

  it('takes growth up to the bound that it is given', async () => {
    const model = spec({
      nodes: [
        { op: 'Expand', inputs: ['one', 'shape'], outputs: ['ones'] },
        { op: 'Add', inputs: ['x', 'ones'], outputs: ['y'] },
      ],
      initializers: { one: floats(1), shape: tensor('INT64', [2], BigInt64Array.of(100n, 4n)) },
    })
    expect(opsOf(await folding(model, 1_600))).toEqual(['Add'])
    // The constant and the shape that go make room for 20 bytes.
    expect(opsOf(await folding(model, 1_579))).toEqual(['Expand', 'Add'])
  })

  it('leaves alone what cannot be computed, and says why', async () => {
    const model = spec({
      nodes: [
        { op: 'Reshape', inputs: ['w', 'shape'], outputs: ['v'] },
        { op: 'Add', inputs: ['x', 'v'], outputs: ['y'] },
      ],
      initializers: { w: floats(1, 2, 3, 4), shape: tensor('INT64', [1], BigInt64Array.of(3n)) },
    })
    const failures: unknown[] = []
    const pass = foldConstants(plainEngine(), { onFailure: (_, error) => failures.push(error) })
    expect(opsOf(await applied(model, pass))).toEqual(['Reshape', 'Add'])
    expect(failures).toHaveLength(1)
  })
})

describe('fold-batch-norm', () => {
  const CHANNELS = 6
  const norm = { op: 'BatchNormalization', inputs: ['c', 'gain', 'offset', 'mean', 'variance'], outputs: ['y'] }
  const values = (count: number, seed: number) => tensor('FP32', [count], seededFloats(count, seed))
  const statistics = (channels = CHANNELS) => ({
    gain: values(channels, 1),
    offset: values(channels, 2),
    mean: values(channels, 3),
    variance: tensor('FP32', [channels], seededFloats(channels, 4).map(Math.abs)),
  })

  const image = [{ name: 'x', datatype: 'FP32' as const, shape: [1, 4, 9, 9] }]
  const cases: Record<string, Partial<ModelSpec> & Pick<ModelSpec, 'nodes'>> = {
    'a convolution without bias': {
      inputs: image,
      nodes: [{ op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] }, norm],
      initializers: { w: tensor('FP32', [6, 4, 3, 3], seededFloats(216, 5)), ...statistics() },
    },
    'a grouped convolution with bias': {
      inputs: image,
      nodes: [{ op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'], attributes: { group: { int: 2 } } }, norm],
      initializers: { w: tensor('FP32', [6, 2, 3, 3], seededFloats(108, 6)), b: values(6, 7), ...statistics() },
    },
    'a grouped transposed convolution': {
      inputs: image,
      nodes: [
        { op: 'ConvTranspose', inputs: ['x', 'w', 'b'], outputs: ['c'], attributes: { group: { int: 2 } } },
        { ...norm, attributes: { epsilon: { float: 0.01 } } },
      ],
      initializers: { w: tensor('FP32', [4, 3, 2, 2], seededFloats(48, 8)), b: values(6, 9), ...statistics() },
    },
    'a product with factors': {
      nodes: [
        {
          op: 'Gemm',
          inputs: ['x', 'w', 'b'],
          outputs: ['c'],
          attributes: { alpha: { float: 0.5 }, beta: { float: 2 } },
        },
        norm,
      ],
      initializers: { w: tensor('FP32', [4, 6], seededFloats(24, 10)), b: values(6, 11), ...statistics() },
    },
    'a transposed product without bias': {
      nodes: [{ op: 'Gemm', inputs: ['x', 'w'], outputs: ['c'], attributes: { transB: { int: 1 } } }, norm],
      initializers: { w: tensor('FP32', [6, 4], seededFloats(24, 12)), ...statistics() },
    },
  }

  it.each(Object.keys(cases))('is right for %s', async (name) => {
    const fields = cases[name]
    if (fields === undefined) throw new Error(name)
    const model = spec(fields)
    const { inputs, outputs } = await answers(model)
    const folded = await applied(model, foldBatchNorm, dropDead)
    expect(opsOf(folded)).toHaveLength(1)
    expect(constantsOf(folded)).toHaveLength(2)
    // At most 36 products a sum, each rounded to 6e-8 of its size.
    expect(distance(outputs, await runModel(folded, inputs))).toBeLessThan(36 * 6e-8)
  })

  it('leaves alone a convolution that somebody else reads, and a normalization that trains', async () => {
    const conv = { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] }
    const initializers = { w: tensor('FP32', [6, 4, 3, 3], seededFloats(216, 5)), ...statistics() }
    const shared = spec({
      inputs: image,
      outputs: ['y', 'z'].map((name) => ({ name, datatype: 'FP32' })),
      nodes: [conv, norm, { op: 'Relu', inputs: ['c'], outputs: ['z'] }],
      initializers,
    })
    expect(opsOf(await applied(shared, foldBatchNorm))).toEqual(['Conv', 'BatchNormalization', 'Relu'])
    const training = spec({
      inputs: image,
      nodes: [
        conv,
        { ...norm, outputs: ['y', 'running_mean', 'running_variance'], attributes: { training_mode: { int: 1 } } },
      ],
      initializers,
    })
    expect(opsOf(await applied(training, foldBatchNorm))).toEqual(['Conv', 'BatchNormalization'])
  })

  it('leaves alone a variance that makes the factor infinite', async () => {
    const initializers = { w: tensor('FP32', [6, 4, 3, 3], seededFloats(216, 5)), ...statistics() }
    const model = spec({
      inputs: image,
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
        { ...norm, attributes: { epsilon: { float: 0 } } },
      ],
      initializers: { ...initializers, variance: floats(0, 0, 0, 0, 0, 0) },
    })
    expect(opsOf(await applied(model, foldBatchNorm))).toEqual(['Conv', 'BatchNormalization'])
  })
})
