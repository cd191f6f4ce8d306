import { describe, expect, it } from 'vitest'
import { compileFile } from '../../../src/cli/pack/compiled.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import { fixedRun } from '../../../src/cli/pack/fixed-run.ts'
import { pack } from '../../../src/cli/pack/packer.ts'
import { differenceOf } from '../../../src/cli/pack/same-answer.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { lookupModel, matmulModel } from '../../../synthetic/onnx-models.ts'
import { never } from '../../../synthetic/source.ts'

const signal = never()

async function differenceBetween(onnx: Uint8Array, compiledFrom: Uint8Array, dtype = 'fp32') {
  const compilation = await compileFile(compiledFrom)
  if (!compilation.ok) throw new Error(compilation.note)
  const run = await fixedRun(onnx, compilation.model, signal)
  if (run === undefined) throw new Error('there is no input')
  return differenceOf(run, onnx, { dtype, signal })
}

describe('the answer of a compiled artifact', () => {
  it("agrees with ONNX Runtime's where it was made from the same model", async () => {
    for (const model of [matmulModel(100_000), lookupModel(10_000)]) {
      expect(await differenceBetween(model, model)).toBeUndefined()
    }
  })

  it('differs where it was made from another one, in any precision', async () => {
    const [right, wrong] = [wide(1), wide(2)]
    for (const dtype of ['fp32', 'fp16', 'q8', 'q4']) {
      expect(await differenceBetween(right, right, dtype)).toBeUndefined()
      expect(await differenceBetween(right, wrong, dtype)).toMatch(/^output "y" has a cosine similarity of /)
    }
  })

  it('of few numbers in 8 bits proves nothing', async () => {
    const [right, wrong] = [wide(1, 7), wide(2, 7)]
    expect(await differenceBetween(right, wrong, 'q8')).toBeUndefined()
    expect(await differenceBetween(right, wrong, 'fp32')).toMatch(/^output "y" /)
  })

  it('of NaN proves nothing', async () => {
    const nan = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 8] }],
      outputs: [{ name: 'y', datatype: 'FP32' }],
      nodes: [
        { op: 'Sub', inputs: ['x', 'x'], outputs: ['zero'] },
        { op: 'Div', inputs: ['zero', 'zero'], outputs: ['y'] },
      ],
    })
    expect(await differenceBetween(nan, nan)).toBeUndefined()
  })
})

it('packs a model without the artifact that answers otherwise than ONNX Runtime, and says so', async () => {
  // What a cast makes of the logarithm of 0 is open in ONNX: both engines have a number of their own.
  const open = onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 8] }],
    outputs: [{ name: 'y', datatype: 'INT64' }],
    nodes: [
      { op: 'Log', inputs: ['x'], outputs: ['log'] },
      { op: 'Cast', inputs: ['log'], outputs: ['y'], attributes: { to: { int: 7 } } },
    ],
  })
  const description = (file: string) =>
    descriptionSchema.parse({
      ...{ name: 'logs', version: '1', licence: 'MIT' },
      artifacts: [{ file, dtype: 'fp32' }],
    })
  const { manifest, notes } = await pack(description('open.onnx'), '', new Map([['open.onnx', open]]))
  expect(manifest.artifacts.map(({ id }) => id)).toEqual(['edge-fp32', 'onnx-fp32'])
  expect(notes).toContainEqual(
    expect.stringMatching(
      /^open\.onnx: runs on ONNX Runtime: Verge's own engine answers otherwise: output "y" has 7 of 8 elements correct/,
    ),
  )
})

/** x [1, 4] times weights of this seed. */
function wide(seed: number, columns = 32): Uint8Array<ArrayBuffer> {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4] }],
    outputs: [{ name: 'y', datatype: 'FP32' }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: { w: tensor('FP32', [4, columns], seededFloats(4 * columns, seed)) },
  })
}
