import { describe, expect, it } from 'vitest'
import { tensor } from '../../../../src/core/tensors.ts'
import type { Operand } from '../../../../src/engine/verge/plan.ts'
import { seededFloats } from '../../../../synthetic/onnx.ts'
import { PlanWriter } from '../../../../synthetic/verge-plans.ts'
import { compare, floats, integers } from '../../../fixtures/node/verge-compare.ts'
import { loadVerge, runSession, vergeEngine } from '../../../fixtures/node/verge-engine.ts'

const bytes = (count: number, seed: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(seededFloats(count, seed), (value) => Math.floor(((value + 1) / 2) * 256))

interface Table {
  readonly rows: number
  readonly width: number
  readonly block: number
  readonly hasZeros: boolean
}

/** Both as ONNX Runtime takes them and as a plan does. */
function tableOf({ rows, width, block, hasZeros }: Table, seed: number) {
  const blocks = Math.ceil(width / block)
  const levels = bytes(rows * (width / 2), seed)
  const scales = floats([rows, blocks], seed + 1, 0.1)
  const points = bytes(rows * Math.ceil(blocks / 2), seed + 2)
  const initializers = {
    table: tensor('UINT8', [rows, width / 2], levels),
    scales,
    ...(hasZeros && { points: tensor('UINT8', [rows, Math.ceil(blocks / 2)], points) }),
  }
  const operands = (writer: PlanWriter, [ids]: readonly Operand[]): Operand[] => [
    writer.constant('u4', [rows, width], levels),
    ids ?? null,
    writer.constant('f32', [rows, blocks], scales.data as Float32Array),
    ...(hasZeros ? [writer.constant('u4', [rows, blocks], points)] : []),
  ]
  return { initializers, operands }
}

describe('gather-rows of four bits', () => {
  const shapes = [
    { rows: 50, width: 64, block: 32 },
    { rows: 7, width: 384, block: 128 },
    { rows: 31, width: 50, block: 16 },
    { rows: 9, width: 2, block: 16 },
    { rows: 12, width: 34, block: 32 },
    { rows: 1, width: 288, block: 256 },
    { rows: 300, width: 30, block: 64 },
  ].flatMap((shape) => [false, true].map((hasZeros) => ({ ...shape, hasZeros })))

  it.each(shapes)('has the bits of ONNX Runtime: %o', async (shape) => {
    const { rows, width, block, hasZeros } = shape
    const { initializers, operands } = tableOf(shape, rows + width)
    for (const [count, seed] of [
      [1, 3],
      [17, 5],
    ] as const) {
      const ids = integers([count, 2], seed, -rows, rows)
      await compare({
        inputs: { ids },
        initializers,
        onnx: 'GatherBlockQuantized',
        domain: 'com.microsoft',
        attributes: {
          bits: { int: 4 },
          block_size: { int: block },
          gather_axis: { int: 0 },
          quantize_axis: { int: 1 },
        },
        reads: ['table', 'ids', 'scales', ...(hasZeros ? ['points'] : [])],
        result: 'FP32',
        op: 'gather-rows',
        with: { block },
        operands,
      })
    }
  })
})

/** A plan of one lookup; rows that are cut through the middle of a byte are filled up. */
function lookup(writer: PlanWriter, table: Operand, parts: readonly Operand[], width: number, block: number) {
  const n = writer.symbol('n')
  const ids = writer.input('ids', 'INT64', [n])
  writer.output(
    'y',
    'FP32',
    [n, width],
    writer.step('gather-rows', [table, ids, ...parts], 'f32', [n, width], { block }),
  )
  return writer.artifact()
}

const idsOf = (...values: number[]) => ({ ids: tensor('INT64', [values.length], BigInt64Array.from(values, BigInt)) })

describe.each(['relaxed', 'plain'] as const)('rows of four bits in the %s build', (build) => {
  it('begin with a byte each where their length is odd, and take scales in half floats and blocks of any size', async () => {
    const [rows, width, block] = [3, 5, 3]
    const writer = new PlanWriter()
    const levels = Uint8Array.of(0x10, 0x32, 0x04, 0xfe, 0xdc, 0xfb, 0x98, 0x76, 0x05)
    const scales = new Float16Array([1, 0.5, -2, 0.25, 1 / 1024, 65504])
    const table = writer.constant('u4', [rows, width], levels)
    const factors = writer.constant('f16', [rows, 2], new Uint16Array(scales.buffer))
    const points = writer.constant('u4', [rows, 2], Uint8Array.of(0x80, 0x3c, 0x87))
    const session = await loadVerge(vergeEngine(build), lookup(writer, table, [factors, points], width, block))
    const answer = await runSession(session, idsOf(0, 1, -1))
    expect(answer.get('y')?.data).toEqual(
      Float32Array.of(
        ...[0, 1, 2, -2.5, -2],
        ...[-4, -6, -0, 2.5, 2],
        ...[1 / 1024, 2 / 1024, -1 / 1024, -65504, -3 * 65504],
      ),
    )
    session.dispose()
  })

  it('refuse ids that the table does not have', async () => {
    const writer = new PlanWriter()
    const table = writer.constant('u4', [4, 32], bytes(64, 1))
    const scales = writer.constant('f32', [4, 1], seededFloats(4, 2))
    const session = await loadVerge(vergeEngine(build), lookup(writer, table, [scales], 32, 32))
    for (const id of [4, -5, 2 ** 31 - 1, -(2 ** 31)]) {
      await expect(runSession(session, idsOf(0, id))).rejects.toMatchObject({
        code: 'run_rejected',
        message: expect.stringContaining(`index ${id} is out of range, which is -4 to 3`),
      })
    }
    session.dispose()
  })
})

it('refuses tables of four bits whose parts do not fit together', async () => {
  const cases: readonly (readonly [(writer: PlanWriter) => readonly Operand[], number, string])[] = [
    [() => [], 32, 'its table has another number of scales'],
    [(writer) => [writer.constant('f32', [4, 2], seededFloats(8, 2))], 32, 'its table has another number of scales'],
    [(writer) => [writer.constant('f32', [4, 1], seededFloats(4, 2))], 0, 'its blocks have no size'],
    [(writer) => [writer.constant('f32', [4, 1], seededFloats(4, 2))], 2 ** 31, 'its blocks have no size'],
    [
      (writer) => [writer.constant('f32', [4, 1], seededFloats(4, 2)), writer.constant('u4', [4, 2], bytes(4, 3))],
      32,
      'its table has another number of zero points',
    ],
  ]
  for (const [parts, block, message] of cases) {
    const writer = new PlanWriter()
    const table = writer.constant('u4', [4, 32], bytes(64, 1))
    const session = await loadVerge(vergeEngine(), lookup(writer, table, parts(writer), 32, block))
    await expect(runSession(session, idsOf(0))).rejects.toMatchObject({
      code: 'run_rejected',
      message: expect.stringContaining(message),
    })
    session.dispose()
  }
  const writer = new PlanWriter()
  const short = writer.constant('u4', [4, 5], bytes(10, 1))
  const scales = writer.constant('f32', [4, 1], seededFloats(4, 2))
  await expect(loadVerge(vergeEngine(), lookup(writer, short, [scales], 5, 5))).rejects.toMatchObject({
    code: 'model_invalid',
    message: expect.stringContaining('a constant has another length than its shape'),
  })
})
