import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { memorySource } from '../../../src/cli/pack/bytes.ts'
import { toOrtFormat } from '../../../src/cli/pack/convert.ts'
import { edgeEngine } from '../../../src/cli/pack/edge-engine.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import type { Session } from '../../../src/engine/engine.ts'
import { NativeEngine } from '../../../src/engine/native/engine.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { GraphView } from '../../../src/onnx/graph.ts'
import { type AppliedPatch, runPasses } from '../../../src/onnx/pass.ts'
import type { ModelProto } from '../../../src/onnx/schema/onnx_pb.js'
import { foldBias } from '../../../src/quantize/fold-bias.ts'
import { quantizedOps } from '../../../src/quantize/quantized-ops.ts'
import { sqnrDb } from '../../../src/quantize/shared/metrics.ts'
import { calibrate } from '../../../src/quantize/static/calibrate.ts'
import type { Observed } from '../../../src/quantize/static/ranges.ts'
import { type StaticOptions, staticInt8, staticValues } from '../../../src/quantize/static/static.ts'
import type { LayerResult, SkippedLayer } from '../../../src/quantize/types.ts'
import { type ModelSpec, type NodeSpec, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { artifactOf, never, sourceOf } from '../../../synthetic/source.ts'
import { loadNative, nativeEngine } from '../../fixtures/node/native.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../../fixtures/node/real-models.ts'

const random = (seed: number, ...shape: number[]): Tensor =>
  tensor(
    'FP32',
    shape,
    seededFloats(
      shape.reduce((product, size) => product * size, 1),
      seed,
    ),
  )

/** FP32 `image` of some shape, `scores` of any. */
function modelOf(
  shape: readonly (number | string)[],
  nodes: readonly NodeSpec[],
  initializers: NonNullable<ModelSpec['initializers']>,
  more: Partial<ModelSpec> = {},
): ModelProto {
  return decodeModel(
    onnxModel({
      opset: 13,
      inputs: [{ name: 'image', datatype: 'FP32', shape }],
      outputs: [{ name: 'scores', datatype: 'FP32' }],
      nodes,
      initializers,
      ...more,
    }),
  )
}

const pads = { pads: { ints: [1, 1, 1, 1] } }

/** Convolution, ReLU and pooling; a branch with a sum and a gate; a head. What a convolutional network is made of. */
function network(): ModelProto {
  return modelOf(
    ['n', 3, 16, 16],
    [
      { op: 'Conv', inputs: ['image', 'w1', 'b1'], outputs: ['c1'], attributes: pads },
      { op: 'Relu', inputs: ['c1'], outputs: ['r1'] },
      {
        op: 'MaxPool',
        inputs: ['r1'],
        outputs: ['p1'],
        attributes: { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } },
      },
      { op: 'Conv', inputs: ['p1', 'w2'], outputs: ['c2'], attributes: { ...pads, group: { int: 8 } } },
      { op: 'Clip', inputs: ['c2', 'zero', 'six'], outputs: ['r2'] },
      { op: 'Conv', inputs: ['r2', 'w3', 'b3'], outputs: ['c3'] },
      { op: 'Add', inputs: ['c3', 'p1'], outputs: ['s3'] },
      { op: 'GlobalAveragePool', inputs: ['s3'], outputs: ['g4'] },
      { op: 'Conv', inputs: ['g4', 'w4', 'b4'], outputs: ['c4'] },
      { op: 'Sigmoid', inputs: ['c4'], outputs: ['a4'] },
      { op: 'Mul', inputs: ['s3', 'a4'], outputs: ['m4'] },
      { op: 'Concat', inputs: ['m4', 'c3'], outputs: ['k5'], attributes: { axis: { int: 1 } } },
      {
        op: 'AveragePool',
        inputs: ['k5'],
        outputs: ['v5'],
        attributes: { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } },
      },
      { op: 'Flatten', inputs: ['v5'], outputs: ['f5'] },
      { op: 'Gemm', inputs: ['f5', 'w5', 'b5'], outputs: ['h5'], attributes: { transB: { int: 1 } } },
      { op: 'Relu', inputs: ['h5'], outputs: ['h6'] },
      { op: 'MatMul', inputs: ['h6', 'w6'], outputs: ['h7'] },
      { op: 'Softmax', inputs: ['h7'], outputs: ['scores'] },
    ],
    {
      w1: random(1, 8, 3, 3, 3),
      b1: random(2, 8),
      w2: random(3, 8, 1, 3, 3),
      zero: tensor('FP32', [], Float32Array.of(0)),
      six: tensor('FP32', [], Float32Array.of(6)),
      w3: random(4, 8, 8, 1, 1),
      b3: random(5, 8),
      w4: random(6, 8, 8, 1, 1),
      b4: random(7, 8),
      w5: random(8, 32, 256),
      b5: random(9, 32),
      w6: random(10, 32, 10),
    },
  )
}

