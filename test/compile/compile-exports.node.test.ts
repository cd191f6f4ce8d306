import { describe, expect, it } from 'vitest'
import { compileModel } from '../../src/compile/compile.ts'
import type { Tensor } from '../../src/core/tensors.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import { prepareModel } from '../../src/quantize/prepare.ts'
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
