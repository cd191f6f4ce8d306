import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { referenceEngine } from '../../src/cli/build/context.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { findSamples } from '../../src/cli/verify/find.ts'
import { referenceSession } from '../../src/cli/verify/reference.ts'
import { toleranceFor } from '../../src/cli/verify/tolerance.ts'
import { tensor } from '../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { countOf, DataType, floatsOf } from '../../src/onnx/data.ts'
import type { ModelProto } from '../../src/onnx/schema/onnx_pb.js'
import { validateModel } from '../../src/onnx/validate.ts'
import { chooseMethod } from '../../src/quantize/method.ts'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { type Quantized, type QuantizeOptions, quantizeModel, quantizePrepared } from '../../src/quantize/quantize.ts'
import { quantizedOps } from '../../src/quantize/quantized-ops.ts'
import { DTYPES, type Sample } from '../../src/quantize/types.ts'
import { never } from '../../synthetic/source.ts'
import { loadNative } from '../fixtures/node/native.ts'
import {
  encoder,
  encoderSamples,
  named,
  pictureNetwork,
  pictureSamples,
  randomTensor,
} from '../fixtures/node/networks.ts'
import { initializersOf, opsOf } from '../fixtures/node/quantize.ts'

const env = { engine: referenceEngine(), signal: never() }
const quantize = (model: ModelProto, options: QuantizeOptions): Promise<Quantized> => quantizeModel(model, options, env)

/** The only output for each sample, one after the other. */
async function outputsOf(bytes: Uint8Array, samples: readonly Sample[]): Promise<number[]> {
  const session = await referenceSession(bytes, never())
  const values: number[] = []
  for (const { inputs } of samples) {
    const [output] = (await session.run(inputs, { signal: never() })).values()
    if (output?.datatype !== 'FP32') throw new Error('The model is to give floats.')
    values.push(...output.data)
  }
  session.dispose()
  return values
}

/** Root-mean-square error as a share of the expected root mean square. */
function relativeError(expected: readonly number[], actual: readonly number[]): number {
  expect(actual.length).toBe(expected.length)
  let [error, power] = [0, 0]
  for (const [index, value] of expected.entries()) {
    error += (value - (actual[index] ?? Number.NaN)) ** 2
    power += value ** 2
  }
  return Math.sqrt(error / power)
}

/** Weights in 32-bit floats that are large enough to be worth changing. */
function floatsLeft(model: ModelProto): string[] {
  return [...initializersOf(model).values()]
    .filter((weight) => weight.dataType === DataType.FLOAT && countOf(weight) >= 1024)
    .map(({ name }) => name)
}

const NETWORKS = [
  { kind: 'an encoder', network: encoder(), samples: encoderSamples() },
  { kind: 'a network for pictures', network: pictureNetwork(), samples: pictureSamples() },
]
const SHIPPED = ['digits', 'reviews'].map((name) => ({
  kind: name,
  bytes: new Uint8Array(readFileSync(join(ROOT, 'models', name, 'model.onnx'))),
}))

describe.each(NETWORKS)('$kind', ({ network: { model, bytes }, samples }) => {
  it.each(DTYPES)('in %s loads, agrees with the original, and leaves that as it was', async (dtype) => {
    const before = decodeModel(bytes.slice())
    const result = await quantize(model, { dtype })
    expect(model).toEqual(before)
    expect(encodeModel(model)).toEqual(bytes)
    validateModel(result.model)
    const changed = encodeModel(result.model)
    ;(await loadNative(changed)).dispose()
    const error = relativeError(await outputsOf(bytes, samples), await outputsOf(changed, samples))
    expect(error).toBeLessThanOrEqual(toleranceFor(dtype).relative)
    if (dtype === 'fp32') {
      expect(result.layers).toEqual([])
      return
    }
    expect(floatsLeft(result.model)).toEqual([])
    // Something was lost, and it is the smaller for it.
    expect(error).toBeGreaterThan(1e-6)
    const share = { fp16: 0.6, q4: 0.45, q4f16: 0.45 }[dtype as string] ?? 0.4
    expect(changed.length / bytes.length).toBeLessThan(share)
    expect(result.layers.length).toBeGreaterThanOrEqual(3)
    expect(result.method === undefined).toBe(dtype === 'fp16' || dtype.startsWith('q4'))
  })
})

