import { expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { type NodeSpec, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { runModel } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()
const WIDTH = 8

const whole = (...values: number[]): Tensor => tensor('INT64', [values.length], BigInt64Array.from(values, BigInt))
const node = (op: string, inputs: string[], output: string, attributes: NodeSpec['attributes'] = {}): NodeSpec => ({
  op,
  inputs,
  outputs: [output],
  attributes,
})
const turned = (...perm: number[]): NodeSpec['attributes'] => ({ perm: { ints: perm } })

/** How queries, keys and values are taken out of one product, by places that count from the end. */
const WAYS: Readonly<Record<string, () => readonly NodeSpec[]>> = {
  'parts of an axis of three': () => [
    node('Reshape', ['joined', 'five'], 'parts'),
    node('Transpose', ['parts'], 'first', turned(2, 0, 3, 1, 4)),
    ...['q', 'key', 'v'].map((name, place) => node('Gather', ['first', `part${place}`], name, { axis: { int: 0 } })),
    node('Transpose', ['key'], 'k', turned(0, 1, 3, 2)),
  ],
  'slices of columns': () =>
    ['q', 'k', 'v'].flatMap((name, place) => [
      node('Slice', ['joined', `start${place}`, `end${place}`, 'last'], `${name}_columns`),
      node('Reshape', [`${name}_columns`, 'four'], `${name}_heads`),
      node('Transpose', [`${name}_heads`], name, name === 'k' ? turned(0, 2, 3, 1) : turned(0, 2, 1, 3)),
    ]),
}

it.each(Object.entries(WAYS))('%s that count from the end are those that ONNX Runtime takes', async (_, way) => {
  const bytes = onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 'sequence', WIDTH] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'sequence', WIDTH] }],
    nodes: [
      node('MatMul', ['x', 'weight'], 'joined'),
      ...way(),
      node('MatMul', ['q', 'k'], 'scores'),
      node('Softmax', ['scores'], 'weights'),
      node('MatMul', ['weights', 'v'], 'heads'),
      node('Transpose', ['heads'], 'beside', turned(0, 2, 1, 3)),
      node('Reshape', ['beside', 'three'], 'y'),
    ],
    initializers: {
      weight: tensor('FP32', [WIDTH, 3 * WIDTH], seededFloats(3 * WIDTH * WIDTH, 5)),
      five: whole(0, 0, 3, 2, 4),
      four: whole(0, 0, 2, 4),
      three: whole(0, 0, WIDTH),
      last: whole(2),
      ...Object.fromEntries(
        [-3, -2, -1].flatMap((part, place) => [
          [`part${place}`, tensor('INT64', [], BigInt64Array.of(BigInt(part)))],
          [`start${place}`, whole(part * WIDTH)],
          [`end${place}`, whole(place === 2 ? 2 ** 31 - 1 : (part + 1) * WIDTH)],
        ]),
      ),
    },
    opset: 17,
  })
  const inputs = new Map([['x', tensor('FP32', [3, 5, WIDTH], seededFloats(15 * WIDTH, 9))]])
  const result = await compileModel(decodeModel(bytes), { signal })
  if (!result.ok) throw new Error(`${result.operator}: ${result.reason}`)
  expect(result.plan.steps.map(({ op }) => op)).toContain('attention')
  const expected = (await runModel(decodeModel(bytes), inputs)).get('y')?.data as Float32Array
  const session = await loadVerge(vergeEngine(), result.bytes)
  const actual = (await session.run(inputs, { signal })).get('y')?.data as Float32Array
  for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, 4)
  session.dispose()
})