const samples = (count: number, ...shape: number[]): Tensors[] =>
  Array.from({ length: count }, (_, index) => new Map([['image', random(100 + index, ...shape)]]))

interface Result {
  readonly model: ModelProto
  readonly bytes: Uint8Array
  readonly layers: readonly LayerResult[]
  readonly skipped: readonly SkippedLayer[]
  readonly applied: readonly AppliedPatch[]
}

async function quantize(
  model: ModelProto,
  inputs: readonly Tensors[],
  options: Partial<StaticOptions> & { readonly stopAfter?: number; readonly drop?: string } = {},
): Promise<Result> {
  const { stopAfter, drop, ...rest } = options
  const layers: LayerResult[] = []
  const skipped: SkippedLayer[] = []
  if (!model.graph) throw new Error('no graph')
  const ranges: Map<string, Observed> = await calibrate(model, inputs, {
    engine: nativeEngine(),
    values: staticValues(new GraphView(model, model.graph), rest),
    method: 'minmax',
    signal: never(),
  })
  if (drop !== undefined) ranges.delete(drop)
  const pass = staticInt8({
    ranges,
    record: (layer) => layers.push(layer),
    skip: (layer) => skipped.push(layer),
    ...rest,
  })
  const result = await runPasses(model, [pass], { signal: never(), ...(stopAfter !== undefined && { stopAfter }) })
  return { model: result.model, bytes: encodeModel(result.model), layers, skipped, applied: result.applied }
}

async function answer(session: Session, inputs: Tensors): Promise<Float32Array> {
  const [output] = [...(await session.run(inputs, { signal: never() })).values()]
  return output?.data as Float32Array
}

/** The nodes as they stand, in floats between QuantizeLinear and DequantizeLinear: what quantizing means. */
async function loadPlain(bytes: Uint8Array): Promise<Session> {
  const engine = new NativeEngine({
    clock: systemClock,
    threads: 1,
    maxArtifactBytes: LIMITS.nativeArtifactBytes,
    turnLeaseMs: LIMITS.turnLeaseMs,
    optimization: 'disabled',
  })
  return engine.load(await artifactOf(bytes), sourceOf(bytes), { signal: never() })
}

/** The Worker's WebAssembly, on the ORT format that it gets. */
async function loadEdge(bytes: Uint8Array): Promise<{ readonly session: Session; readonly text: string }> {
  const { bytes: ort } = await toOrtFormat(bytes)
  const session = await (await edgeEngine()).load(await artifactOf(ort, 'ort'), memorySource(ort), { signal: never() })
  return { session, text: Buffer.from(ort).toString('latin1') }
}

