import { describe, expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { type NodeSpec, onnxModel, seededFloats, type ValueInfo } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { runModel } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()
const WIDTH = 8
const MICROSOFT = 'com.microsoft'

const floats = (shape: readonly number[], seed: number): Tensor =>
  tensor(
    'FP32',
    shape,
    seededFloats(
      shape.reduce((count, dim) => count * dim, 1),
      seed,
    ),
  )

const x: ValueInfo = { name: 'x', datatype: 'FP32', shape: ['batch', 'sequence', WIDTH] }
const mask: ValueInfo = { name: 'mask', datatype: 'INT32', shape: ['batch', 'sequence'] }
const counts: ValueInfo = { name: 'counts', datatype: 'INT32', shape: ['batch'] }
const wide: ValueInfo = { name: 'wide', datatype: 'FP32', shape: ['batch', 'sequence', 2 * WIDTH] }
const linear = (weight: string, output: string): NodeSpec => ({
  op: 'MatMul',
  inputs: ['x', weight],
  outputs: [output],
})

const WEIGHTS = {
  q: floats([WIDTH, WIDTH], 2),
  k: floats([WIDTH, WIDTH], 3),
  v: floats([WIDTH, WIDTH], 4),
  qkv: floats([WIDTH, 3 * WIDTH], 5),
  bias: floats([3 * WIDTH], 6),
  row: floats([WIDTH], 7),
  gain: floats([WIDTH], 8),
}

function model(nodes: readonly NodeSpec[], ...more: readonly ValueInfo[]): Uint8Array {
  return onnxModel({
    inputs: [x, ...more],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'sequence', WIDTH] }],
    nodes,
    initializers: WEIGHTS,
    opset: 17,
    domains: { [MICROSOFT]: 1 },
  })
}

function contrib(op: string, inputs: readonly string[], attributes: NodeSpec['attributes'] = {}): NodeSpec {
  return { op, domain: MICROSOFT, inputs, outputs: ['y'], attributes }
}

/** Of three texts of five tokens, of which 5, 2 and 3 are there; a mask hides by 0 and by numbers below it. */
function inputsOf(names: readonly string[]): Tensors {
  const present = [5, 2, 3]
  const all: Readonly<Record<string, Tensor>> = {
    x: floats([3, 5, WIDTH], 9),
    mask: tensor(
      'INT32',
      [3, 5],
      Int32Array.from({ length: 15 }, (_, i) => (i % 5 < (present[Math.floor(i / 5)] ?? 0) ? 1 : -(i % 2))),
    ),
    counts: tensor('INT32', [3], Int32Array.from(present)),
  }
  return new Map(names.map((name) => [name, all[name] as Tensor]))
}

/** The operators of the plan, after its answer was compared with ONNX Runtime's. */
async function stepsOf(bytes: Uint8Array, ...more: readonly string[]): Promise<string[]> {
  const result = await compileModel(decodeModel(bytes), { signal })
  if (!result.ok) throw new Error(`${result.operator}: ${result.reason}`)
  const inputs = inputsOf(['x', ...more])
  const expected = (await runModel(decodeModel(bytes), inputs)).get('y')?.data as Float32Array
  const session = await loadVerge(vergeEngine(), result.bytes)
  const actual = (await session.run(inputs, { signal })).get('y')?.data as Float32Array
  for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, 4)
  session.dispose()
  return result.plan.steps.map(({ op }) => op)
}

const heads = { num_heads: { int: 2 } }