describe.each(SHIPPED)('$kind', ({ bytes }) => {
  it.each(['fp16', 'q8', 'uint8', 'q4', 'q4f16'] as const)('in %s agrees with the original', async (dtype) => {
    const samples = await findSamples(bytes, { count: 4, seed: 7, signal: never() })
    const { model, layers } = await quantize(decodeModel(bytes), { dtype })
    expect(layers.length).toBeGreaterThan(0)
    const error = relativeError(await outputsOf(bytes, samples), await outputsOf(encodeModel(model), samples))
    expect(error).toBeLessThanOrEqual(toleranceFor(dtype).relative)
  })
})

describe('the method', () => {
  it('goes by what most weights are of, and by whether there are samples', () => {
    const { model: pictures } = pictureNetwork()
    const { model: text } = encoder()
    expect(chooseMethod(pictures, false)).toMatchObject({ method: 'weights', why: expect.stringMatching(/no samples/) })
    expect(chooseMethod(pictures, true)).toMatchObject({ method: 'static', why: expect.stringMatching(/samples/) })
    for (const haveSamples of [true, false]) {
      expect(chooseMethod(text, haveSamples)).toMatchObject({
        method: 'dynamic',
        why: expect.stringMatching(/most weights are of tables/),
      })
    }
  })

  it('is noted where it was chosen, and taken as it is where it was asked for', async () => {
    const { model } = pictureNetwork()
    const samples = pictureSamples()
    const chosen = await quantize(model, { dtype: 'q8', samples })
    expect(chosen.method).toBe('static')
    expect(chosen.notes.join('\n')).toMatch(/^static: most weights are of convolutions/m)
    expect(opsOf(chosen.model)).toContain('QuantizeLinear')
    const weights = await quantize(model, { dtype: 'q8', samples, method: 'weights' })
    expect(weights.method).toBe('weights')
    expect(opsOf(weights.model)).not.toContain('QuantizeLinear')
    expect(opsOf(weights.model)).toContain('DequantizeLinear')
    const dynamic = await quantize(model, { dtype: 'q8', method: 'dynamic' })
    expect(opsOf(dynamic.model)).toContain('MatMulInteger')
  })

  it('static agrees too, with each way of calibration', async () => {
    const { model, bytes } = pictureNetwork()
    const samples = pictureSamples()
    const expected = await outputsOf(bytes, samples)
    for (const method of ['minmax', 'percentile', 'entropy'] as const) {
      const result = await quantize(model, { dtype: 'q8', method: 'static', samples, calibration: { method } })
      const actual = await outputsOf(encodeModel(result.model), samples)
      expect(relativeError(expected, actual), method).toBeLessThanOrEqual(toleranceFor('q8').relative)
    }
  })

  it('static is refused without samples', async () => {
    await expect(quantize(encoder().model, { dtype: 'q8', method: 'static' })).rejects.toMatchObject({
      name: 'OnnxError',
      code: 'bad_options',
      message: expect.stringMatching(/needs samples/),
    })
  })
})