describe('static quantization of a network', () => {
  it.each([
    ['signed weights, unsigned activations', {}, true],
    ['unsigned weights', { weightType: 'uint8' }, true],
    ['one scale a weight', { perChannel: false }, true],
    ['7-bit weights', { reduceRange: true }, true],
    ['symmetric activations', { symmetric: true }, false],
    ['signed activations', { activationType: 'int8' }, false],
    ['signed symmetric activations', { activationType: 'int8', symmetric: true }, false],
  ] as const)('%s: near the floats; native, plain and edge agree', async (_, options, integers) => {
    const model = network()
    const { bytes, layers, skipped } = await quantize(model, samples(8, 1, 3, 16, 16), options)
    expect(layers.map(({ op }) => op)).toEqual(['Conv', 'Conv', 'Conv', 'Conv', 'Gemm', 'MatMul'])
    expect(skipped).toEqual([])
    const [floats, plain, native, edge] = [
      await loadNative(encodeModel(model)),
      await loadPlain(bytes),
      await loadNative(bytes),
      await loadEdge(bytes),
    ]
    const input = new Map([['image', random(999, 2, 3, 16, 16)]])
    const expected = await answer(floats, input)
    const meant = await answer(plain, input)
    // A step is 1/127 or 1/255 of a range; six layers of them in a row, then a softmax.
    expect(sqnrDb(expected, meant)).toBeGreaterThan(18)
    // Kernels round sums of integers where the plain nodes round sums of floats: a level apart now and then.
    expect(sqnrDb(meant, await answer(native, input))).toBeGreaterThan(30)
    expect(sqnrDb(meant, await answer(edge.session, input))).toBeGreaterThan(30)
    if (integers) {
      for (const op of ['QLinearConv', 'QLinearAdd', 'QLinearMul', 'QLinearConcat', 'QLinearSigmoid', 'QGemm']) {
        expect(edge.text).toContain(op)
      }
      for (const op of ['QLinearAveragePool', 'QLinearGlobalAveragePool']) expect(edge.text).toContain(op)
      expect(edge.text).not.toContain('Relu')
      expect(edge.text).not.toContain('Clip')
    }
  })

  it('leaves a model that is valid after every patch', async () => {
    const model = network()
    const inputs = samples(2, 1, 3, 16, 16)
    const { applied } = await quantize(model, inputs)
    expect(applied.length).toBeGreaterThan(12)
    const expected = await answer(await loadNative(encodeModel(model)), samples(1, 1, 3, 16, 16)[0] as Tensors)
    for (let stopAfter = 0; stopAfter <= applied.length; stopAfter += 2) {
      const { bytes } = await quantize(model, inputs, { stopAfter })
      const given = await answer(await loadNative(bytes), samples(1, 1, 3, 16, 16)[0] as Tensors)
      expect(sqnrDb(expected, given)).toBeGreaterThan(18)
    }
  })

  it('keeps the names of inputs, outputs and values, and drops weights in floats', async () => {
    const { model } = await quantize(network(), samples(2, 1, 3, 16, 16))
    const names = new Set(model.graph?.node.flatMap(({ output }) => output))
    for (const value of ['r1', 'p1', 'r2', 'c3', 's3', 'k5', 'h6', 'scores']) expect(names).toContain(value)
    const floats = model.graph?.initializer.filter(({ name }) => /^[wb][1-6]$/.test(name))
    expect(floats).toEqual([])
  })

  it('leaves the model that it is given as it was', async () => {
    const [model, same] = [network(), network()]
    await quantize(model, samples(1, 1, 3, 16, 16))
    expect(model).toEqual(same)
  })
})

