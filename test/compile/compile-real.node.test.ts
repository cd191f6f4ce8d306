import { describe, expect, it } from 'vitest'
import { compileModel } from '../../src/compile/compile.ts'
import type { Tensor } from '../../src/core/tensors.ts'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { never } from '../../synthetic/source.ts'
import { haveRealModels, SKIP_REASON } from '../fixtures/node/real-models.ts'
import { graphModel, inputsOf, loadModel, plainEngine } from '../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../fixtures/node/verge-engine.ts'

const signal = never()

async function compiled(name: string) {
  const { model } = await prepareModel(graphModel(name), { engine: plainEngine(), signal })
  return compileModel(model, { signal })
}

describe.skipIf(!haveRealModels)(`real models${haveRealModels ? '' : `: skipped, ${SKIP_REASON}`}`, () => {
  it.each(['mnist-8', 'ultraface', 'super-resolution', 'm2v', 'mobilenetv2 int8'])(
    '%s answers as ONNX Runtime does',
    async (name) => {
      const result = await compiled(name)
      if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
      const reference = await loadModel(graphModel(name), 'all')
      const session = await loadVerge(vergeEngine(), result.bytes)
      const inputs = inputsOf(reference)
      const expected = await reference.run(inputs, { signal })
      const actual = await session.run(inputs, { signal })
      for (const [output, { shape, data }] of expected) {
        const other = actual.get(output) as Tensor
        expect(other.shape).toEqual(shape)
        const [a, b] = [data as Float32Array, other.data as Float32Array]
        const most = a.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-6)
        // Sums of floats in another order.
        const worst = a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (b[index] as number))), 0)
        expect(worst / most).toBeLessThan(1e-5)
      }
      session.dispose()
      reference.dispose()
    },
  )

  it.each([
    ['silero-vad', 'If', 'the engine has no such operator'],
    ['titanic', 'graph', 'input "sex" is of type STRING'],
  ])('%s stays with ONNX Runtime because of %s', async (name, operator, reason) => {
    expect(await compiled(name)).toMatchObject({ ok: false, operator, reason })
  })
})
