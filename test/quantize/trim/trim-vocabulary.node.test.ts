import { describe, expect, it } from 'vitest'

import { halfBits, type Tensor, tensor } from '../../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { embeddings } from '../../../src/quantize/tables/embeddings.ts'
import { trimVocabulary } from '../../../src/quantize/trim/trim-vocabulary.ts'
import { type NodeSpec, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { change, floats, ids, initializersOf, opsOf, runNative } from '../../fixtures/node/quantize.ts'

const ROWS = 50
const COLUMNS = 32
const KEPT = Int32Array.of(0, 1, 2, 3, 7, 8, 9, 20, 31, 48)
/** New numbers in any order. */
const NEW = [9, 0, 4, 4, 7, 1, 8]
const OLD = NEW.map((id) => KEPT[id] ?? 0)

const table = floats([ROWS, COLUMNS], seededFloats(ROWS * COLUMNS, 1))

interface Spec {
  readonly nodes: readonly NodeSpec[]
  readonly initializers: Readonly<Record<string, Tensor>>
  readonly datatype?: 'INT64' | 'INT32'
  readonly masked?: boolean
  readonly columns?: number
  readonly domains?: Readonly<Record<string, number>>
}

function model({ columns = COLUMNS, datatype = 'INT64', domains, initializers, masked, nodes }: Spec): Uint8Array {
  return onnxModel({
    inputs: [
      { name: 'input_ids', datatype, shape: ['batch', 'length'] },
      ...(masked ? [{ name: 'attention_mask', datatype, shape: ['batch', 'length'] }] : []),
    ],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'length', columns] }],
    nodes,
    initializers,
    ...(domains && { domains }),
  })
}

const trim = (bytes: Uint8Array, kept = KEPT) =>
  trimVocabulary(decodeModel(bytes), { input: 'input_ids', kept, signal: never() })

/** The trimmed model answers new numbers with what the original answers to the old ones, bit for bit. */
async function expectSame(bytes: Uint8Array, others: Readonly<Record<string, Tensor>> = {}) {
  const trimmed = await trim(bytes)
  const small = encodeModel(trimmed.model)
  const expected = await runNative(bytes, { input_ids: ids(...OLD), ...others })
  expect(await runNative(small, { input_ids: ids(...NEW), ...others })).toEqual(expected)
  expect(new Set(expected).size).toBeGreaterThan(1)
  return { ...trimmed, bytes: small }
}

const gather: NodeSpec = { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['y'] }