describe('static quantization', () => {
  it('does not overflow where all products are as large as can be', async () => {
    // 64 products of 255 by 127: in 16 bits they would saturate at two.
    const model = modelOf([1, 64, 4, 4], [{ op: 'Conv', inputs: ['image', 'weight'], outputs: ['scores'] }], {
      weight: tensor('FP32', [8, 64, 1, 1], new Float32Array(512).fill(1)),
    })
    const ones = new Map([['image', tensor('FP32', [1, 64, 4, 4], new Float32Array(1024).fill(1))]])
    const { bytes } = await quantize(model, [ones])
    for (const session of [await loadNative(bytes), (await loadEdge(bytes)).session]) {
      for (const value of await answer(session, ones)) expect(Math.abs(value - 64)).toBeLessThanOrEqual(64 / 255)
    }
  })

  it('corrects biases by what rounding shifts the output', async () => {
    // Inputs far from zero and all alike, so that errors of the weights add up. (A convolution's are evened out.)
    const model = modelOf(['n', 64], [{ op: 'Gemm', inputs: ['image', 'weight'], outputs: ['scores'] }], {
      weight: random(3, 64, 8),
    })
    const inputs = [1, 2, 3, 4].map((seed) => {
      const values = seededFloats(256, seed).map((value) => 10 + value)
      return new Map([['image', tensor('FP32', [4, 64], values)]])
    })
    const expected = await answer(await loadNative(encodeModel(model)), inputs[0] as Tensors)
    const quality = async (correctBias: boolean): Promise<number> => {
      const { bytes } = await quantize(model, inputs, { correctBias })
      return sqnrDb(expected, await answer(await loadNative(bytes), inputs[0] as Tensors))
    }
    expect(await quality(true)).toBeGreaterThan((await quality(false)) + 3)
  })

  it('rounds each weight to one of the two levels beside it', async () => {
    const weight = random(11, 6, 5, 3, 3)
    const { model } = await quantize(
      modelOf([1, 5, 8, 8], [{ op: 'Conv', inputs: ['image', 'weight'], outputs: ['scores'] }], { weight: weight }),
      samples(1, 1, 5, 8, 8),
    )
    const initializer = (name: string): ArrayBuffer =>
      (model.graph?.initializer.find((each) => each.name === name)?.rawData ?? new Uint8Array(0)).slice().buffer
    const [levels, scales] = [new Int8Array(initializer('weight_q')), new Float32Array(initializer('weight_scale'))]
    expect([levels.length, scales.length]).toEqual([6 * 45, 6])
    for (let channel = 0; channel < 6; channel++) {
      let sum = 0
      for (let index = 45 * channel; index < 45 * channel + 45; index++) {
        const error = (levels[index] ?? 0) - ((weight.data as Float32Array)[index] ?? 0) / (scales[channel] ?? 1)
        expect(Math.abs(error)).toBeLessThan(1)
        sum += error
      }
      // Rounded to the nearest, 45 errors would add up to 1.9 or so.
      expect(Math.abs(sum)).toBeLessThanOrEqual(0.5001)
    }
  })

  it('copes with weights of zero and biases that dwarf them', async () => {
    const w = new Float32Array(3 * 4)
    w.fill(1e-12, 4, 8)
    w.fill(0.5, 8)
    const model = modelOf([1, 4, 2, 2], [{ op: 'Conv', inputs: ['image', 'weight', 'b'], outputs: ['scores'] }], {
      weight: tensor('FP32', [3, 4, 1, 1], w),
      b: tensor('FP32', [3], Float32Array.of(0.3, 1000, -0.25)),
    })
    const inputs = samples(2, 1, 4, 2, 2)
    const { bytes } = await quantize(model, inputs)
    const expected = await answer(await loadNative(encodeModel(model)), inputs[0] as Tensors)
    const given = await answer(await loadNative(bytes), inputs[0] as Tensors)
    // One scale for outputs of 0.3 and 1000: half a step of it.
    for (const [index, value] of expected.entries()) expect(Math.abs((given[index] ?? 0) - value)).toBeLessThan(2.1)
  })

  it('folds the factors of a Gemm, and takes one bias for all', async () => {
    const model = modelOf(
      ['n', 16],
      [
        {
          op: 'Gemm',
          inputs: ['image', 'weight', 'b'],
          outputs: ['scores'],
          attributes: { alpha: { float: 0.5 }, beta: { float: 2 } },
        },
      ],
      { weight: random(5, 16, 8), b: tensor('FP32', [1], Float32Array.of(0.7)) },
    )
    const inputs = samples(4, 2, 16)
    const { bytes } = await quantize(model, inputs)
    const expected = await answer(await loadNative(encodeModel(model)), inputs[1] as Tensors)
    expect(sqnrDb(expected, await answer(await loadNative(bytes), inputs[1] as Tensors))).toBeGreaterThan(30)
    expect((await loadEdge(bytes)).text).toContain('QGemm')
  })

  it('leaves post-processing in floats', async () => {
    const model = modelOf(
      [1, 3, 8, 8],
      [
        { op: 'Conv', inputs: ['image', 'weight'], outputs: ['c'] },
        { op: 'Transpose', inputs: ['c'], outputs: ['t'], attributes: { perm: { ints: [0, 2, 3, 1] } } },
        { op: 'Mul', inputs: ['t', 'factor'], outputs: ['m'] },
        { op: 'Exp', inputs: ['m'], outputs: ['scores'] },
      ],
      { weight: random(1, 4, 3, 1, 1), factor: tensor('FP32', [], Float32Array.of(0.1)) },
    )
    const { text } = await loadEdge((await quantize(model, samples(2, 1, 3, 8, 8))).bytes)
    expect(text).toContain('QLinearConv')
    expect(text).not.toContain('QLinearMul')
  })

  it('takes a convolution in one dimension, and gives out one whose output is the model’s', async () => {
    const model = modelOf(['n', 8, 'l'], [{ op: 'Conv', inputs: ['image', 'weight', 'b'], outputs: ['scores'] }], {
      weight: random(1, 16, 8, 3),
      b: random(2, 16),
    })
    const inputs = samples(4, 1, 8, 20)
    const { bytes } = await quantize(model, inputs)
    const expected = await answer(await loadNative(encodeModel(model)), inputs[0] as Tensors)
    const { session, text } = await loadEdge(bytes)
    expect(text).toContain('QLinearConv')
    expect(sqnrDb(expected, await answer(session, inputs[0] as Tensors))).toBeGreaterThan(30)
  })

  it('quantizes what is selected, and says why it leaves what it leaves', async () => {
    const model = modelOf(
      [1, 4, 8, 8],
      [
        { op: 'Conv', inputs: ['image', 'weight'], outputs: ['a'] },
        { op: 'Conv', inputs: ['a', 'weight'], outputs: ['b'] },
        { op: 'Conv', inputs: ['b', 'image'], outputs: ['c'] },
        { op: 'ConvTranspose', inputs: ['b', 'weight'], outputs: ['d'] },
        { op: 'Conv', inputs: ['d', 'weight'], outputs: ['e'] },
        { op: 'Add', inputs: ['e', 'c'], outputs: ['scores'] },
      ],
      { weight: random(1, 4, 4, 1, 1) },
      { inputs: [{ name: 'image', datatype: 'FP32', shape: [4, 4, 8, 8] }] },
    )
    const select: StaticOptions['select'] = (node) => node.output[0] !== 'a'
    const { layers, skipped, bytes } = await quantize(model, samples(1, 4, 4, 8, 8), { select, drop: 'd' })
    expect(layers.map(({ node }) => node)).toEqual(['b'])
    expect(skipped.map(({ node, reason }) => `${node}: ${reason}`)).toEqual([
      'c: its weight is not a constant',
      'd: ONNX Runtime has no integer kernel for transposed convolutions',
      'e: the range of "d" was not measured',
    ])
    await loadNative(bytes)
  })

  it('leaves subgraphs, and says so', async () => {
    const branch = (output: string) => ({
      graph: {
        inputs: [],
        outputs: [{ name: output, datatype: 'FP32' as const }],
        nodes: [{ op: 'Conv', inputs: ['image', 'weight'], outputs: [output] }],
      },
    })
    const model = modelOf(
      [1, 4, 8, 8],
      [
        { op: 'Identity', inputs: ['yes'], outputs: ['which'] },
        {
          op: 'If',
          inputs: ['which'],
          outputs: ['scores'],
          attributes: { then_branch: branch('p'), else_branch: branch('q') },
        },
      ],
      { weight: random(1, 4, 4, 1, 1), yes: tensor('BOOL', [], Uint8Array.of(1)) },
    )
    const skipped: SkippedLayer[] = []
    const pass = staticInt8({ ranges: new Map(), skip: (layer) => skipped.push(layer) })
    expect((await runPasses(model, [pass], { signal: never() })).applied).toEqual([])
    expect(skipped.map(({ node }) => node).sort()).toEqual(['p', 'q'])
    expect(skipped[0]?.reason).toMatch(/subgraph/)
  })

  it('refuses weights that are not numbers, and operator sets that are too old', async () => {
    const bad = modelOf([1, 4, 8, 8], [{ op: 'Conv', inputs: ['image', 'weight'], outputs: ['scores'] }], {
      weight: tensor('FP32', [1, 4, 1, 1], Float32Array.of(1, Number.NaN, 1, 1)),
    })
    const ranges = new Map(['image', 'scores'].map((value) => [value, { min: 0, max: 1 }]))
    await expect(runPasses(bad, [staticInt8({ ranges })], { signal: never() })).rejects.toMatchObject({
      code: 'bad_weights',
      node: 'scores',
    })
    const old = modelOf(
      [1, 4, 8, 8],
      [{ op: 'Conv', inputs: ['image', 'weight'], outputs: ['scores'] }],
      { weight: random(1, 4, 4, 1, 1) },
      { opset: 12 },
    )
    await expect(runPasses(old, [staticInt8({ ranges })], { signal: never() })).rejects.toMatchObject({
      code: 'unsupported',
    })
  })
})

