import { describe, expect, it } from 'vitest'
import type { LookedUpTable } from '../../../src/compile/paged.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import type { ModelProto } from '../../../src/onnx/schema/onnx_pb.js'
import { type QuantizeOptions, quantizeModel } from '../../../src/quantize/quantize.ts'
import { cosine } from '../../../src/quantize/shared/metrics.ts'
import type { TableOptions } from '../../../src/quantize/tables/tables.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import { normals } from '../../../synthetic/random.ts'
import { never, pagesOf } from '../../../synthetic/source.ts'
import { lowRankTable } from '../../fixtures/low-rank.ts'
import { compiled } from '../../fixtures/node/paged-models.ts'
import { floats, initializersOf, opsOf } from '../../fixtures/node/quantize.ts'
import { plainEngine, runModel } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()
const env = { engine: plainEngine(), signal }
const ROWS = 600
const POSITIONS = 32
/** As nodes without names are called: the first lookup, and the second. */
const [TOKENS, PLACES] = ['Gather', 'Gather_1'] as const

interface Shape {
  readonly table: Float32Array<ArrayBuffer>
  readonly columns: number
  readonly isTied?: boolean
}

/** Tokens and positions, looked up and added, and a product; or, tied, the table again as the last layer. */
function textModel({ table, columns, isTied = false }: Shape): ModelProto {
  const nodes = [
    { op: 'Gather', inputs: ['table', 'ids'], outputs: ['t'] },
    { op: 'Gather', inputs: ['positions', 'at'], outputs: ['p'] },
    { op: 'Add', inputs: ['t', 'p'], outputs: ['x'] },
  ]
  return decodeModel(
    onnxModel({
      inputs: [
        { name: 'ids', datatype: 'INT64', shape: ['batch', 'n'] },
        { name: 'at', datatype: 'INT64', shape: ['batch', 'n'] },
      ],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'n', isTied ? ROWS : 40] }],
      nodes: isTied
        ? [
            ...nodes,
            { op: 'Transpose', inputs: ['table'], outputs: ['turned'], attributes: { perm: { ints: [1, 0] } } },
            { op: 'MatMul', inputs: ['x', 'turned'], outputs: ['y'] },
          ]
        : [...nodes, { op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: {
        table: floats([ROWS, columns], table),
        positions: floats([POSITIONS, columns], normals('positions', POSITIONS * columns, 0.1)),
        ...(!isTied && { w: floats([columns, 40], normals('w', columns * 40, 0.1)) }),
      },
    }),
  )
}

const quantized = (model: ModelProto, tables: TableOptions, more: Partial<QuantizeOptions> = {}) =>
  quantizeModel(model, { dtype: 'q8', tables, ...more }, env)

const ids = (count: number, most: number): Tensor =>
  tensor(
    'INT64',
    [2, count],
    BigInt64Array.from({ length: 2 * count }, (_, at) => BigInt((at * 37) % most)),
  )
const inputs = new Map([
  ['ids', ids(9, ROWS)],
  ['at', ids(9, POSITIONS)],
])
const answer = async (model: ModelProto): Promise<Float32Array> =>
  (await runModel(model, inputs)).get('y')?.data as Float32Array

/** The answer of Verge's own engine. */
async function ownAnswer(model: ModelProto): Promise<Float32Array> {
  const session = await loadVerge(vergeEngine(), (await compiled(model)).bytes)
  const y = (await session.run(inputs, { signal })).get('y')?.data as Float32Array
  session.dispose()
  return y
}

const full = { table: normals('full rank', ROWS * 256, 1), columns: 256 }
const low = { table: lowRankTable({ rows: ROWS, columns: 256, rank: 12, noise: 0.02 }), columns: 256 }

