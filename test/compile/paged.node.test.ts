import { describe, expect, it } from 'vitest'
import type { LookedUpTable, Paging } from '../../src/compile/paged.ts'
import type { Tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { versionOf } from '../../src/engine/verge/version.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import { runPasses } from '../../src/onnx/pass.ts'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { dynamicInt8 } from '../../src/quantize/products/dynamic.ts'
import { onnxModel, seededFloats } from '../../synthetic/onnx.ts'
import { never, pagesOf } from '../../synthetic/source.ts'
import { anyPaging, compiled, idsTensor, lookupModel, PRECISIONS, shuffled } from '../fixtures/node/paged-models.ts'
import { plainEngine, runModel } from '../fixtures/node/run-onnx.ts'
import { EXPORTS } from '../fixtures/node/transformer-exports.ts'
import { expectClose } from '../fixtures/node/verge-compare.ts'
import { loadVerge, runSession, vergeEngine } from '../fixtures/node/verge-engine.ts'
import { type Random, randomFrom } from '../fixtures/onnx-proto.ts'

function inputsOf(session: Session, rows: number, random: Random): Record<string, Tensor> {
  const shape = [random(4), random(9)]
  const count = (shape[0] ?? 0) * (shape[1] ?? 0)
  return Object.fromEntries(
    session.signature.inputs.map(({ name }) => {
      const most = name === 'token_type_ids' ? 3 : rows
      // The padding of shorter texts is one id again and again.
      const ids = Array.from({ length: count }, () => (random(3) === 0 ? 0 : random(2 * most) - most))
      return [name, idsTensor(shape, ids)]
    }),
  )
}

describe.each(PRECISIONS)('a table in %s', (precision) => {
  it('answers bit for bit as the artifact that has all rows does, however it is stored', async () => {
    const random = randomFrom(PRECISIONS.indexOf(precision) + 1)
    const [rows, width] = [61, 48]
    const model = await lookupModel(precision, { rows, width, types: 3 })
    const whole = await loadVerge(vergeEngine(), (await compiled(model)).bytes)
    let read = 0
    for (let round = 0; round < 25; round++) {
      const { bytes, pages } = await compiled(model, (table) => anyPaging(table.rows, random))
      const source = pagesOf(pages?.bytes ?? new Uint8Array())
      const build = round % 2 === 0 ? 'relaxed' : 'plain'
      const session = await loadVerge(
        vergeEngine(build, { pageCacheBytes: [0, 1000, 1e6][random(3)] as number }),
        bytes,
        source,
      )
      for (let run = 0; run < 4; run++) {
        const inputs = inputsOf(session, rows, random)
        expect(await runSession(session, inputs)).toEqual(await runSession(whole, inputs))
      }
      read += source.rounds.length
    }
    expect(read).toBeGreaterThan(20)
  })

  it('answers as onnxruntime-node does', async () => {
    const random = randomFrom(5)
    const model = await lookupModel(precision, { rows: 61, width: 48 })
    const { bytes, pages } = await compiled(model, () => ({ order: shuffled(61, random), hot: 20, rowsPerPage: 7 }))
    const session = await loadVerge(vergeEngine(), bytes, pagesOf(pages?.bytes ?? new Uint8Array()))
    const inputs = {
      input_ids: idsTensor(
        [2, 40],
        Array.from({ length: 80 }, (_, at) => (at % 61) - (at % 3) * 20),
      ),
    }
    const expected = (await runModel(model, new Map(Object.entries(inputs)))).get('rows') as Tensor
    // With scales in half floats ONNX Runtime rounds what it finds to half floats.
    expectClose((await runSession(session, inputs)).get('rows') as Tensor, expected, precision === 'u4' ? 2 ** -11 : 0)
  })
})

describe.each(['bert', 'distilbert', 'roberta', 'mpnet'])('an export of %s', (name) => {
  const { bytes, inputs } = (EXPORTS[name] as (typeof EXPORTS)[string])()

  it('answers bit for bit with its tables in pages, in floats and in 8 bits', async () => {
    const random = randomFrom(11)
    const { model: floats } = await prepareModel(decodeModel(bytes), { engine: plainEngine(), signal: never() })
    const { model: int8 } = await runPasses(floats, [dynamicInt8()], { signal: never() })
    for (const model of [floats, int8]) {
      const offered: string[] = []
      const paged = await compiled(model, ({ input, rows }) => {
        offered.push(input)
        return anyPaging(rows, random)
      })
      expect(offered).toContain('input_ids')
      const session = await loadVerge(vergeEngine(), paged.bytes, pagesOf(paged.pages?.bytes ?? new Uint8Array()))
      const reference = await loadVerge(vergeEngine(), (await compiled(model)).bytes)
      for (const [batch, length] of [
        [1, 7],
        [3, 10],
      ] as const) {
        const given = inputs(batch, length)
        const signal = never()
        expect(await session.run(given, { signal })).toEqual(await reference.run(given, { signal }))
      }
    }
  })
})

const whole = (rows: number): Paging => ({
  order: Int32Array.from({ length: rows }, (_, id) => id),
  hot: 2,
  rowsPerPage: 3,
})

/** Nodes over `ids` and `more` [n] and a table [9, 4]; which tables may be in pages. */
async function offered(nodes: Parameters<typeof onnxModel>[0]['nodes'], outputs = ['y']): Promise<LookedUpTable[]> {
  const bytes = onnxModel({
    inputs: [
      { name: 'ids', datatype: 'INT64', shape: ['n'] },
      { name: 'more', datatype: 'INT64', shape: ['n'] },
    ],
    outputs: outputs.map((name) => ({ name, datatype: 'FP32' as const })),
    nodes,
    initializers: {
      table: { datatype: 'FP32', shape: [9, 4], data: seededFloats(36, 1) },
      other: { datatype: 'FP32', shape: [7, 5], data: seededFloats(35, 2) },
      turned: { datatype: 'FP32', shape: [4, 9], data: seededFloats(36, 3) },
    },
  })
  const tables: LookedUpTable[] = []
  await compiled(decodeModel(bytes), (table) => {
    tables.push(table)
    return undefined
  })
  return tables
}

const gather = (ids: string, table = 'table', output = 'y') => ({
  op: 'Gather',
  inputs: [table, ids],
  outputs: [output],
})
const table = { node: '', input: 'ids', rows: 9, width: 4, rowBytes: 16 }

describe('tables that may be in pages', () => {
  it('are looked up by an input, as it is, in another shape or as 32 bits', async () => {
    expect(await offered([gather('ids')])).toEqual([table])
    const cast = { op: 'Cast', inputs: ['ids'], outputs: ['short'], attributes: { to: { int: 6 } } }
    expect(await offered([cast, gather('short')])).toEqual([table])
    const flatten = { op: 'Flatten', inputs: ['ids'], outputs: ['flat'], attributes: { axis: { int: 0 } } }
    expect(await offered([flatten, gather('flat')])).toEqual([table])
  })

  it('are several where there are several, and one where two inputs look up in it', async () => {
    const both = [gather('ids', 'table', 'y'), gather('ids', 'other', 'z'), gather('more', 'table', 'w')]
    expect(await offered(both, ['y', 'z', 'w'])).toEqual([table, { ...table, rows: 7, width: 5, rowBytes: 20 }])
  })

  it('stay whole where ids are computed, in one place of two too', async () => {
    const sum = { op: 'Add', inputs: ['ids', 'more'], outputs: ['sum'] }
    expect(await offered([sum, gather('sum')])).toEqual([])
    expect(await offered([sum, gather('ids'), gather('sum', 'table', 'z')], ['y', 'z'])).toEqual([])
  })

  it("stay whole where anything else reads them, or a product has their size: a decoder's output table", async () => {
    const add = { op: 'Add', inputs: ['table', 'table'], outputs: ['z'] }
    expect(await offered([gather('ids'), add], ['y', 'z'])).toEqual([])
    const product = { op: 'MatMul', inputs: ['y', 'turned'], outputs: ['z'] }
    expect(await offered([gather('ids'), product], ['z'])).toEqual([])
  })
})

describe('pages', () => {
  it('have the rows of each table in the order of its places, each with its scale behind it', async () => {
    const model = await lookupModel('i8 by row', { rows: 61, width: 50, types: 3 })
    const order = shuffled(61, randomFrom(3))
    const { pages } = await compiled(model, ({ rows }) =>
      rows === 61 ? { order, hot: 11, rowsPerPage: 8 } : whole(rows),
    )
    expect(pages?.tables).toEqual([
      expect.objectContaining({ input: 'input_ids', hot: 11, offset: 0, rowBytes: 56, pageBytes: 448, pages: 7 }),
      expect.objectContaining({ input: 'token_type_ids', hot: 2, offset: 50 * 56, pageBytes: 600, pages: 1 }),
    ])
    expect(pages?.bytes.length).toBe(50 * 56 + 200)
    const alone = await lookupModel('i8 by row', { rows: 61, width: 50 })
    const ids = idsTensor([1, 50], [...order.subarray(11)])
    const rows = (await runModel(alone, new Map([['input_ids', ids]]))).get('rows')
    const records = new DataView(pages?.bytes.buffer ?? new ArrayBuffer())
    const values = Float32Array.from({ length: 50 * 50 }, (_, at) => {
      const start = Math.floor(at / 50) * 56
      return records.getInt8(start + (at % 50)) * records.getFloat32(start + 50, true)
    })
    expect(values).toEqual(rows?.data)
  })

  it('need a newer engine than other artifacts', async () => {
    const model = await lookupModel('i8 by row', { rows: 61, width: 48 })
    expect(versionOf((await compiled(model)).plan)).toBe('1.1.0')
    expect(versionOf((await compiled(model, ({ rows }) => whole(rows))).plan)).toBe('1.2.0')
  })

  it('are none, and the artifact is the same, where no table is chosen', async () => {
    const model = await lookupModel('i8 by row', { rows: 61, width: 48 })
    const plain = await compiled(model)
    const { bytes, pages } = await compiled(model, () => undefined)
    expect(pages).toBeUndefined()
    expect(bytes).toEqual(plain.bytes)
  })

  it('of two tables by one input, and of one by two, are read in one round', async () => {
    const nodes = [gather('ids'), gather('ids', 'other', 'z'), gather('more', 'table', 'w')]
    const bytes = onnxModel({
      inputs: ['ids', 'more'].map((name) => ({ name, datatype: 'INT64' as const, shape: ['n'] })),
      outputs: ['y', 'z', 'w'].map((name) => ({ name, datatype: 'FP32' as const })),
      nodes,
      initializers: {
        table: { datatype: 'FP32', shape: [9, 4], data: seededFloats(36, 1) },
        other: { datatype: 'FP32', shape: [7, 5], data: seededFloats(35, 2) },
      },
    })
    const model = decodeModel(bytes)
    const result = await compiled(model, ({ rows }) => whole(rows))
    const source = pagesOf(result.pages?.bytes ?? new Uint8Array())
    const session = await loadVerge(vergeEngine(), result.bytes, source)
    const inputs = { ids: idsTensor([4], [1, 5, -1, 5]), more: idsTensor([4], [0, 4, 3, 8]) }
    expect(await runSession(session, inputs)).toEqual(await runModel(model, new Map(Object.entries(inputs))))
    // Rows 2 to 4 and 5 to 7 and 8 of the one; of the other, 5 and 6.
    expect(source.rounds.map((round) => round.toSorted((a, b) => a - b))).toEqual([[0, 48, 96, 112 + 60]])
  })

  it.each([
    ['an id is missing', { order: Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7, 7), hot: 2, rowsPerPage: 3 }],
    ['an id is none of the table', { order: Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7, 9), hot: 2, rowsPerPage: 3 }],
    ['there are fewer ids', { ...whole(8) }],
    ['more rows are hot than there are', { ...whole(9), hot: 10 }],
    ['a page has no rows', { ...whole(9), rowsPerPage: 0 }],
  ])('are refused where %s', async (_, paging) => {
    const model = await lookupModel('f32', { rows: 9, width: 4 })
    await expect(compiled(model, () => paging)).rejects.toThrow(RangeError)
  })
})
