import { describe, expect, it } from 'vitest'
import { compileModel } from '../../src/compile/compile.ts'
import type { Tensor, Tensors } from '../../src/core/tensors.ts'
import { tensor } from '../../src/core/tensors.ts'
import type { Plan } from '../../src/engine/verge/plan.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import type { ModelProto } from '../../src/onnx/schema/onnx_pb.js'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { quantizeModel } from '../../src/quantize/quantize.ts'
import { never } from '../../synthetic/source.ts'
import { EXPORTED, type Exported, exportedInputs, exportedModel } from '../fixtures/node/exports.ts'
import { loadModel, plainEngine } from '../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../fixtures/node/verge-engine.ts'
import { runPlan } from '../fixtures/plan-reference.ts'

const signal = never()
const NAMES = Object.keys(EXPORTED)
const isText = (name: string): boolean => EXPORTED[name]?.attentions !== 0 && !/^(vit|deit|clip-vision)/.test(name)
const isInt8 = (name: string): boolean => name.includes('.q8')

async function compiled(model: ModelProto) {
  const { model: prepared } = await prepareModel(model, { engine: plainEngine(), signal })
  const result = await compileModel(prepared, { signal })
  if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
  return result
}

function stepsOf(plan: Plan, ...ops: readonly string[]): number {
  return plan.steps.filter(({ op }) => ops.includes(op)).length
}

/** Batches and lengths; pictures take the first number alone. */
const SIZES = [
  [1, 2],
  [1, 7],
  [3, 10],
  [2, 16],
] as const

/** The largest difference, of the largest number that is expected; of 8 bits how far the directions differ. */
function difference(expected: Tensors, actual: Tensors, int8: boolean): number {
  return Math.max(
    ...[...expected].map(([name, { data, shape }]) => {
      const other = actual.get(name) as Tensor
      expect(other.shape).toEqual(shape)
      const [a, b] = [data as Float32Array, other.data as Float32Array]
      if (int8) return 1 - product(a, b) / Math.sqrt(product(a, a) * product(b, b))
      const most = a.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-6)
      return a.reduce((worst, value, index) => Math.max(worst, Math.abs(value - (b[index] as number)) / most), 0)
    }),
  )
}

function product(left: Float32Array, right: Float32Array): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] as number), 0)
}

describe.each(NAMES)('%s', (name) => {
  const { steps, attentions, norms, products } = EXPORTED[name] as Exported
  // ONNX Runtime rounds half floats after each operator, and activations of 8 bits by tensor; the engine by row.
  const tolerance = isInt8(name) ? 5e-3 : name.endsWith('fp16') ? 5e-3 : 2e-5

  it('is claimed, with its attentions, norms and activations fused', async () => {
    const { plan } = await compiled(decodeModel(exportedModel(name)))
    expect(stepsOf(plan, 'attention', 'attention-int8')).toBe(attentions)
    expect(stepsOf(plan, isInt8(name) ? 'attention-int8' : 'attention')).toBe(attentions)
    expect(stepsOf(plan, 'layer-norm')).toBe(norms)
    expect(stepsOf(plan, 'linear-f32', 'linear-int8')).toBe(products)
    expect(stepsOf(plan, isInt8(name) ? 'linear-int8' : 'linear-f32')).toBe(products)
    expect(stepsOf(plan, 'softmax')).toBe(0)
    const left = plan.steps.filter(({ with: attributes }) =>
      ['erf', 'tanh', 'sqrt', 'sigmoid'].includes(String(attributes?.kind)),
    )
    expect(left).toEqual([])
    expect(plan.steps.length).toBeLessThanOrEqual(steps)
  })

  it('answers as ONNX Runtime does', async () => {
    const model = decodeModel(exportedModel(name))
    const reference = await loadModel(model, 'all')
    const { bytes } = await compiled(model)
    const own = await loadVerge(vergeEngine(), bytes)
    for (const [batch, length] of SIZES) {
      const inputs = exportedInputs(name, reference.signature, batch, length)
      const expected = await reference.run(inputs, { signal })
      const actual = await own.run(inputs, { signal })
      expect(difference(expected, actual, isInt8(name)), `${batch} x ${length}`).toBeLessThan(tolerance)
    }
    const inputs = exportedInputs(name, reference.signature, 2, 5)
    const expected = await reference.run(inputs, { signal })
    expect(difference(expected, runPlan(bytes, inputs), isInt8(name)), 'step by step').toBeLessThan(tolerance)
    reference.dispose()
  })
})