describe('a table in four bits beside products of eight', () => {
  it.each(['dynamic', 'weights'] as const)('is half as large, and answers as the original does: %s', async (method) => {
    const model = textModel(full)
    const { model: result, layers, notes } = await quantized(model, { form: 'int4' }, { method })
    expect(opsOf(result)).toContain('GatherBlockQuantized')
    expect(opsOf(result)).not.toContain('MatMulNBits')
    const of = (node: string) => layers.find((layer) => layer.node === node)
    expect(of(TOKENS)).toMatchObject({ to: 'int4', weight: 'table', bytesBefore: 4 * ROWS * 256 })
    expect(of(TOKENS)?.bytesAfter).toBe(ROWS * (128 + 2 * 8))
    expect(of(TOKENS)?.sqnrDb).toBeGreaterThan(18)
    // Positions are too few to be worth a loss.
    expect(of(PLACES)?.to).toBe('int8')
    expect(of('MatMul')?.to).toBe('int8')
    expect(notes.join('\n')).not.toContain('no table')
    const expected = await answer(model)
    const native = await answer(result)
    expect(cosine(expected, native)).toBeGreaterThan(0.98)
    expect(cosine(native, await ownAnswer(result))).toBeGreaterThan(0.999)
  })

  it('stays in eight bits where it is smaller than what is asked for', async () => {
    const { model, notes } = await quantized(textModel(full), { form: 'int4', leastBytes: 1024 * 1024 })
    expect(opsOf(model)).not.toContain('GatherBlockQuantized')
    expect(notes).toContain('no table is stored as int4: the model has none that is large enough')
  })

  it('leaves what is excluded as it is', async () => {
    const { model } = await quantized(textModel(full), { form: 'int4' }, { exclude: { nodes: [TOKENS], ops: [] } })
    expect(initializersOf(model).has('table')).toBe(true)
    expect(opsOf(model)).not.toContain('GatherBlockQuantized')
  })
})

describe('a table as two factors', () => {
  it.each(['dynamic', 'weights'] as const)('is a fraction of eight bits where its rank is low: %s', async (method) => {
    const model = textModel(low)
    const { model: result, layers, notes, skipped } = await quantized(model, { form: 'low-rank' }, { method })
    const tokens = layers.find(({ node }) => node === TOKENS)
    expect(tokens).toMatchObject({ to: 'int8 rank 12', bytesBefore: 4 * ROWS * 256 })
    expect(tokens?.bytesAfter).toBeLessThan((ROWS * 260) / 5)
    expect(tokens?.sqnrDb).toBeGreaterThan(30)
    expect(layers.find(({ node }) => node === PLACES)?.to).toBe('int8')
    expect(skipped).toEqual([])
    expect(initializersOf(result).has('table')).toBe(false)
    expect(notes.join('\n')).toMatch(
      /table "table" \(600 x 256\) is stored as two factors: rank 12 of 256 keeps 99\.\d+ % of it; 19536 bytes instead of 156000 in 8 bits/,
    )
    const expected = await answer(model)
    const native = await answer(result)
    expect(cosine(expected, native)).toBeGreaterThan(0.998)
    expect(cosine(native, await ownAnswer(result))).toBeGreaterThan(0.999)
  })

  it('is left in eight bits where its rank is full, with the reason', async () => {
    const { layers, notes, model } = await quantized(textModel(full), { form: 'low-rank' })
    expect(layers.find(({ node }) => node === TOKENS)?.to).toBe('int8')
    expect(opsOf(model).filter((op) => op === 'Gather')).toHaveLength(4)
    expect(notes.join('\n')).toMatch(
      /table "table" \(600 x 256\) stays in 8 bits: rank 2\d\d of 256 keeps 99\.\d+ % of it, and as two factors it would take \d+ bytes instead of 156000/,
    )
  })

  it('has the rank that is asked for, or keeps as much', async () => {
    const rank = async (tables: Omit<TableOptions, 'form'>) =>
      (await quantized(textModel(low), { form: 'low-rank', ...tables })).layers.find(({ node }) => node === TOKENS)?.to
    expect(await rank({ rank: 40 })).toBe('int8 rank 40')
    expect(await rank({ loss: 0.5 })).toMatch(/^int8 rank [3-7]$/)
    // Two factors of rank 42 take 94 % of what 8 bits take: too little to gain, unless it is asked for.
    const narrow = textModel({ table: lowRankTable({ rows: ROWS, columns: 64, rank: 42, noise: 0.001 }), columns: 64 })
    const to = async (tables: Omit<TableOptions, 'form'>) =>
      (await quantized(narrow, { form: 'low-rank', ...tables })).layers.find(({ node }) => node === TOKENS)?.to
    expect([await to({ loss: 0.0001 }), await to({ rank: 42 }), await to({ rank: 45 })]).toEqual([
      'int8',
      'int8 rank 42',
      'int8',
    ])
  })

  it('is not looked for where there are too many columns', async () => {
    const table = normals('wide', ROWS * 1032, 1)
    const { notes } = await quantized(textModel({ table, columns: 1032 }), { form: 'low-rank' })
    expect(notes.join('\n')).toContain('it has more than 1024 columns')
  })
})

