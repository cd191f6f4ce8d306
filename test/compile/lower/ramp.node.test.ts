import { describe, expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { type NodeSpec, onnxModel } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { runModel } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'
import { runPlan } from '../../fixtures/plan-reference.ts'

const signal = never()
const SHAPE = ['batch', 'sequence'] as const

const whole = (...values: number[]): Tensor => tensor('INT64', [values.length], BigInt64Array.from(values, BigInt))
const one = (value: number): Tensor => tensor('INT64', [], BigInt64Array.of(BigInt(value)))

const CONSTANTS = {
  zero: one(0),
  one: one(1),
  two: one(2),
  first: whole(0),
  second: whole(1),
  third: whole(2),
  last: whole(-1),
  'axes of a row': whole(0, 1, 2),
  'axes of a batch': whole(1, 2, 3),
  'axes of a column': whole(0, 1, 3),
}

const node = (op: string, inputs: readonly string[], output: string, attributes: NodeSpec['attributes'] = {}) => ({
  op,
  inputs,
  outputs: [output],
  attributes,
})
const axis = (value: number): NodeSpec['attributes'] => ({ axis: { int: value } })

/** Sizes of the mask and what counts along them: `rows` [batch, 1, 1, 1], `columns` [1, 1, 1, sequence]. */
const COUNTED = [
  node('Shape', ['mask'], 'shape'),
  node('Gather', ['shape', 'zero'], 'batch', axis(0)),
  node('Gather', ['shape', 'one'], 'sequence', axis(0)),
  node('Range', ['zero', 'batch', 'one'], 'batches'),
  node('Range', ['zero', 'sequence', 'one'], 'positions'),
  node('Unsqueeze', ['batches', 'axes of a batch'], 'rows'),
  node('Unsqueeze', ['positions', 'axes of a row'], 'columns'),
  node('Unsqueeze', ['positions', 'axes of a column'], 'queries'),
]

function graph(nodes: readonly NodeSpec[], datatype: 'INT64' | 'BOOL', shape: readonly (string | number)[]) {
  return onnxModel({
    inputs: [{ name: 'mask', datatype: 'INT64', shape: [...SHAPE] }],
    outputs: [{ name: 'result', datatype, shape: [...shape] }],
    nodes: [...COUNTED, ...nodes],
    initializers: CONSTANTS,
    opset: 17,
  })
}

/** The operators of the plan, after its answers were compared with ONNX Runtime's at several sizes. */
async function stepsOf(bytes: Uint8Array): Promise<string[]> {
  const result = await compileModel(decodeModel(bytes), { signal })
  if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
  const session = await loadVerge(vergeEngine(), result.bytes)
  for (const [batch, length] of [
    [1, 1],
    [1, 5],
    [3, 4],
  ] as const) {
    const values = BigInt64Array.from({ length: batch * length }, (_, index) => BigInt((index * 7) % 5))
    const inputs = new Map([['mask', tensor('INT64', [batch, length], values)]])
    const expected = (await runModel(decodeModel(bytes), inputs)).get('result') as Tensor
    for (const answer of [runPlan(result.bytes, inputs), await session.run(inputs, { signal })]) {
      const actual = answer.get('result') as Tensor
      expect(actual.shape).toEqual(expected.shape)
      expect(Array.from(actual.data as ArrayLike<unknown>, Number)).toEqual(
        Array.from(expected.data as ArrayLike<unknown>, Number),
      )
    }
  }
  session.dispose()
  return result.plan.steps.map(({ op }) => op)
}

describe('indices that count through whole axes', () => {
  it('are a view of what they read, as PyTorch 2 writes a mask for each query', async () => {
    const nodes = [
      node('Max', ['rows', 'columns'], 'both'),
      node('Shape', ['both'], 'wide'),
      node('Expand', ['rows', 'wide'], 'every row'),
      node('Expand', ['columns', 'wide'], 'every column'),
      node('Unsqueeze', ['every row', 'last'], 'row index'),
      node('Unsqueeze', ['every column', 'last'], 'column index'),
      node('Concat', ['row index', 'column index'], 'index', axis(-1)),
      node('GatherND', ['mask', 'index'], 'result'),
    ]
    expect(await stepsOf(graph(nodes, 'INT64', ['batch', 1, 1, 'sequence']))).toEqual([])
  })

  it('are a view where several axes were made one, as the tracing exporter writes it', async () => {
    const nodes = [
      node('Flatten', ['mask'], 'flat', axis(2)),
      node('Mul', ['rows', 'sequence'], 'starts'),
      node('Add', ['starts', 'columns'], 'index'),
      node('Gather', ['flat', 'index'], 'read', axis(0)),
      node('Shape', ['index'], 'wide'),
      node('Reshape', ['read', 'last'], 'line'),
      node('Reshape', ['line', 'wide'], 'result'),
    ]
    expect(await stepsOf(graph(nodes, 'INT64', ['batch', 1, 1, 'sequence']))).toEqual([])
  })

  it('are refused where they leave elements out', async () => {
    const nodes = [
      node('Range', ['one', 'sequence', 'one'], 'others'),
      node('Unsqueeze', ['others', 'last'], 'column'),
      node('Mul', ['column', 'zero'], 'row'),
      node('Concat', ['row', 'column'], 'index', axis(-1)),
      node('GatherND', ['mask', 'index'], 'result'),
    ]
    const result = await compileModel(decodeModel(graph(nodes, 'INT64', ['others'])), { signal })
    expect(result).toMatchObject({
      ok: false,
      operator: 'GatherND',
      reason: 'its indices do not count through whole axes',
    })
  })
})

describe('numbers that grow along axes', () => {
  it('are written out where they are data, a size as their step', async () => {
    const nodes = [
      node('Mul', ['rows', 'sequence'], 'starts'),
      node('Add', ['starts', 'columns'], 'places'),
      node('Sub', ['places', 'queries'], 'differences'),
      node('Add', ['differences', 'two'], 'result'),
    ]
    const steps = await stepsOf(graph(nodes, 'INT64', ['batch', 1, 'sequence', 'sequence']))
    expect(steps.filter((op) => op === 'range')).toHaveLength(3)
    expect(steps).toContain('dims')
  })

  it('are compared with each other for each element', async () => {
    const nodes = [node('LessOrEqual', ['columns', 'queries'], 'result')]
    expect(await stepsOf(graph(nodes, 'BOOL', [1, 1, 'sequence', 'sequence']))).toEqual(['range', 'binary'])
  })

  it('hide nothing where a comparison always holds', async () => {
    const nodes = [
      node('Cast', ['mask'], 'present', { to: { int: 9 } }),
      node('Unsqueeze', ['present', 'second'], 'wide'),
      node('GreaterOrEqual', ['positions', 'zero'], 'sure'),
      node('And', ['sure', 'wide'], 'result'),
    ]
    expect(await stepsOf(graph(nodes, 'BOOL', ['batch', 1, 'sequence']))).toEqual(['cast'])
  })

  it('hide something where it does not', async () => {
    const nodes = [
      node('Cast', ['mask'], 'present', { to: { int: 9 } }),
      node('Unsqueeze', ['present', 'second'], 'wide'),
      node('Greater', ['positions', 'zero'], 'rest'),
      node('And', ['rest', 'wide'], 'result'),
    ]
    expect(await stepsOf(graph(nodes, 'BOOL', ['batch', 1, 'sequence']))).toEqual(['cast', 'range', 'binary', 'binary'])
  })
})
