import { describe, expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { prepareModel } from '../../../src/quantize/prepare.ts'
import { type NodeSpec, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { loadModel, plainEngine } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()
const node = (op: string, inputs: string[], output: string, attributes: NodeSpec['attributes'] = {}): NodeSpec => ({
  op,
  inputs,
  outputs: [output],
  attributes,
})
const GATE = [node('Add', ['x', 'three'], 'shifted'), node('Clip', ['shifted', 'zero', 'six'], 'clipped')]
const sigmoid = (alpha: number) => [
  node('HardSigmoid', ['x'], 'gate', { alpha: { float: alpha } }),
  node('Mul', ['gate', 'x'], 'y'),
]

const SPELLINGS: Readonly<Record<string, readonly NodeSpec[]>> = {
  'with HardSigmoid': sigmoid(1 / 6),
  'divided behind the product': [
    ...GATE,
    node('Mul', ['x', 'clipped'], 'product'),
    node('Div', ['product', 'six'], 'y'),
  ],
  'multiplied with a sixth': [
    ...GATE,
    node('Mul', ['x', 'clipped'], 'product'),
    node('Mul', ['product', 'sixth'], 'y'),
  ],
  'divided before the product': [...GATE, node('Div', ['clipped', 'six'], 'gate'), node('Mul', ['gate', 'x'], 'y')],
}

async function compiled(nodes: readonly NodeSpec[]) {
  const scalar = (value: number) => tensor('FP32', [], Float32Array.of(value))
  const shape = [1, 8, 3, 3]
  const model = decodeModel(
    onnxModel({
      inputs: [{ name: 'image', datatype: 'FP32', shape }],
      outputs: [{ name: 'y', datatype: 'FP32' }],
      nodes: [node('Conv', ['image', 'weight'], 'x'), ...nodes],
      initializers: {
        weight: tensor('FP32', [8, 8, 1, 1], seededFloats(64, 3)),
        ...{ three: scalar(3), zero: scalar(0), six: scalar(6), sixth: scalar(1 / 6) },
      },
    }),
  )
  const { model: prepared } = await prepareModel(model, { engine: plainEngine(), signal })
  const result = await compileModel(prepared, { signal })
  if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
  const inputs = new Map([
    [
      'image',
      tensor(
        'FP32',
        shape,
        seededFloats(72, 8).map((value) => value * 4),
      ),
    ],
  ])
  const reference = await loadModel(model, 'all')
  const [expected] = (await reference.run(inputs, { signal })).values()
  const [actual] = (await (await loadVerge(vergeEngine(), result.bytes)).run(inputs, { signal })).values()
  for (const [at, value] of Array.from(expected?.data as ArrayLike<number>).entries())
    expect(Number(actual?.data[at])).toBeCloseTo(value, 5)
  return result.plan.steps.map(({ op, with: attributes }) => [op, attributes?.activation])
}

describe('hard swish', () => {
  it.each(Object.keys(SPELLINGS))('%s becomes a part of the convolution before it', async (name) => {
    expect(await compiled(SPELLINGS[name] ?? [])).toEqual([['conv-f32', 'hard-swish']])
  })

  it('of another slope is computed as it stands', async () => {
    expect(await compiled(sigmoid(0.2))).toHaveLength(3)
  })
})
