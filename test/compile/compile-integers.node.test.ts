import { describe, expect, it } from 'vitest'
import { compileModel } from '../../src/compile/compile.ts'
import { isVergeError } from '../../src/core/errors.ts'
import { type Tensor, type Tensors, tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { type AttributeValue, type NodeSpec, onnxModel } from '../../synthetic/onnx.ts'
import { never } from '../../synthetic/source.ts'
import { loadModel, plainEngine } from '../fixtures/node/run-onnx.ts'
import { type KernelBuild, loadVerge, vergeEngine } from '../fixtures/node/verge-engine.ts'

const signal = never()
const [LEAST, MOST] = [-(2 ** 31), 2 ** 31 - 1]

type Whole = 'INT64' | 'INT32'

function whole(type: Whole, values: readonly number[], shape: readonly number[] = [values.length]): Tensor {
  return type === 'INT64'
    ? tensor('INT64', shape, BigInt64Array.from(values, BigInt))
    : tensor('INT32', shape, Int32Array.from(values))
}

interface Graph {
  readonly nodes: readonly NodeSpec[]
  readonly inputs: Readonly<Record<string, Tensor>>
  readonly constants?: Readonly<Record<string, Tensor>>
  readonly result?: 'INT64' | 'INT32' | 'BOOL' | 'FP32'
}

/** The inputs have one open size: what they hold is not known before a run. */
function modelOf({ nodes, inputs, constants = {}, result = 'INT64' }: Graph): Uint8Array<ArrayBuffer> {
  return onnxModel({
    opset: 20,
    inputs: Object.entries(inputs).map(([name, { datatype, shape }]) => ({
      name,
      datatype,
      shape: shape.map(() => 'n'),
    })),
    outputs: [{ name: 'y', datatype: result }],
    nodes,
    initializers: constants,
  })
}

function one(
  op: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
): NodeSpec {
  return { op, inputs, outputs: ['y'], attributes }
}

async function compiledFrom(bytes: Uint8Array) {
  const { model } = await prepareModel(decodeModel(bytes), { engine: plainEngine(), signal })
  return compileModel(model, { signal })
}

async function answerOf(session: Session, inputs: Tensors): Promise<Tensor | string> {
  try {
    return (await session.run(inputs, { signal })).get('y') as Tensor
  } catch (error) {
    if (isVergeError(error)) return error.code
    throw error
  }
}

/** What both engines say; Verge's own on both builds, once more after what it refused. */
async function bothAnswers(
  graph: Graph,
): Promise<{ readonly reference: Tensor | string; readonly own: Tensor | string }> {
  const bytes = modelOf(graph)
  const compiled = await compiledFrom(bytes)
  if (!compiled.ok) throw new Error(`${compiled.operator}: ${compiled.reason}`)
  const inputs = new Map(Object.entries(graph.inputs))
  const reference = await loadModel(decodeModel(bytes))
  const answers: (Tensor | string)[] = []
  for (const build of ['relaxed', 'plain'] satisfies KernelBuild[]) {
    const session = await loadVerge(vergeEngine(build), compiled.bytes)
    answers.push(await answerOf(session, inputs), await answerOf(session, inputs))
    session.dispose()
  }
  for (const other of answers) expect(other).toEqual(answers[0])
  const expected = await answerOf(reference, inputs)
  reference.dispose()
  return { reference: expected, own: answers[0] ?? '' }
}

const pair = (type: Whole, a: readonly number[], b: readonly number[]) => ({ a: whole(type, a), b: whole(type, b) })

describe('whole numbers that leave 32 bits are refused', () => {
  it.each<[string, Graph]>([
    ['a product', { nodes: [one('Mul', ['a', 'b'])], inputs: pair('INT64', [3, 2 ** 20], [5, 2 ** 20]) }],
    ['a product that is 0 in 32 bits', { nodes: [one('Mul', ['a', 'b'])], inputs: pair('INT64', [65_536], [65_536]) }],
    ['a sum', { nodes: [one('Add', ['a', 'b'])], inputs: pair('INT64', [MOST], [1]) }],
    ['a difference', { nodes: [one('Sub', ['a', 'b'])], inputs: pair('INT64', [LEAST], [1]) }],
    ['the lowest, turned around', { nodes: [one('Neg', ['a'])], inputs: { a: whole('INT64', [LEAST]) } }],
    ['the size of the lowest', { nodes: [one('Abs', ['a'])], inputs: { a: whole('INT64', [1, LEAST]) } }],
    ['the lowest by -1', { nodes: [one('Div', ['a', 'b'])], inputs: pair('INT64', [LEAST], [-1]) }],
    ['a power', { nodes: [one('Pow', ['a', 'b'])], inputs: pair('INT64', [2], [31]) }],
    ['a negative power', { nodes: [one('Pow', ['a', 'b'])], inputs: pair('INT64', [-3], [21]) }],
    [
      'a running sum',
      {
        nodes: [one('CumSum', ['a', 'axis'])],
        inputs: { a: whole('INT64', [2 ** 30, 2 ** 30, -5]) },
        constants: { axis: whole('INT64', [0], []) },
      },
    ],
    ['the sum of a row', { nodes: [one('ReduceSum', ['a'])], inputs: { a: whole('INT64', [MOST, 1]) } }],
    ['the product of a row', { nodes: [one('ReduceProd', ['a'])], inputs: { a: whole('INT64', [1000, 1000, 3000]) } }],
    [
      'the sum of a row of INT32',
      { nodes: [one('ReduceSum', ['a'])], inputs: { a: whole('INT32', [MOST, 1]) }, result: 'INT32' },
    ],
    ['the greatest of nothing', { nodes: [one('ReduceMax', ['a'])], inputs: { a: whole('INT64', [], [0]) } }],
    [
      'a float',
      { nodes: [one('Cast', ['a'], { to: { int: 7 } })], inputs: { a: tensor('FP32', [2], Float32Array.of(1, 3e9)) } },
    ],
    [
      'a negative float',
      {
        nodes: [one('Cast', ['a'], { to: { int: 7 } })],
        inputs: { a: tensor('FP32', [1], Float32Array.of(-2147483904)) },
      },
    ],
    [
      'what a constant multiplies',
      {
        nodes: [one('Mul', ['a', 'k'])],
        inputs: { a: whole('INT64', [2, 65_536]) },
        constants: { k: whole('INT64', [65_599], []) },
      },
    ],
    [
      'what is taken the rest of only behind',
      {
        nodes: [{ op: 'Mul', inputs: ['a', 'b'], outputs: ['product'] }, one('Mod', ['product', 'by'])],
        inputs: pair('INT64', [2 ** 20], [2 ** 20]),
        constants: { by: whole('INT64', [97], []) },
      },
    ],
  ])('%s', async (_, graph) => {
    const { reference, own } = await bothAnswers(graph)
    expect(own).toBe('integer_too_large')
    expect(typeof reference).toBe('object')
  })

  it('and says so, with the operator and what to do', async () => {
    const bytes = modelOf({ nodes: [one('Add', ['a', 'b'])], inputs: pair('INT64', [0], [0]) })
    const compiled = await compiledFrom(bytes)
    const session = await loadVerge(vergeEngine(), compiled.ok ? compiled.bytes : new Uint8Array(0))
    await expect(session.run(new Map(Object.entries(pair('INT64', [MOST], [MOST]))), { signal })).rejects.toMatchObject(
      {
        code: 'integer_too_large',
        message:
          "The model could not run on these inputs: it gives a whole number beyond 32 bits, which Verge's own engine does not " +
          'hold (operator binary, from node Add). Send smaller numbers, or serve the model with --engines onnxruntime.',
      },
    )
    const sum = await session.run(new Map(Object.entries(pair('INT64', [MOST - 1], [1]))), { signal })
    expect(sum.get('y')?.data).toEqual(BigInt64Array.of(BigInt(MOST)))
  })
})

describe('whole numbers within 32 bits are answered as ONNX Runtime does', () => {
  it.each<[string, Graph]>([
    [
      'products up to the ends',
      {
        nodes: [one('Mul', ['a', 'b'])],
        inputs: pair('INT64', [46_340, LEAST, MOST, -65_536], [46_340, 1, -1, 32_768]),
      },
    ],
    [
      'sums up to the ends',
      { nodes: [one('Add', ['a', 'b'])], inputs: pair('INT64', [MOST - 1, LEAST + 1, MOST], [1, -1, LEAST]) },
    ],
    [
      'differences up to the ends',
      { nodes: [one('Sub', ['a', 'b'])], inputs: pair('INT64', [-1, MOST, LEAST], [MOST, 0, LEAST]) },
    ],
    [
      'quotients, cut off',
      { nodes: [one('Div', ['a', 'b'])], inputs: pair('INT64', [-7, 7, LEAST, MOST], [2, -2, 2, -1]) },
    ],
    [
      'rests, with the sign of the divisor',
      { nodes: [one('Mod', ['a', 'b'])], inputs: pair('INT64', [-7, 7, -7, LEAST], [3, -3, -3, -1]) },
    ],
    [
      "rests, with the dividend's sign",
      { nodes: [one('Mod', ['a', 'b'], { fmod: { int: 1 } })], inputs: pair('INT64', [-7, 7, -7], [3, -3, -3]) },
    ],
    ['powers', { nodes: [one('Pow', ['a', 'b'])], inputs: pair('INT64', [2, -3, 46_340, -2, 0], [30, 3, 2, 31, 0]) }],
    [
      'running sums that turn back',
      {
        nodes: [one('CumSum', ['a', 'axis'])],
        inputs: { a: whole('INT64', [MOST, LEAST, 5]) },
        constants: { axis: whole('INT64', [0], []) },
      },
    ],
    [
      'sums that are larger on the way',
      { nodes: [one('ReduceSum', ['a'])], inputs: { a: whole('INT64', [MOST, MOST, LEAST, LEAST]) } },
    ],
    ['sums of nothing', { nodes: [one('ReduceSum', ['a'])], inputs: { a: whole('INT64', [], [0]) } }],
    [
      'INT32, which wraps around in sums',
      { nodes: [one('Add', ['a', 'b'])], inputs: pair('INT32', [MOST, LEAST], [1, -1]), result: 'INT32' },
    ],
    [
      'INT32, which wraps around in products',
      { nodes: [one('Mul', ['a', 'b'])], inputs: pair('INT32', [65_536, MOST], [65_537, 3]), result: 'INT32' },
    ],
    [
      'the lowest INT32, turned around',
      { nodes: [one('Neg', ['a'])], inputs: { a: whole('INT32', [LEAST]) }, result: 'INT32' },
    ],
    [
      'floats at the ends',
      {
        nodes: [one('Cast', ['a'], { to: { int: 7 } })],
        inputs: { a: tensor('FP32', [4], Float32Array.of(-2147483648, 2147483520, -0.9, 1.9)) },
      },
    ],
    [
      'what is kept within bounds that are larger than 32 bits',
      {
        nodes: [one('Clip', ['a', 'low', 'high'])],
        inputs: { a: whole('INT64', [LEAST, 5, MOST]) },
        constants: { low: whole('INT64', [-(2 ** 40)], []), high: whole('INT64', [2 ** 40], []) },
      },
    ],
    [
      'a hash of ids whose product needs 64 bits',
      {
        nodes: [{ op: 'Mul', inputs: ['a', 'k'], outputs: ['product'] }, one('Mod', ['product', 'by'])],
        inputs: { a: whole('INT64', [MOST, LEAST, 1_000_003]) },
        constants: { k: whole('INT64', [1_000_003], []), by: whole('INT64', [65_536], []) },
      },
    ],
    [
      'a hash of INT32, whose product wraps around',
      {
        nodes: [{ op: 'Mul', inputs: ['a', 'k'], outputs: ['product'] }, one('Mod', ['product', 'by'])],
        inputs: { a: whole('INT32', [MOST, LEAST, 1_000_003]) },
        constants: { k: whole('INT32', [1_000_003], []), by: whole('INT32', [97], []) },
        result: 'INT32',
      },
    ],
  ])('%s', async (_, graph) => {
    const { reference, own } = await bothAnswers(graph)
    expect(own).toEqual(reference)
    expect(typeof own).toBe('object')
  })

  it.each(['Div', 'Mod'] as const)('%s by 0 is refused by both', async (op) => {
    for (const type of ['INT64', 'INT32'] as const) {
      const { reference, own } = await bothAnswers({
        nodes: [one(op, ['a', 'b'])],
        inputs: pair(type, [7], [0]),
        result: type,
      })
      expect([own, reference]).toEqual(['run_rejected', 'run_rejected'])
    }
  })
})

describe('what is known of whole numbers before a run', () => {
  const checked = async (graph: Graph): Promise<boolean[]> => {
    const compiled = await compiledFrom(modelOf(graph))
    if (!compiled.ok) throw new Error(compiled.reason)
    return compiled.plan.steps.map(({ with: attributes }) => attributes?.checked === 1)
  }

  it('leaves out the check where nothing can leave 32 bits', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Mod', inputs: ['a', 'by'], outputs: ['rest'] },
      { op: 'Mul', inputs: ['rest', 'k'], outputs: ['product'] },
      one('Add', ['product', 'rest']),
    ]
    const constants = (k: number) => ({ by: whole('INT64', [1000], []), k: whole('INT64', [k], []) })
    const inputs = { a: whole('INT64', [1]) }
    expect(await checked({ nodes, inputs, constants: constants(2_000_000) })).toEqual([false, false, false])
    expect(await checked({ nodes, inputs, constants: constants(2_149_633) })).toEqual([false, false, true])
    expect(await checked({ nodes, inputs, constants: constants(2_149_634) })).toEqual([false, true, true])
  })

  it('counts the elements of sums', async () => {
    const mask: NodeSpec[] = [
      { op: 'Cast', inputs: ['a'], outputs: ['mask'], attributes: { to: { int: 7 } } },
      one('CumSum', ['mask', 'axis']),
    ]
    const constants = { axis: whole('INT64', [0], []) }
    const flags = tensor('BOOL', [2], Uint8Array.of(1, 0))
    expect(await checked({ nodes: mask, inputs: { a: flags }, constants })).toEqual([false, false])
    expect(
      await checked({ nodes: [one('CumSum', ['a', 'axis'])], inputs: { a: whole('INT64', [1]) }, constants }),
    ).toEqual([true])
  })

  it.each([
    ['a sum', one('Add', ['a', 'k'])],
    ['a comparison', one('Less', ['a', 'k'])],
    ['bounds', one('Clip', ['a', 'k'])],
  ])('declines a constant that is larger, in %s', async (_, node) => {
    const result = node.op === 'Less' ? 'BOOL' : 'INT64'
    const constants = { k: whole('INT64', [2 ** 31], []) }
    const compiled = await compiledFrom(
      modelOf({ nodes: [node], inputs: { a: whole('INT64', [1]) }, constants, result }),
    )
    expect(compiled).toMatchObject({ ok: false, operator: node.op, reason: expect.stringContaining('beyond 32 bits') })
  })
})