describe("ONNX Runtime's attention", () => {
  it('of one product is computed by the engine, with a mask of tokens or counts of them', async () => {
    const whole = await stepsOf(model([contrib('Attention', ['x', 'qkv', 'bias'], heads)]))
    expect(whole).toEqual(['linear-f32', 'attention'])
    const masked = model([contrib('Attention', ['x', 'qkv', 'bias', 'mask'], heads)], mask)
    expect(await stepsOf(masked, 'mask')).toEqual(['linear-f32', 'binary', 'where', 'attention'])
    const counted = model([contrib('Attention', ['x', 'qkv', 'bias', 'counts'], heads)], counts)
    expect(await stepsOf(counted, 'counts')).toContain('attention')
  })

  it('of three products is, too, and they become one', async () => {
    const products = [linear('q', 'queries'), linear('k', 'keys'), linear('v', 'values')]
    const inputs = ['queries', 'keys', 'values']
    const scale = { scale: { float: 0.3 } }
    const plain = model([...products, contrib('MultiHeadAttention', inputs, { ...heads, ...scale })])
    expect(await stepsOf(plain)).toEqual(['linear-f32', 'attention'])
    const masked = model([...products, contrib('MultiHeadAttention', [...inputs, '', 'mask'], heads)], mask)
    expect(await stepsOf(masked, 'mask')).toEqual(['binary', 'where', 'linear-f32', 'attention'])
  })

  it.each([
    ['Attention', ['x', 'qkv', 'bias'], { unidirectional: { int: 1 } }],
    ['Attention', ['x', 'qkv', 'bias'], { qkv_hidden_sizes: { ints: [4, 4, 16] } }],
    ['MultiHeadAttention', ['x', 'x', 'x', 'bias'], {}],
    // Values that are wider than queries.
    ['MultiHeadAttention', ['x', 'x', 'wide'], {}],
  ] as const)('declines %s of %s with %j', async (op, inputs, attributes) => {
    const result = await compileModel(decodeModel(model([contrib(op, inputs, { ...heads, ...attributes })], wide)), {
      signal,
    })
    expect(result).toMatchObject({ ok: false, operator: op, reason: 'the engine has no such operator' })
  })
})

it.each([
  ['BiasGelu', ['x', 'row'], {}, ['binary', 'unary']],
  ['FastGelu', ['x'], {}, ['unary']],
  ['FastGelu', ['x', 'row'], {}, ['binary', 'unary']],
  ['Gelu', ['x'], {}, ['unary']],
  ['QuickGelu', ['x'], {}, ['unary']],
  ['QuickGelu', ['x'], { alpha: { float: 1 } }, ['unary']],
  ['SkipLayerNormalization', ['x', 'x', 'gain', 'row'], { epsilon: { float: 1e-5 } }, ['layer-norm']],
  ['SkipLayerNormalization', ['x', 'x', 'gain', 'row', 'row'], { epsilon: { float: 1e-5 } }, ['binary', 'layer-norm']],
] as const)('%s of %s with %j is as ONNX Runtime has it', async (op, inputs, attributes, steps) => {
  expect(await stepsOf(model([contrib(op, inputs, attributes)]))).toEqual(steps)
})

it('counts of the tokens that are there may be a result of the model', async () => {
  const ids: ValueInfo = { name: 'ids', datatype: 'INT32', shape: ['batch', 'sequence'] }
  const bytes = onnxModel({
    inputs: [ids, mask],
    outputs: [{ ...x, name: 'y' }, counts],
    nodes: [
      {
        op: 'EmbedLayerNormalization',
        domain: MICROSOFT,
        inputs: ['ids', '', 'q', 'k', '', 'row', 'gain', 'mask'],
        outputs: ['y', 'counts'],
      },
    ],
    initializers: WEIGHTS,
    opset: 17,
    domains: { [MICROSOFT]: 1 },
  })
  const result = await compileModel(decodeModel(bytes), { signal })
  if (!result.ok) throw new Error(`${result.operator}: ${result.reason}`)
  const inputs = new Map([
    ['ids', tensor('INT32', [2, 3], Int32Array.of(1, 2, 7, 0, 3, 4))],
    ['mask', tensor('INT32', [2, 3], Int32Array.of(1, 1, 1, 1, 0, 0))],
  ])
  const expected = await runModel(decodeModel(bytes), inputs)
  const session = await loadVerge(vergeEngine(), result.bytes)
  const actual = await session.run(inputs, { signal })
  expect(actual.get('counts')).toEqual(expected.get('counts'))
  const [wanted, given] = [expected, actual].map((results) => results.get('y')?.data as Float32Array)
  expect(wanted).toHaveLength(2 * 3 * WIDTH)
  for (const [index, value] of wanted?.entries() ?? []) expect(given?.[index]).toBeCloseTo(value, 4)
  session.dispose()
})