describe.each(['int4', 'low-rank'] as const)('%s', (form) => {
  it('may lie in pages, and answers with the same bits', async () => {
    const { model } = await quantized(textModel(low), { form })
    const whole = await loadVerge(vergeEngine(), (await compiled(model)).bytes)
    const found: LookedUpTable[] = []
    const { bytes, pages } = await compiled(model, (table) => {
      found.push(table)
      if (table.rows !== ROWS) return undefined
      return { order: Int32Array.from({ length: ROWS }, (_, id) => ROWS - 1 - id), hot: 50, rowsPerPage: 16 }
    })
    // A row in a page is its levels, then its scales, in whole words.
    const rowBytes = form === 'int4' ? 128 + 2 * 8 : 12
    expect(found.find(({ rows }) => rows === ROWS)?.rowBytes).toBe(rowBytes)
    expect(pages?.bytes.length).toBe((ROWS - 50) * rowBytes)
    const paged = await loadVerge(vergeEngine(), bytes, pagesOf(pages?.bytes ?? new Uint8Array()))
    expect(await paged.run(inputs, { signal })).toEqual(await whole.run(inputs, { signal }))
    for (const session of [whole, paged]) session.dispose()
  })

  it('leaves a table that is the last layer too as the products have it, and says so', async () => {
    const model = textModel({ ...low, isTied: true })
    const plain = await quantizeModel(model, { dtype: 'q8' }, env)
    const { layers, notes, model: result } = await quantized(model, { form })
    expect(layers).toEqual(plain.layers)
    expect(opsOf(result)).toEqual(opsOf(plain.model))
    expect(notes.join('\n')).toMatch(/table "table" stays as the products have it: "[^"]+" reads it too/)
  })

  it('stores one table for several lookups once, in graphs inside as well', async () => {
    const lookups = decodeModel(
      onnxModel({
        inputs: [{ name: 'ids', datatype: 'INT64', shape: ['n'] }],
        outputs: [
          { name: 'a', datatype: 'FP32', shape: ['n', 256] },
          { name: 'b', datatype: 'FP32', shape: ['n', 256] },
        ],
        nodes: [
          { op: 'Gather', inputs: ['table', 'ids'], outputs: ['a'] },
          { op: 'Gather', inputs: ['table', 'ids'], outputs: ['b'] },
        ],
        initializers: { table: floats([ROWS, 256], low.table) },
      }),
    )
    const { model, layers } = await quantized(lookups, { form })
    expect(layers.map(({ node }) => node)).toEqual([TOKENS, PLACES])
    const [first, second] = layers
    expect({ ...first, node: '' }).toEqual({ ...second, node: '' })
    // A table, and its scales or its factor.
    expect(initializersOf(model).size).toBe(form === 'int4' ? 2 : 3)
    const outputs = await runModel(model, new Map([['ids', tensor('INT64', [3], BigInt64Array.of(5n, -1n, 599n))]]))
    expect(outputs.get('a')?.data).toEqual(outputs.get('b')?.data)
    const expected = [
      ...low.table.slice(5 * 256, 6 * 256),
      ...low.table.slice(599 * 256),
      ...low.table.slice(599 * 256),
    ]
    expect(cosine(expected, outputs.get('a')?.data as Float32Array)).toBeGreaterThan(0.98)
  })
})
