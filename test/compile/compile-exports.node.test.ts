import { describe, expect, it } from 'vitest'
import { compileModel } from '../../src/compile/compile.ts'
import type { Tensor } from '../../src/core/tensors.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import { runPasses } from '../../src/onnx/pass.ts'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { dynamicInt8 } from '../../src/quantize/products/dynamic.ts'
import { never } from '../../synthetic/source.ts'
import { loadModel, plainEngine } from '../fixtures/node/run-onnx.ts'
import { EXPORTS } from '../fixtures/node/transformer-exports.ts'
import { loadVerge, vergeEngine } from '../fixtures/node/verge-engine.ts'
import { runPlan } from '../fixtures/plan-reference.ts'

const signal = never()

describe.each(Object.keys(EXPORTS))('an export of %s', (name) => {
  const { bytes, inputs } = (EXPORTS[name] as (typeof EXPORTS)[string])()

  it('answers as ONNX Runtime does, with its attention, norms and activations fused', async () => {
    const { model } = await prepareModel(decodeModel(bytes), { engine: plainEngine(), signal })
    const result = await compileModel(model, { signal })
    if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
    const count = (op: string): number => result.plan.steps.filter((step) => step.op === op).length
    expect(count('attention')).toBe(2)
    expect(count('softmax') + count('matmul')).toBe(0)
    // Queries, keys and values in one product, and three more in each layer; a pooler or a head may follow.
    expect(count('linear-f32') - 8).toBeGreaterThanOrEqual(0)
    expect(count('linear-f32') - 8).toBeLessThanOrEqual(1)
    expect(result.plan.steps.filter((step) => String(step.with?.activation).startsWith('gelu'))).toHaveLength(2)
    expect(result.plan.steps.filter((step) => step.with?.kind === 'erf' || step.with?.kind === 'sqrt')).toEqual([])

    const session = await loadModel(decodeModel(bytes), 'all')
    const own = await loadVerge(vergeEngine(), result.bytes)
    for (const [batch, length] of [
      [1, 7],
      [3, 10],
      [2, 16],
    ] as const) {
      const given = inputs(batch, length)
      const expected = await session.run(given, { signal })
      for (const actual of [runPlan(result.bytes, given), await own.run(given, { signal })]) {
        for (const [output, { shape, data }] of expected) {
          const other = actual.get(output) as Tensor
          expect(other.shape).toEqual(shape)
          const values = other.data as Float32Array
          for (const [index, value] of (data as Float32Array).entries()) {
            expect(Math.abs(value - (values[index] as number))).toBeLessThan(2e-4)
          }
        }
      }
    }
    session.dispose()
  })
})

it.each(Object.keys(EXPORTS))('an export of %s in 8 bits has its attention in whole numbers', async (name) => {
  const { bytes, inputs } = (EXPORTS[name] as (typeof EXPORTS)[string])()
  const { model: prepared } = await prepareModel(decodeModel(bytes), { engine: plainEngine(), signal })
  const { model } = await runPasses(prepared, [dynamicInt8()], { signal })
  const result = await compileModel(model, { signal })
  if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
  expect(result.plan.steps.filter(({ op }) => op.startsWith('attention')).map(({ op }) => op)).toEqual([
    'attention-int8',
    'attention-int8',
  ])
  const reference = await loadModel(decodeModel(bytes), 'all')
  // The same plan with attention in floats: the name is padded, so that nothing moves.
  const text = Buffer.from(result.bytes).toString('latin1').replaceAll('"attention-int8"', '"attention"     ')
  const given = inputs(2, 16)
  const expected = await reference.run(given, { signal })
  const answers = [result.bytes, Buffer.from(text, 'latin1')].map(async (artifact) =>
    (await loadVerge(vergeEngine(), artifact)).run(given, { signal }),
  )
  const [whole, floats] = await Promise.all(answers)
  for (const [output, { data }] of expected) {
    const values = [data, floats?.get(output)?.data, whole?.get(output)?.data].map((item) => [
      ...(item as Float32Array),
    ])
    const [original = [], inFloats = [], own = []] = values
    expect(cosine(inFloats, original)).toBeGreaterThan(0.997)
    // The products around it leave as large a difference.
    expect(1 - cosine(own, original)).toBeLessThan(2 * (1 - cosine(inFloats, original)))
  }
  reference.dispose()
})

function cosine(left: readonly number[], right: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, at) => sum + value * (y[at] ?? Number.NaN), 0)
  return dot(left, right) / Math.sqrt(dot(left, left) * dot(right, right))
}
