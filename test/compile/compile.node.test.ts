import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { compileModel } from '../../src/compile/compile.ts'
import { type Tensor, type Tensors, tensor } from '../../src/core/tensors.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import type { ModelProto } from '../../src/onnx/schema/onnx_pb.js'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { never } from '../../synthetic/source.ts'
import { graphModel, inputsOf, loadModel, plainEngine } from '../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../fixtures/node/verge-engine.ts'
import { runPlan } from '../fixtures/plan-reference.ts'

const signal = never()
const shipped = (file: string) => (): ModelProto =>
  decodeModel(readFileSync(new URL(`../../models/${file}`, import.meta.url)))

/**
 * What answers may differ by, of the largest number in them. Floats: sums in another order. Eight bits: ONNX Runtime
 * rounds activations to 8 bits by tensor, the engine to 7 by row, the reference not at all.
 */
const MODELS: Readonly<Record<string, { readonly make: () => ModelProto; readonly tolerance: number }>> = {
  digits: { make: shipped('digits/model.onnx'), tolerance: 2e-5 },
  'digits in 8 bits': { make: shipped('digits/model.q8.onnx'), tolerance: 0.06 },
  reviews: { make: shipped('reviews/model.onnx'), tolerance: 2e-5 },
  'reviews in 8 bits': { make: shipped('reviews/model.q8.onnx'), tolerance: 0.03 },
  'an encoder': { make: () => graphModel('small encoder, fp32'), tolerance: 2e-5 },
  'an encoder in 8 bits': { make: () => graphModel('small encoder, int8'), tolerance: 0.06 },
}

async function compiled(model: ModelProto) {
  const { model: prepared } = await prepareModel(model, { engine: plainEngine(), signal })
  const result = await compileModel(prepared, { signal })
  if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
  return result
}

/** The largest difference of two answers, of the largest number in the first. */
function difference(expected: Tensors, actual: Tensors): number {
  let worst = 0
  for (const [name, { data, shape }] of expected) {
    const other = actual.get(name) as Tensor
    expect(other.shape).toEqual(shape)
    const [a = [], b = []] = [data, other.data].map((values) => Array.from(values as ArrayLike<number>, Number))
    const most = Math.max(...a.map(Math.abs), 1e-6)
    for (const [index, value] of a.entries()) worst = Math.max(worst, Math.abs(value - (b[index] ?? Number.NaN)) / most)
  }
  return worst
}

describe.each(Object.keys(MODELS))('%s', (name) => {
  const { make, tolerance } = MODELS[name] as (typeof MODELS)[string]

  it('answers as ONNX Runtime does, on the engine and step by step', async () => {
    const { bytes } = await compiled(make())
    const reference = await loadModel(make(), 'all')
    const session = await loadVerge(vergeEngine(), bytes)
    const inputs = inputsOf(reference)
    const expected = await reference.run(inputs, { signal })
    expect(difference(expected, runPlan(bytes, inputs))).toBeLessThan(tolerance)
    expect(difference(expected, await session.run(inputs, { signal }))).toBeLessThan(tolerance)
    expect(session.signature).toEqual(reference.signature)
    session.dispose()
    reference.dispose()
  })
})

it('keeps the hashes of reviews in 32 bits, whatever the ids', async () => {
  const make = shipped('reviews/model.q8.onnx')
  const { bytes } = await compiled(make())
  const reference = await loadModel(make(), 'all')
  const session = await loadVerge(vergeEngine(), bytes)
  for (const first of [2_000, 3_000, 20_000]) {
    const ids = BigInt64Array.from({ length: 24 }, (_, index) => BigInt(first + index * 61))
    const inputs: Tensors = new Map([
      ['input_ids', tensor('INT64', [1, 24], ids)],
      ['attention_mask', tensor('INT64', [1, 24], new BigInt64Array(24).fill(1n))],
    ])
    const expected = await reference.run(inputs, { signal })
    expect(difference(expected, await session.run(inputs, { signal }))).toBeLessThan(0.01)
  }
  session.dispose()
  reference.dispose()
})