/** The first text of these inputs alone, without what is behind its tokens. */
function alone(inputs: Tensors, length: number): Map<string, Tensor> {
  return new Map(
    [...inputs].map(([name, { data }]) => [
      name,
      tensor('INT64', [1, length], (data as BigInt64Array).slice(0, length)),
    ]),
  )
}

/** The same text before others, padded to a greater length. */
function padded(name: string, inputs: Tensors, length: number, to: number): Map<string, Tensor> {
  const others = exportedInputs(name, { inputs: signatureOf(inputs), outputs: [] }, 3, to)
  return new Map(
    [...others].map(([input, { data }]) => {
      const values = (data as BigInt64Array).slice()
      const own = inputs.get(input)?.data as BigInt64Array
      const padding = values[2 * to - 1] ?? 0n
      for (let index = 0; index < to; index++)
        values[index] = index < length ? (own[index] as bigint) : input === 'token_type_ids' ? 0n : padding
      return [input, tensor('INT64', [3, to], values)]
    }),
  )
}

function signatureOf(inputs: Tensors) {
  return [...inputs.keys()].map((name) => ({ name, datatype: 'INT64' as const, shape: [-1, -1] }))
}

/** Of each output what belongs to the first text's tokens. */
function firstOf(outputs: Tensors, length: number): number[][] {
  return [...outputs.values()].map(({ data, shape }) => {
    const [, tokens = 1, width] = shape
    const count = width === undefined ? tokens : length * width
    return Array.from((data as Float32Array).subarray(0, count))
  })
}

describe('texts in 8 bits', () => {
  const models: Readonly<Record<string, () => Promise<ModelProto>>> = Object.fromEntries(
    NAMES.filter((name) => isText(name) && !name.endsWith('fp16') && !name.endsWith('O2')).map((name) => [
      name,
      async () => {
        const model = decodeModel(exportedModel(name))
        if (isInt8(name)) return model
        return (await quantizeModel(model, { dtype: 'int8' }, { engine: plainEngine(), signal })).model
      },
    ]),
  )

  it.each(Object.keys(models))('%s has the same bits whatever the batch, the padding and the build', async (name) => {
    const model = await (models[name] as () => Promise<ModelProto>)()
    const { bytes, plan } = await compiled(model)
    // Four products in each layer; those of heads are smaller than what is quantized.
    expect(stepsOf(plan, 'linear-int8')).toBeGreaterThanOrEqual(4 * (EXPORTED[name]?.attentions ?? 0))
    expect(stepsOf(plan, 'attention-int8')).toBe(EXPORTED[name]?.attentions)
    const [relaxed, plain] = [
      await loadVerge(vergeEngine('relaxed'), bytes),
      await loadVerge(vergeEngine('plain'), bytes),
    ]
    const length = 9
    const text = alone(exportedInputs(name, relaxed.signature, 1, length), length)
    const expected = firstOf(await relaxed.run(text, { signal }), length)
    expect(firstOf(await plain.run(text, { signal }), length)).toEqual(expected)
    const among = padded(name, text, length, 14)
    expect(firstOf(await relaxed.run(among, { signal }), length)).toEqual(expected)
    expect(firstOf(await plain.run(among, { signal }), length)).toEqual(expected)
  })
})
