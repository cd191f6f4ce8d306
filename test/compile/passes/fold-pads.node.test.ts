import { expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { runModel } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()

function padded(widths: readonly number[], value: number): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 2, 6, 6] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 8, 'height', 'width'] }],
    nodes: [
      { op: 'Pad', inputs: ['x', 'widths', 'value'], outputs: ['around'] },
      {
        op: 'Conv',
        inputs: ['around', 'weight'],
        outputs: ['y'],
        attributes: { kernel_shape: { ints: [3, 3] }, strides: { ints: [2, 2] }, pads: { ints: [1, 0, 0, 0] } },
      },
    ],
    initializers: {
      widths: tensor('INT64', [8], BigInt64Array.from(widths, BigInt)),
      value: tensor('FP32', [], Float32Array.of(value)),
      weight: tensor('FP32', [8, 2, 3, 3], seededFloats(144, 3)),
    },
  })
}

it.each([
  ['become padding', [0, 0, 0, 1, 0, 0, 1, 1], 0, ['conv-f32']],
  ['stay where they are no zeros', [0, 0, 0, 1, 0, 0, 1, 1], 2, ['pad', 'conv-f32']],
] as const)('numbers around a picture %s', async (_, widths, value, steps) => {
  const bytes = padded(widths, value)
  const result = await compileModel(decodeModel(bytes), { signal })
  if (!result.ok) throw new Error(`${result.operator}: ${result.reason}`)
  expect(result.plan.steps.map(({ op }) => op)).toEqual(steps)
  const inputs = new Map([['x', tensor('FP32', [2, 2, 6, 6], seededFloats(144, 5))]])
  const expected = (await runModel(decodeModel(bytes), inputs)).get('y') as Tensor
  const session = await loadVerge(vergeEngine(), result.bytes)
  const actual = (await session.run(inputs, { signal })).get('y') as Tensor
  expect(actual.shape).toEqual(expected.shape)
  for (const [index, wanted] of (expected.data as Float32Array).entries())
    expect((actual.data as Float32Array)[index]).toBeCloseTo(wanted, 5)
})