describe('what is quantized', () => {
  it('is not what is excluded by name, pattern or operator', async () => {
    const { model } = encoder()
    const nodesOf = (result: Quantized): string[] => result.layers.map(({ node }) => node).sort()
    const all = nodesOf(await quantize(model, { dtype: 'q8' }))
    expect(all).toEqual(['lowered', 'raised', 'scores', 'words'])
    const without = async (nodes: string[], ops: string[] = []): Promise<string[]> =>
      nodesOf(await quantize(model, { dtype: 'q8', exclude: { nodes, ops } }))
    expect(await without(['raised'])).toEqual(['lowered', 'scores', 'words'])
    expect(await without(['*ed'])).toEqual(['scores', 'words'])
    expect(await without(['low*', 'scores'], ['Gather'])).toEqual(['raised'])
    const { model: kept, skipped } = await quantize(model, { dtype: 'q4', exclude: { nodes: ['raised'], ops: [] } })
    expect(floatsLeft(kept)).toEqual(['up'])
    // It was asked for, and is no news.
    expect(skipped).toEqual([])
  })

  it('is noted where an exclusion fits nothing', async () => {
    const exclude = { nodes: ['raised', 'lowred', 'head*'], ops: ['Conv'] }
    const { notes } = await quantize(encoder().model, { dtype: 'q8', exclude })
    expect(notes.filter((note) => note.startsWith('exclusions: '))).toEqual([
      'exclusions: no node has the name "lowred"',
      'exclusions: no node has the name "head*"',
      'exclusions: no node has the operator "Conv"',
    ])
  })

  it('follows a plan node by node', async () => {
    const { model, bytes } = encoder()
    const plan = new Map([
      ['raised', 'q4'],
      ['lowered', 'int8'],
      ['words', 'q4'],
      ['scores', 'fp32'],
    ] as const)
    const { model: mixed, layers } = await quantize(model, { dtype: 'q4', plan })
    expect(Object.fromEntries(layers.map(({ node, to }) => [node, to]))).toEqual({
      raised: 'int4',
      lowered: 'int8',
      words: expect.stringMatching(/^u?int4$/),
    })
    expect(opsOf(mixed).filter((op) => /MatMulNBits|MatMulInteger|Gemm|MatMul$/.test(op))).toEqual([
      'MatMulNBits',
      'MatMulInteger',
      'Gemm',
    ])
    expect(floatsLeft(mixed)).toEqual(['head'])
    const samples = encoderSamples()
    const error = relativeError(await outputsOf(bytes, samples), await outputsOf(encodeModel(mixed), samples))
    expect(error).toBeLessThanOrEqual(toleranceFor('q4').relative)
    // A node that the plan does not name stays.
    const none = await quantize(model, { dtype: 'q4', plan: new Map() })
    expect(none.layers).toEqual([])
    expect(quantizedOps(none.model)).toEqual([])
  })

  it('stops after any number of changes with a model that runs, so that halving finds one at fault', async () => {
    const { model, bytes } = encoder()
    const samples = encoderSamples(1)
    const expected = await outputsOf(bytes, samples)
    const prepared = (await prepareModel(model, env)).model
    const whole = await quantizePrepared(prepared, { dtype: 'q8' }, env)
    const total = whole.applied.length
    expect(total).toBeGreaterThanOrEqual(4)
    const at = async (stopAfter: number): Promise<Quantized> =>
      quantizePrepared(prepared, { dtype: 'q8', stopAfter }, env)
    for (let count = 0; count <= total; count++) {
      const { applied, layers, model: partial } = await at(count)
      expect(applied).toEqual(whole.applied.slice(0, count))
      expect(layers).toEqual(whole.layers.slice(0, layers.length))
      const actual = await outputsOf(encodeModel(partial), samples)
      expect(relativeError(expected, actual)).toBeLessThanOrEqual(toleranceFor('q8').relative)
    }
    // The change by which `scores` loses its floats, found as a person would find it.
    let [good, bad] = [0, total]
    while (bad - good > 1) {
      const middle = (good + bad) >> 1
      const broken = (await at(middle)).layers.some(({ node }) => node === 'scores')
      if (broken) bad = middle
      else good = middle
    }
    expect(whole.applied[bad - 1]?.what).toBe('int8 scores')
  })

  it('is pruned first where that is asked for', async () => {
    const { model } = encoder()
    const zeros = (bytes: ArrayLike<number>): number =>
      Array.from(bytes).filter((value) => value === 0).length / bytes.length
    const inFloats = await quantize(model, { dtype: 'fp32', prune: 0.5 })
    for (const name of ['up', 'down', 'head', 'table']) {
      const weight = initializersOf(inFloats.model).get(name)
      if (weight === undefined) throw new Error(`${name} is gone`)
      expect(zeros(floatsOf(weight))).toBeCloseTo(0.5, 2)
    }
    expect(inFloats.layers.map(({ to }) => to)).toEqual(new Array(4).fill('fp32, 50 % zeros'))
    const inEight = await quantize(model, { dtype: 'q8', prune: 0.5 })
    const stored = [...initializersOf(inEight.model).values()].filter(
      (weight) => weight.dataType === DataType.INT8 && countOf(weight) >= 1024,
    )
    expect(stored.length).toBeGreaterThanOrEqual(3)
    for (const { rawData } of stored) expect(zeros(rawData ?? [])).toBeGreaterThanOrEqual(0.5)
    await expect(quantize(model, { dtype: 'q8', prune: 1 })).rejects.toMatchObject({ code: 'bad_options' })
  })

  it('says of what is pruned and not quantized that it was left', async () => {
    const { model } = named({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 4, 32] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 4, 32] }],
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: { w: randomTensor('batches', [2, 32, 32]) },
    })
    const { layers, skipped } = await quantize(model, { dtype: 'int8', prune: 0.5 })
    expect(layers).toMatchObject([{ node: 'y', to: 'fp32, 50 % zeros' }])
    expect(skipped).toEqual([{ node: 'y', op: 'MatMul', reason: 'its weight has 3 dimensions instead of two' }])
  })
})