describe('constants added to what layers give', () => {
  const image = [1, 3, 6, 6]
  const conv = { op: 'Conv', inputs: ['image', 'weight'], outputs: ['sums'] }
  const withBias = { ...conv, inputs: ['image', 'weight', 'bias'] }
  const weight = random(1, 4, 3, 3, 3)
  const add = { op: 'Add', inputs: ['sums', 'added'], outputs: ['scores'] }
  const product = { op: 'MatMul', inputs: ['image', 'weight'], outputs: ['sums'] }

  it.each([
    ['a convolution', image, [conv, add], { weight, added: random(2, 4, 1, 1) }, 'Conv'],
    [
      'a convolution with a bias',
      image,
      [withBias, add],
      { weight, bias: random(3, 4), added: random(2, 1, 4, 1, 1) },
      'Conv',
    ],
    [
      'a product, from the left',
      ['n', 5],
      [product, { ...add, inputs: ['added', 'sums'] }],
      { weight: random(4, 5, 4), added: random(2, 4) },
      'Gemm',
    ],
    ['a product, in a row', ['n', 5], [product, add], { weight: random(4, 5, 4), added: random(2, 1, 4) }, 'Gemm'],
  ] as const)('become the bias of %s', async (_, shape, nodes, initializers, op) => {
    const model = modelOf(shape, nodes, initializers)
    const { model: folded } = await runPasses(model, [foldBias], { signal: never() })
    expect(folded.graph?.node.map(({ opType }) => opType)).toEqual([op])
    const input = new Map([['image', random(9, ...shape.map((size) => (typeof size === 'number' ? size : 2)))]])
    const expected = await answer(await loadNative(encodeModel(model)), input)
    // Sums of the same terms in another order.
    expect(sqnrDb(expected, await answer(await loadNative(encodeModel(folded)), input))).toBeGreaterThan(120)
  })

  it.each([
    ['along another dimension', image, [conv, add], { weight, added: random(2, 4) }],
    ['of another size', image, [conv, add], { weight, added: random(2, 4, 4, 4) }],
    ['to a product of more dimensions', ['n', 2, 5], [product, add], { weight: random(4, 5, 4), added: random(2, 4) }],
    ['row by row', [4, 5], [product, add], { weight: random(4, 5, 4), added: random(2, 4, 1) }],
    [
      'to what others read too',
      image,
      [conv, { ...add, outputs: ['more'] }, { op: 'Mul', inputs: ['sums', 'more'], outputs: ['scores'] }],
      { weight, added: random(2, 4, 1, 1) },
    ],
  ] as const)('stay where they are added %s', async (_, shape, nodes, initializers) => {
    const model = modelOf(shape, nodes, initializers)
    expect((await runPasses(model, [foldBias], { signal: never() })).applied).toEqual([])
  })
})

describe('models that are quantized already', () => {
  it('are told by their operators', async () => {
    expect(quantizedOps(network())).toEqual([])
    const { model } = await quantize(network(), samples(1, 1, 3, 16, 16))
    expect(quantizedOps(model)).toEqual(['DequantizeLinear', 'QuantizeLinear'])
  })

  it.skipIf(!haveRealModels)(`mobilenetv2-12-int8 among them (skipped only where ${SKIP_REASON})`, () => {
    const found = (folder: string): string[] =>
      quantizedOps(decodeModel(readFileSync(join(REAL_MODELS, folder, 'model.onnx'))))
    expect(found('mobilenetv2-12-int8')).toEqual([
      'DequantizeLinear',
      'QLinearAdd',
      'QLinearConv',
      'QLinearGlobalAveragePool',
      'QLinearMatMul',
      'QuantizeLinear',
    ])
    for (const folder of ['mnist-8', 'ultraface-rfb-320', 'magika-standard-v3.3']) expect(found(folder)).toEqual([])
  })
})
