import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../../src/cli/build/load.ts'
import { choosePrecision } from '../../../src/cli/build/precision.ts'
import { quantizeSettings } from '../../../src/cli/build/quantize-settings.ts'
import { withSmallerTables } from '../../../src/cli/build/tables.ts'
import { silentProgress } from '../../../src/cli/terminal/progress.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { precisionOf } from '../../../src/quantize/precision.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import { normals } from '../../../synthetic/random.ts'
import { never } from '../../../synthetic/source.ts'
import { lowRankTable } from '../../fixtures/low-rank.ts'

const signal = never()
const COLUMNS = 256
/** Above 4 MiB in 8 bits. */
const ROWS = 17_000

const full = normals('full rank', ROWS * COLUMNS, 1)
const low = lowRankTable({ rows: ROWS, columns: COLUMNS, rank: 20, noise: 0.01 })

function model(table: Float32Array<ArrayBuffer>): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'ids', datatype: 'INT64', shape: ['batch', 'n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'n', 64] }],
    nodes: [
      { op: 'Gather', inputs: ['table', 'ids'], outputs: ['x'] },
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] },
    ],
    initializers: {
      table: tensor('FP32', [table.length / COLUMNS, COLUMNS], table),
      w: tensor('FP32', [COLUMNS, 64], normals('w', COLUMNS * 64, 0.1)),
    },
  })
}

interface Asked {
  readonly options?: Parameters<typeof quantizeSettings>[0]
  readonly tolerance?: number
  readonly samples?: number
}

