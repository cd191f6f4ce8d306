import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { compileModel } from '../../src/compile/compile.ts'
import { roundsFreely } from '../../src/compile/fast-rounding.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import type { ModelProto } from '../../src/onnx/schema/onnx_pb.js'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { never } from '../../synthetic/source.ts'
import { graphModel, inputsOf, loadModel, plainEngine } from '../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../fixtures/node/verge-engine.ts'

const signal = never()
const digits = (file: string): ModelProto =>
  decodeModel(readFileSync(new URL(`../../models/digits/${file}`, import.meta.url)))

async function compiled(model: ModelProto, fast: boolean) {
  const { model: prepared } = await prepareModel(model, { engine: plainEngine(), signal })
  const result = await compileModel(prepared, { fast, signal })
  if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
  return result
}

describe('rounding as the processor does', () => {
  it('is for convolutional models in floats, where it is allowed', async () => {
    expect(roundsFreely((await compiled(digits('model.onnx'), true)).plan)).toBe(true)
    expect(roundsFreely((await compiled(digits('model.onnx'), false)).plan)).toBe(false)
  })

  it('is neither for what computes in 8 bits nor for encoders', async () => {
    for (const model of [digits('model.q8.onnx'), graphModel('small encoder, fp32')])
      expect(roundsFreely((await compiled(model, true)).plan)).toBe(false)
  })

  it('answers as ONNX Runtime does within the rounding of sums', async () => {
    const reference = await loadModel(digits('model.onnx'), 'all')
    const inputs = inputsOf(reference)
    const [expected] = (await reference.run(inputs, { signal })).values()
    const session = await loadVerge(vergeEngine(), (await compiled(digits('model.onnx'), true)).bytes)
    const [actual] = (await session.run(inputs, { signal })).values()
    const values = Array.from(expected?.data ?? [], Number)
    expect(values.length).toBeGreaterThanOrEqual(10)
    const most = Math.max(...values.map(Math.abs))
    for (const [index, value] of values.entries())
      expect(Math.abs(value - Number(actual?.data[index])) / most).toBeLessThan(2e-5)
  })
})