describe('tables of tokens', () => {
  it('lose the rows of other tokens', async () => {
    const { model: small, tables, mapped } = await expectSame(model({ nodes: [gather], initializers: { table } }))
    expect(initializersOf(small).get('table')?.dims).toEqual([10n, 32n])
    expect(tables).toEqual([{ name: 'table', rows: 50, bytesBefore: 6400, bytesAfter: 1280 }])
    expect(mapped).toBe(false)
  })

  it('in eight and four bits lose scales and zero points, too', async () => {
    const plain = model({ nodes: [gather], initializers: { table } })
    for (const options of [{}, { bits: 4 }, { bits: 4, symmetric: false, scales: 'fp32' }] as const) {
      const { bytes: quantized } = await change(plain, [embeddings(options)])
      const { model: small, tables } = await expectSame(quantized)
      expect(tables.length).toBeGreaterThan(1)
      for (const { name } of tables) expect(initializersOf(small).get(name)?.dims[0]).toBe(10n)
    }
  })

  it('may be looked up through casts of the numbers and of the table', async () => {
    const halves = tensor('FP16', [ROWS, COLUMNS], halfBits(seededFloats(ROWS * COLUMNS, 1)))
    const nodes: NodeSpec[] = [
      { op: 'Cast', inputs: ['input_ids'], outputs: ['small'], attributes: { to: { int: 6 } } },
      { op: 'Gather', inputs: ['table', 'small'], outputs: ['rows'] },
      { op: 'Cast', inputs: ['rows'], outputs: ['y'], attributes: { to: { int: 1 } } },
    ]
    await expectSame(model({ nodes, initializers: { table: halves } }))
    const through: NodeSpec[] = [
      { op: 'Cast', inputs: ['table'], outputs: ['wide'], attributes: { to: { int: 1 } } },
      { op: 'Gather', inputs: ['wide', 'input_ids'], outputs: ['y'] },
    ]
    await expectSame(model({ nodes: through, initializers: { table: halves } }))
  })

  it.each([
    ['one scale', [], 1],
    ['a scale for each row', [ROWS], 0],
    ['a scale for each column', [COLUMNS], 1],
  ])('behind DequantizeLinear with %s', async (_, shape, axis) => {
    const count = shape[0] ?? 1
    const whole = Int8Array.from({ length: ROWS * COLUMNS }, (__, i) => ((i * 37) % 251) - 125)
    const initializers = {
      table: tensor('INT8', [ROWS, COLUMNS], whole),
      scale: floats(
        shape,
        Float32Array.from({ length: count }, (__, i) => 0.01 + i / 1000),
      ),
      zero: tensor(
        'INT8',
        shape,
        Int8Array.from({ length: count }, (__, i) => (i % 5) - 2),
      ),
    }
    const nodes: NodeSpec[] = [
      {
        op: 'DequantizeLinear',
        inputs: ['table', 'scale', 'zero'],
        outputs: ['rows'],
        attributes: { axis: { int: axis } },
      },
      { op: 'Gather', inputs: ['rows', 'input_ids'], outputs: ['y'] },
    ]
    await expectSame(model({ nodes, initializers }))
  })

  it('may be several', async () => {
    const second = floats([ROWS, COLUMNS], seededFloats(ROWS * COLUMNS, 2))
    const nodes: NodeSpec[] = [
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['a'] },
      { op: 'Gather', inputs: ['second', 'input_ids'], outputs: ['b'] },
      { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] },
    ]
    const { tables } = await expectSame(model({ nodes, initializers: { table, second } }))
    expect(tables.map(({ name }) => name).sort()).toEqual(['second', 'table'])
  })
})

describe('numbers of tokens', () => {
  it('that are compared with a constant are compared with the new one', async () => {
    // As RoBERTa finds padding: what differs from it counts.
    const padding = (token: bigint) =>
      model({
        nodes: [
          { op: 'Equal', inputs: ['input_ids', 'pad'], outputs: ['is'] },
          { op: 'Cast', inputs: ['is'], outputs: ['one'], attributes: { to: { int: 1 } } },
          { op: 'Unsqueeze', inputs: ['one', 'last'], outputs: ['wide'] },
          { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['rows'] },
          { op: 'Add', inputs: ['rows', 'wide'], outputs: ['y'] },
        ],
        initializers: {
          table,
          pad: tensor('INT64', [], BigInt64Array.of(token)),
          last: tensor('INT64', [1], BigInt64Array.of(-1n)),
        },
      })
    for (const token of [7n, 48n, 5n]) {
      const { mapped, model: small } = await expectSame(padding(token))
      expect(mapped).toBe(false)
      expect(opsOf(small)).not.toContain('Mul')
    }
  })

  it('that are computed with stay the old ones', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Mul', inputs: ['input_ids', 'attention_mask'], outputs: ['shown'] },
      { op: 'Mul', inputs: ['shown', 'factor'], outputs: ['product'] },
      { op: 'Mod', inputs: ['product', 'buckets'], outputs: ['bucket'] },
      { op: 'Gather', inputs: ['hashed', 'bucket'], outputs: ['a'] },
      { op: 'Gather', inputs: ['table', 'shown'], outputs: ['b'] },
      { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] },
    ]
    const initializers = {
      table,
      factor: tensor('INT64', [], BigInt64Array.of(1_000_003n)),
      buckets: tensor('INT64', [], BigInt64Array.of(13n)),
      hashed: floats([13, COLUMNS], seededFloats(13 * COLUMNS, 3)),
    }
    const attention_mask = ids(1, 1, 0, 1, 1, 0, 1)
    const { mapped, tables } = await expectSame(model({ nodes, initializers, masked: true }), { attention_mask })
    expect(mapped).toBe(true)
    expect(tables.map(({ name }) => name)).toEqual(['table'])
  })

  it('need no table where no token goes', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Cast', inputs: ['input_ids'], outputs: ['float'], attributes: { to: { int: 1 } } },
      { op: 'Unsqueeze', inputs: ['float', 'last'], outputs: ['wide'] },
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['rows'] },
      { op: 'Add', inputs: ['rows', 'wide'], outputs: ['y'] },
    ]
    const bytes = model({ nodes, initializers: { table, last: tensor('INT64', [1], BigInt64Array.of(-1n)) } })
    const all = Int32Array.from({ length: ROWS }, (_, id) => id)
    expect((await trim(bytes, all)).mapped).toBe(false)
    expect((await expectSame(bytes)).mapped).toBe(true)
  })
})