async function chosen(onnx: Uint8Array, { options = {}, tolerance, samples = 4 }: Asked) {
  const folder = await mkdtemp(join(tmpdir(), 'verge-tables-'))
  try {
    await writeFile(join(folder, 'model.onnx'), onnx)
    const bench = { progress: silentProgress, signal }
    const loaded = await loadModel(join(folder, 'model.onnx'), bench)
    const set = {
      samples: Array.from({ length: samples }, (_, seed) => ({
        inputs: new Map([
          [
            'ids',
            tensor(
              'INT64',
              [1, 16],
              BigInt64Array.from({ length: 16 }, (_, at) => BigInt((at * 977 + seed * 53) % 400)),
            ),
          ],
        ]),
      })),
      synthetic: true,
      classes: undefined,
    }
    const result = await choosePrecision(loaded, quantizeSettings(options), set, { ...bench, tolerance })
    return { ...result, to: result.quantized?.layers.find(({ op }) => op === 'Gather')?.to }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

describe('the form of a large table', () => {
  it('is 8 bits where nothing is asked for', async () => {
    const { to, dtype } = await chosen(model(full), {})
    expect({ to, dtype }).toEqual({ to: 'int8', dtype: 'q8' })
  })

  it.each([
    { asked: '--embeddings auto', options: { embeddings: 'auto' } },
    { asked: '--tolerance', options: {}, tolerance: 0.985 },
    { asked: '--dtype q8 --embeddings auto', options: { dtype: 'q8', embeddings: 'auto' } },
  ])('is 4 bits where they agree: $asked', async ({ options, tolerance }) => {
    const { to, dtype, notes, onnx } = await chosen(model(full), { options, ...(tolerance && { tolerance }) })
    expect({ to, dtype }).toEqual({ to: 'int4', dtype: 'q4' })
    const said = notes.join('\n')
    expect(said).toContain('precision: q4: q8 with tables in 4 bits')
    expect(said).toMatch(/table "table": int4, 16\.60 MiB > 2\.33 MiB, signal to noise (19|2\d)\.\d dB/)
    expect(said).toMatch(/table "table" \(17000 x 256\) stays in 8 bits: rank 25\d of 256 keeps 99\.\d+ % of it/)
    expect(precisionOf(decodeModel(onnx))).toBe('q4')
  })

  it('is two factors where they are smaller than 4 bits, and agree', async () => {
    const { to, dtype, notes, onnx } = await chosen(model(low), { options: { embeddings: 'auto' } })
    expect({ to, dtype }).toEqual({ to: 'int8 rank 20', dtype: 'q8' })
    expect(onnx.length).toBeLessThan(ROWS * 40)
    expect(notes.join('\n')).toMatch(
      /table "table": int8 rank 20, 16\.60 MiB > 352\.1 KiB, signal to noise (3[5-9]|4\d)\.\d dB/,
    )
  })

  it('stays in 8 bits where others differ by more than is allowed, and the notes say so', async () => {
    const { to, dtype, notes } = await chosen(model(full), { tolerance: 0.9995 })
    expect({ to, dtype }).toEqual({ to: 'int8', dtype: 'q8' })
    expect(notes.join('\n')).toMatch(/tables: int4 were rejected: output "y" /)
  })

  it('stays in 8 bits where there is nothing to compare with', async () => {
    const { to, notes } = await chosen(model(full), { options: { dtype: 'q8', embeddings: 'auto' }, samples: 0 })
    expect(to).toBe('int8')
    expect(notes).toContain('tables: 8 bits, because there are no samples to compare others on')
  })
})

it('is 8 bits where another saves too little of the whole model, and the notes say nothing of that other', async () => {
  const asIt = (to: string, bytes: number, note: string) => {
    const layer = { node: 'Gather', op: 'Gather', weight: 'table', to, elements: 8 << 20, sqnrDb: 30 }
    return {
      dtype: 'q8' as const,
      onnx: new Uint8Array(bytes),
      quantized: {
        method: 'weights' as const,
        layers: [{ ...layer, bytesBefore: 32 << 20, bytesAfter: 8 << 20 }],
        skipped: [],
        applied: [],
        notes: [note],
      },
      notes: [],
    }
  }
  const eight = asIt('int8', 1000, '')
  const samples = [{ inputs: new Map([['ids', tensor('INT64', [1, 1], new BigInt64Array(1))]]) }]
  const folder = await mkdtemp(join(tmpdir(), 'verge-tables-'))
  try {
    await writeFile(join(folder, 'model.onnx'), model(full.slice(0, COLUMNS)))
    const bench = { progress: silentProgress, signal, tolerance: undefined }
    const loaded = await loadModel(join(folder, 'model.onnx'), bench)
    const set = { samples, synthetic: true, classes: undefined }
    const { onnx, notes } = await withSmallerTables(eight, loaded, set, bench, async ({ form }) =>
      asIt(form === 'int4' ? 'int4' : 'int8 rank 9', 960, 'table "table" (32768 x 256) is stored as two factors'),
    )
    expect(onnx).toBe(eight.onnx)
    expect(notes).toEqual([
      'tables: low-rank saves less than 5 % of the model',
      'tables: int4 saves less than 5 % of the model',
    ])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

describe('the form of a small table', () => {
  const small = model(full.slice(0, 500 * COLUMNS))

  it('is 8 bits where it is chosen', async () => {
    expect(await chosen(small, { options: { embeddings: 'auto' } })).toMatchObject({ to: 'int8', dtype: 'q8' })
  })

  it.each([
    [{ embeddings: 'int4' }, 'int4'],
    [{ embeddings: 'int4', dtype: 'int8', 'block-size': '64' }, 'int4'],
    [{ embeddings: 'low-rank', 'embedding-rank': '50' }, 'int8 rank 50'],
    [{ embeddings: 'low-rank', 'embedding-loss': '0.5', dtype: 'q8' }, /^int8 rank \d\d$/],
    [{ embeddings: 'int8' }, 'int8'],
  ] as const)('is what is asked for: %o', async (options, form) => {
    const { to } = await chosen(small, { options, ...('embedding-rank' in options && { tolerance: 0.5 }) })
    if (typeof form === 'string') expect(to).toBe(form)
    else expect(to).toMatch(form)
  })
})
