import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { toOrtFormat } from '../../../src/cli/pack/convert.ts'
import { edgeEngine } from '../../../src/cli/pack/edge-engine.ts'
import { halfBits, halves, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { byteCountOf, DataType, floatsOf } from '../../../src/onnx/data.ts'
import { graphsOf } from '../../../src/onnx/graph.ts'
import { inferTypes } from '../../../src/onnx/infer/infer.ts'
import { runPasses } from '../../../src/onnx/pass.ts'
import { cleaning } from '../../../src/onnx/passes/clean.ts'
import { dropDead } from '../../../src/onnx/passes/drop-dead.ts'
import { nameNodes } from '../../../src/onnx/passes/name-nodes.ts'
import type { ModelProto } from '../../../src/onnx/schema/onnx_pb.js'
import { type Fp16Options, toFp16 } from '../../../src/quantize/fp16/fp16.ts'
import { weightOnly4 } from '../../../src/quantize/products/weight-only.ts'
import { prune } from '../../../src/quantize/prune.ts'
import { toHalves } from '../../../src/quantize/shared/halves.ts'
import { cosine } from '../../../src/quantize/shared/metrics.ts'
import { embeddings } from '../../../src/quantize/tables/embeddings.ts'
import type { LayerResult, SkippedLayer } from '../../../src/quantize/types.ts'
import { type ModelSpec, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { artifactOf, never, sourceOf } from '../../../synthetic/source.ts'
import { halfBitsByFormula, halfByFormula } from '../../fixtures/halves.ts'
import { haveRealModels, SKIP_REASON } from '../../fixtures/node/real-models.ts'
import { GRAPH_MODELS, graphModel, inputsOf, loadModel, plainEngine, runModel } from '../../fixtures/node/run-onnx.ts'

async function halved(model: ModelProto, options: Fp16Options = {}) {
  const layers: LayerResult[] = []
  const skipped: SkippedLayer[] = []
  const engine = plainEngine()
  const { model: clean } = await runPasses(model, cleaning({ engine }), { signal: never() })
  const fp16 = toFp16({ record: (layer) => layers.push(layer), skip: (layer) => skipped.push(layer), ...options })
  const { model: result, applied } = await runPasses(clean, [fp16, dropDead], { signal: never() })
  return { clean, result, layers, skipped, applied }
}

/** Bytes of the constants in floats, single numbers left out. */
const floatBytes = (model: ModelProto): number =>
  graphsOf(model)
    .flatMap(({ graph }) => graph.initializer)
    .filter(({ dataType }) => dataType === DataType.FLOAT || dataType === DataType.FLOAT16)
    .reduce((sum, each) => sum + byteCountOf(each), 0)

describe('halves', () => {
  it('are those of the exact conversion, around every half and between each two', () => {
    const values: number[] = [Number.NaN, 3.4e38, -3.4e38, 1e-45, -1e-45, 65519.99, 65520, Number.POSITIVE_INFINITY]
    for (let bits = 0; bits < 0x7c00; bits++) {
      const value = halfByFormula(bits)
      const next = bits === 0x7bff ? 65536 : halfByFormula(bits + 1)
      const middle = (value + next) / 2
      for (const each of [value, middle, middle * (1 + 2 ** -22), middle * (1 - 2 ** -22)]) values.push(each, -each)
    }
    const floats = Float32Array.from(values)
    const { bits } = toHalves([{ start: 0, values: floats }], floats.length)
    expect(bits).toEqual(Uint16Array.from(floats, halfBitsByFormula))
  })

  it('are counted where a finite weight became infinite or none is a number, and every NaN is the same half', () => {
    const negativeNaN = new Float32Array(new Uint32Array([0xffc00001]).buffer)
    const values = Float32Array.of(70_000, Number.POSITIVE_INFINITY, Number.NaN, negativeNaN[0] ?? 0, 1)
    const { bits, overflowed, nans, sqnrDb } = toHalves([{ start: 0, values }], values.length)
    expect([...bits]).toEqual([0x7c00, 0x7c00, 0x7e00, 0x7e00, 0x3c00])
    expect({ overflowed, nans, sqnrDb }).toEqual({ overflowed: 1, nans: 2, sqnrDb: null })
  })
})

const opsOf = (model: ModelProto): string[] => graphsOf(model).flatMap(({ graph }) => graph.node.map((n) => n.opType))

/** Least cosine over the outputs in floats, which halves may be among the actual ones. */
function agreement(expected: Tensors, actual: Tensors): number {
  let least = 1
  for (const [name, right] of expected) {
    const given = actual.get(name)
    expect(given?.shape, name).toEqual(right.shape)
    if (right.datatype !== 'FP32') expect(given, name).toEqual(right)
    else if (given?.datatype === 'FP32') least = Math.min(least, cosine(right.data, given.data))
    else if (given?.datatype === 'FP16') least = Math.min(least, cosine(right.data, halves(given.data)))
    else throw new Error(`${name} is missing`)
  }
  return least
}

/** Models whose weights are floats: those that are integers already, or no tensors at all, have nothing to halve. */
const FLOAT_MODELS = Object.keys(GRAPH_MODELS).filter((name) => !['mobilenetv2 int8', 'titanic'].includes(name))

describe(haveRealModels ? 'fp16' : `fp16 (third-party models left out: ${SKIP_REASON})`, () => {
  // Halves have 11 bits: a rounding is 5e-4 at most, and roundings at nodes mostly cancel out. The tool asks for 0.999.
  it.each(FLOAT_MODELS)('%s answers as in single precision', async (name) => {
    const { clean, result, layers } = await halved(graphModel(name))
    const session = await loadModel(clean)
    const inputs = inputsOf(session)
    const expected = await session.run(inputs, { signal: never() })
    session.dispose()
    expect(agreement(expected, await runModel(result, inputs, 'all'))).toBeGreaterThan(0.99999)
    const [before, after] = [floatBytes(clean), floatBytes(result)]
    expect(after).toBeLessThan(before * 0.52)
    const saved = layers.reduce((sum, { bytesBefore, bytesAfter }) => sum + bytesBefore - bytesAfter, 0)
    // Single numbers are not among the layers.
    expect(before - after - saved).toBeLessThan(200)
    expect(before - after - saved).toBeGreaterThanOrEqual(0)
    // Rounding to 11 bits leaves about 73 dB; weights near the halves' lower end lose some of that.
    for (const { sqnrDb } of layers) expect(sqnrDb ?? 100).toBeGreaterThan(50)
  })

  it('halves inputs and outputs too where it is asked to', async () => {
    const { clean, result } = await halved(graphModel('digits'), { keepIo: false })
    const session = await loadModel(clean)
    const inputs = inputsOf(session)
    const expected = await session.run(inputs, { signal: never() })
    session.dispose()
    const image = inputs.get('image')
    if (image?.datatype !== 'FP32') throw new Error('no image')
    const half = tensor('FP16', image.shape, halfBits(image.data))
    const actual = await runModel(result, new Map([['image', half]]), 'all')
    expect(actual.get('logits')?.datatype).toBe('FP16')
    expect(agreement(expected, actual)).toBeGreaterThan(0.99999)
    expect(opsOf(result)).not.toContain('Cast')
  })

  it('works on the rest of what 4-bit quantization leaves', async () => {
    const { clean } = await halved(graphModel('small encoder, fp32'))
    const session = await loadModel(clean)
    const inputs = inputsOf(session)
    const { model: four } = await runPasses(clean, [weightOnly4(), dropDead], { signal: never() })
    const { model: both } = await runPasses(four, [toFp16(), dropDead], { signal: never() })
    const nodes = both.graph?.node.filter(({ opType }) => opType === 'MatMulNBits') ?? []
    const types = inferTypes(both)
    expect(nodes.length).toBeGreaterThan(0)
    for (const { input } of nodes) {
      const found = [input[0], input[2]].map((value) => both.graph && types.of(both.graph, value ?? '').elementType)
      expect(found).toEqual([DataType.FLOAT16, DataType.FLOAT16])
    }
    const rest = await runModel(four, inputs, 'all')
    // Against the 4-bit model: its own loss is not at issue here.
    expect(agreement(rest, await runModel(both, inputs, 'all'))).toBeGreaterThan(0.9999)
    session.dispose()
  })

  it("runs in the Worker's engine as it does natively, in ORT format", async () => {
    const engine = await edgeEngine()
    for (const name of ['digits', 'small encoder, fp32']) {
      const { clean } = await halved(graphModel(name))
      const four = name === 'digits' ? [] : [weightOnly4(), embeddings({ bits: 4 })]
      const { model } = await runPasses(clean, [...four, toFp16(), dropDead], { signal: never() })
      const { bytes } = await toOrtFormat(encodeModel(model))
      const session = await engine.load(await artifactOf(bytes, 'ort'), sourceOf(bytes), { signal: never() })
      const original = await loadModel(clean)
      const inputs = inputsOf(original)
      const actual = await session.run(inputs, { signal: never() })
      // Both engines compute in floats between halves: they differ where a rounding falls on the other side.
      expect(agreement(await runModel(model, inputs, 'all'), actual)).toBeGreaterThan(0.99999)
      session.dispose()
      original.dispose()
    }
  })

  it('can be cut short after any patch', async () => {
    const { clean, applied } = await halved(graphModel('digits'))
    const session = await loadModel(clean)
    const inputs = inputsOf(session)
    const expected = await session.run(inputs, { signal: never() })
    session.dispose()
    for (let stopAfter = 0; stopAfter <= applied.length; stopAfter += 5) {
      const { model } = await runPasses(clean, [toFp16(), dropDead], { signal: never(), stopAfter })
      expect(agreement(expected, await runModel(model, inputs)), `after ${stopAfter}`).toBeGreaterThan(0.99999)
    }
  })
})

describe('fp16 of single nodes', () => {
  const spec = (fields: Partial<ModelSpec> & Pick<ModelSpec, 'nodes'>): ModelProto =>
    decodeModel(
      onnxModel({
        inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 4] }],
        outputs: [{ name: 'y', datatype: 'FP32' }],
        ...fields,
      }),
    )
  const floats = (...values: number[]) => tensor('FP32', [values.length], Float32Array.from(values))
  const scalar = (value: number) => tensor('FP32', [], Float32Array.of(value))
  const x = tensor('FP32', [2, 4], Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8))

  async function plain(model: ModelProto, options: Fp16Options = {}) {
    const skipped: SkippedLayer[] = []
    const pass = toFp16({ skip: (layer) => skipped.push(layer), ...options })
    const { model: result } = await runPasses(model, [nameNodes, pass, dropDead], { signal: never() })
    return { skipped, result }
  }

  it.each([
    ['beyond the largest half', [1, 2, 3, 70_000], 'beyond 65504'],
    ['too small', [1e-7, 2e-7, 3e-8, 1e-8], 'too small'],
  ])('leaves a node whose weight is %s in single precision', async (_, weight, reason) => {
    const model = spec({
      nodes: [
        { op: 'Mul', inputs: ['x', 'w'], outputs: ['a'] },
        { op: 'Relu', inputs: ['a'], outputs: ['y'] },
      ],
      initializers: { w: floats(...weight) },
    })
    const { skipped, result } = await plain(model)
    expect(skipped.map(({ node }) => node)).toEqual(['Mul'])
    expect(skipped[0]?.reason).toContain(reason)
    expect(result.graph?.initializer.map(({ dataType }) => dataType)).toEqual([DataType.FLOAT])
  })

  it('keeps masks finite and epsilons above zero', async () => {
    const model = spec({
      nodes: [
        { op: 'Mul', inputs: ['x', 'lowest'], outputs: ['mask'] },
        { op: 'Sub', inputs: ['x', 'x'], outputs: ['zero'] },
        { op: 'Add', inputs: ['zero', 'epsilon'], outputs: ['guarded'] },
        { op: 'Div', inputs: ['zero', 'guarded'], outputs: ['quotient'] },
        { op: 'Add', inputs: ['quotient', 'mask'], outputs: ['y'] },
      ],
      initializers: { lowest: scalar(-3.4e38), epsilon: scalar(1e-12) },
    })
    const { skipped, result } = await plain(model)
    expect(skipped).toEqual([])
    const input = tensor('FP32', [2, 4], Float32Array.of(0, 0, 0, 0, 1, 1, 1, 1))
    const outputs = await runModel(result, new Map([['x', input]]))
    expect(outputs.get('y')?.data).toEqual(Float32Array.of(0, 0, 0, 0, -65504, -65504, -65504, -65504))
  })

  it('refuses weights that are not numbers', async () => {
    const model = spec({
      nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: { w: floats(1, Number.NaN, 2, 3) },
    })
    await expect(plain(model)).rejects.toMatchObject({ code: 'bad_weights', node: 'Mul' })
  })

  it('leaves nodes that are blocked, listed, not selected or out of range in single precision', async () => {
    const model = (): ModelProto =>
      spec({
        nodes: [
          { op: 'Relu', inputs: ['x'], outputs: ['a'] },
          { op: 'Exp', inputs: ['a'], outputs: ['b'] },
          { op: 'Sqrt', inputs: ['b'], outputs: ['y'] },
        ],
      })
    const halves = async (options: Fp16Options): Promise<string[]> => {
      const { result } = await plain(model(), options)
      const { graph } = result
      if (!graph) return []
      const types = inferTypes(result)
      const ofHalves = (value = ''): boolean => types.of(graph, value).elementType === DataType.FLOAT16
      return graph.node.filter(({ opType, input }) => opType !== 'Cast' && ofHalves(input[0])).map((n) => n.opType)
    }
    expect(await halves({})).toEqual(['Relu', 'Exp', 'Sqrt'])
    expect(await halves({ blockedOps: ['Exp'] })).toEqual(['Relu', 'Sqrt'])
    expect(await halves({ nodeBlockList: ['Relu'] })).toEqual(['Exp', 'Sqrt'])
    expect(await halves({ select: ({ opType }) => opType === 'Sqrt' })).toEqual(['Sqrt'])
    expect(await halves({ ranges: new Map([['b', { min: 0, max: 1e5 }]]) })).toEqual(['Relu'])
  })

  it('leaves the arithmetic of sizes and positions exact', async () => {
    // 4,097 is no half.
    const model = spec({
      inputs: [{ name: 'n', datatype: 'INT64', shape: [1] }],
      outputs: [{ name: 'y', datatype: 'INT64' }],
      nodes: [
        { op: 'Cast', inputs: ['n'], outputs: ['f'], attributes: { to: { int: 1 } } },
        { op: 'Mul', inputs: ['f', 'one'], outputs: ['g'] },
        { op: 'Floor', inputs: ['g'], outputs: ['h'] },
        { op: 'Cast', inputs: ['h'], outputs: ['y'], attributes: { to: { int: 7 } } },
      ],
      initializers: { one: scalar(1) },
    })
    const { result, skipped } = await plain(model)
    expect(skipped.map(({ op }) => op)).toEqual(['Mul', 'Floor'])
    const outputs = await runModel(result, new Map([['n', tensor('INT64', [1], BigInt64Array.of(4097n))]]))
    expect(outputs.get('y')?.data).toEqual(BigInt64Array.of(4097n))
  })

  it('joins halves across the border of an inner graph without casts between', async () => {
    const branch = (name: string, op: string) => ({
      graph: {
        inputs: [],
        outputs: [{ name, datatype: 'FP32' as const }],
        nodes: [{ op, inputs: ['a'], outputs: [name] }],
      },
    })
    const model = spec({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [2, 4] },
        { name: 'c', datatype: 'BOOL', shape: [] },
      ],
      nodes: [
        { op: 'Exp', inputs: ['x'], outputs: ['a'] },
        {
          op: 'If',
          inputs: ['c'],
          outputs: ['y'],
          attributes: { then_branch: branch('t', 'Sqrt'), else_branch: branch('e', 'Neg') },
        },
      ],
    })
    const { result } = await plain(model)
    // Into Exp, and out of each branch; none from Exp into the branches.
    expect(opsOf(result).filter((op) => op === 'Cast')).toHaveLength(3)
    const c = tensor('BOOL', [], Uint8Array.of(1))
    const inputs = new Map([
      ['x', x],
      ['c', c],
    ])
    const outputs = await runModel(result, inputs)
    expect(agreement(await runModel(model, inputs), outputs)).toBeGreaterThan(0.99999)
  })
})