describe('models that cannot be trimmed', () => {
  const tied = (): Uint8Array =>
    model({
      nodes: [
        { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['rows'] },
        { op: 'Transpose', inputs: ['table'], outputs: ['turned'] },
        { op: 'MatMul', inputs: ['rows', 'turned'], outputs: ['y'] },
      ],
      initializers: { table },
      columns: ROWS,
    })

  it('have a last layer of the same table', async () => {
    await expect(trim(tied())).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('a score for each of 50 tokens'),
    })
  })

  it('read the table elsewhere', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['rows'] },
      { op: 'ReduceSum', inputs: ['table', 'first'], outputs: ['sum'] },
      { op: 'Add', inputs: ['rows', 'sum'], outputs: ['y'] },
    ]
    const bytes = model({ nodes, initializers: { table, first: tensor('INT64', [1], BigInt64Array.of(0n)) } })
    await expect(trim(bytes)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('reads the table of tokens "table" too'),
    })
  })

  it('score each token by another matrix', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['rows'] },
      { op: 'MatMul', inputs: ['rows', 'head'], outputs: ['y'] },
    ]
    const head = floats([COLUMNS, ROWS], seededFloats(ROWS * COLUMNS, 4))
    const bytes = model({ nodes, initializers: { table, head }, columns: ROWS })
    await expect(trim(bytes)).rejects.toMatchObject({ code: 'unsupported' })
    const options = { input: 'input_ids', kept: KEPT, classes: ROWS, signal: never() }
    expect((await trimVocabulary(decodeModel(bytes), options)).tables).toHaveLength(1)
  })

  it('look up nothing, or have no such input', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Cast', inputs: ['input_ids'], outputs: ['float'], attributes: { to: { int: 1 } } },
      { op: 'Unsqueeze', inputs: ['float', 'last'], outputs: ['y'] },
    ]
    const bytes = model({ nodes, initializers: { last: tensor('INT64', [1], BigInt64Array.of(-1n)) }, columns: 1 })
    await expect(trim(bytes)).rejects.toThrow('No table is looked up by the input "input_ids"')
    const other = { input: 'tokens', kept: KEPT, signal: never() }
    await expect(trimVocabulary(decodeModel(bytes), other)).rejects.toThrow('no input "tokens"')
  })

  it('have fewer rows than the tokenizer has tokens', async () => {
    const bytes = model({ nodes: [gather], initializers: { table } })
    await expect(trim(bytes, Int32Array.of(0, 3, 50))).rejects.toMatchObject({ code: 'bad_options' })
  })

  it('answer the numbers themselves', async () => {
    const bytes = onnxModel({
      inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['n'] }],
      outputs: [
        { name: 'y', datatype: 'FP32', shape: ['n', COLUMNS] },
        { name: 'z', datatype: 'INT64', shape: ['n', 1] },
      ],
      nodes: [gather, { op: 'Unsqueeze', inputs: ['input_ids', 'last'], outputs: ['z'] }],
      initializers: { table, last: tensor('INT64', [1], BigInt64Array.of(-1n)) },
    })
    await expect(trim(bytes)).rejects.toThrow('Output "z" has the numbers of tokens')
  })
})