describe('models that cannot be', () => {
  it('are refused where they are quantized already', async () => {
    for (const dtype of ['q8', 'q4', 'uint8'] as const) {
      const { model } = await quantize(encoder().model, { dtype })
      for (const again of DTYPES.filter((name) => name !== 'fp32')) {
        const [op = ''] = quantizedOps(model)
        await expect(quantize(model, { dtype: again })).rejects.toMatchObject({
          code: 'already_quantized',
          message: expect.stringContaining(op),
        })
      }
      expect((await quantize(model, { dtype: 'fp32' })).layers).toEqual([])
    }
  })

  it.each(['q8', 'uint8', 'q4', 'fp16', 'q4f16'] as const)('have numbers in their weights, for %s', async (dtype) => {
    const down = randomTensor('down', [128, 64])
    ;(down.data as Float32Array)[77] = Number.NaN
    const { model } = encoder()
    const broken = {
      ...model,
      graph: model.graph && {
        ...model.graph,
        initializer: model.graph.initializer.map((weight) =>
          weight.name === 'down'
            ? { ...weight, rawData: new Uint8Array((down.data as Float32Array<ArrayBuffer>).buffer) }
            : weight,
        ),
      },
    } as ModelProto
    await expect(quantize(broken, { dtype })).rejects.toMatchObject({
      name: 'OnnxError',
      code: 'bad_weights',
      node: 'lowered',
      message: expect.stringContaining('"down"'),
    })
    // Whoever excludes the layer has the rest.
    const exclude = { nodes: ['lowered'], ops: [] }
    expect((await quantize(broken, { dtype, exclude })).layers.map(({ node }) => node)).toContain('raised')
  })

  it.each(DTYPES)('add up, before anything is done for %s', async (dtype) => {
    const relus = (first: string): ModelProto =>
      named({
        inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
        nodes: [
          { op: 'Add', inputs: ['x', first], outputs: ['a'] },
          { op: 'Relu', inputs: ['a'], outputs: ['b'] },
          { op: 'Relu', inputs: ['b'], outputs: ['y'] },
        ],
      }).model
    await expect(quantize(relus('b'), { dtype })).rejects.toMatchObject({
      name: 'OnnxError',
      code: 'cycle',
      node: expect.stringMatching(/^[ab]$/),
    })
    await expect(quantize(relus('nowhere'), { dtype })).rejects.toMatchObject({
      name: 'OnnxError',
      code: 'missing_value',
      message: expect.stringMatching(/"a".*"nowhere"|"nowhere".*"a"/),
    })
  })

  it('may have any names', async () => {
    const odd = 'a b/č:\u202e"\n\u0000'
    const { model, bytes } = named({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 40] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['n', 40] }],
      nodes: [
        { op: 'MatMul', inputs: ['x', `${odd}w`], outputs: [odd] },
        { op: 'MatMul', inputs: [odd, '__proto__'], outputs: ['y'] },
      ],
      initializers: Object.fromEntries([
        [`${odd}w`, randomTensor('odd', [40, 40], 0.2)],
        ['__proto__', randomTensor('proto', [40, 40], 0.2)],
      ]),
    })
    const samples = [{ inputs: new Map([['x', randomTensor('odd x', [3, 40])]]) }]
    const expected = await outputsOf(bytes, samples)
    for (const dtype of ['q8', 'q4', 'fp16'] as const) {
      const { model: changed, layers } = await quantize(model, { dtype })
      expect(new Set(layers.map(({ node }) => node))).toEqual(new Set([odd, 'y']))
      const error = relativeError(expected, await outputsOf(encodeModel(changed), samples))
      expect(error).toBeLessThanOrEqual(toleranceFor(dtype).relative)
    }
  })

  it('end when they are told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(quantizeModel(encoder().model, { dtype: 'q8' }, { ...env, signal })).rejects.toThrow('enough')
  })

  it('get samples that fit', async () => {
    const samples = [{ inputs: new Map([['image', tensor('FP32', [1, 3, 2, 2], new Float32Array(12))]]) }]
    await expect(quantize(pictureNetwork().model, { dtype: 'q8', samples })).rejects.toMatchObject({
      name: 'OnnxError',
      code: 'bad_samples',
      message: expect.stringContaining('image'),
    })
  })
})