describe('pruning', () => {
  const matmul = (weight: Float32Array): ModelProto =>
    decodeModel(
      onnxModel({
        inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 64] }],
        outputs: [{ name: 'y', datatype: 'FP32' }],
        nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: { w: tensor('FP32', [64, weight.length / 64], weight) },
      }),
    )

  it('sets the smallest share of each weight to zero, and says what that does', async () => {
    const weight = seededFloats(64 * 32, 3)
    const layers: LayerResult[] = []
    const pass = prune({ sparsity: 0.75, record: (layer) => layers.push(layer) })
    const original = matmul(weight)
    const { model } = await runPasses(original, [pass], { signal: never() })
    const [tensorOf] = model.graph?.initializer ?? []
    if (!tensorOf) throw new Error('no weight')
    const values = floatsOf(tensorOf)
    const kept = [...values.keys()].filter((index) => values[index] !== 0)
    expect(kept).toHaveLength(weight.length / 4)
    expect(kept.every((index) => values[index] === weight[index])).toBe(true)
    const least = Math.min(...kept.map((index) => Math.abs(weight[index] as number)))
    const gone = weight.filter((_, index) => values[index] === 0)
    expect(Math.max(...gone.map(Math.abs))).toBeLessThanOrEqual(least)
    // Evenly spread numbers: three quarters of them hold (3/4)^3 of the power.
    expect(layers).toHaveLength(1)
    expect(layers[0]?.sqnrDb).toBeCloseTo(-30 * Math.log10(0.75), 0)
    const zipped = (whole: typeof model): number => gzipSync(encodeModel(whole), { level: 9 }).length
    expect(zipped(model)).toBeLessThan(zipped(original) * 0.5)
    expect(original.graph?.initializer[0]).not.toBe(tensorOf)
  })

  it('takes no more than its share of equal weights', async () => {
    const { model } = await runPasses(matmul(new Float32Array(64).fill(0.5)), [prune({ sparsity: 0.5 })], {
      signal: never(),
    })
    const [tensorOf] = model.graph?.initializer ?? []
    expect(tensorOf && floatsOf(tensorOf).filter((value) => value === 0)).toHaveLength(32)
  })

  it('changes nothing that is not selected, and nothing at a share of 0', async () => {
    const model = matmul(seededFloats(64, 1))
    for (const pass of [prune({ sparsity: 0.5, select: () => false }), prune({ sparsity: 0 })]) {
      expect((await runPasses(model, [pass], { signal: never() })).applied).toEqual([])
    }
  })

  it('refuses shares that are none, and weights that are not numbers', async () => {
    for (const sparsity of [-0.1, 1, Number.NaN]) {
      expect(() => prune({ sparsity })).toThrowError(expect.objectContaining({ code: 'bad_options' }))
    }
    const model = matmul(new Float32Array(64).fill(Number.NaN))
    await expect(runPasses(model, [prune({ sparsity: 0.5 })], { signal: never() })).rejects.toMatchObject({
      code: 'bad_weights',
    })
  })
})
