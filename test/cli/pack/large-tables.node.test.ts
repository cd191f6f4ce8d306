import { describe, expect, it } from 'vitest'
import type { Description } from '../../../src/cli/pack/description.ts'
import { tableNotes } from '../../../src/cli/pack/large-tables.ts'
import { pack } from '../../../src/cli/pack/packer.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'

const ROWS = 90_000
const WIDTH = 256
/** Of floats, without the layers: 92 MB. */
const TABLE = new Float32Array(ROWS * WIDTH).fill(0.5)

/** @param other elements of a weight beside the table */
function encoder(other: number): Uint8Array<ArrayBuffer> {
  return onnxModel({
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'length', other] }],
    nodes: [
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['rows'] },
      { op: 'MatMul', inputs: ['rows', 'weight'], outputs: ['y'] },
    ],
    initializers: {
      table: tensor('FP32', [ROWS, WIDTH], TABLE),
      weight: tensor('FP32', [WIDTH, other], new Float32Array(WIDTH * other).fill(0.25)),
    },
  })
}

const artifacts = [{ file: 'model.onnx', dtype: 'fp32' as const }]
const base: Description = { name: 'm', version: '1', visibility: 'private', hot: true, licence: 'MIT', artifacts }
const TOO_MUCH = async () => ({ memoryBytes: 1_000_000_000 })

async function notesOf(model: Uint8Array<ArrayBuffer>, more: Partial<Description> = {}): Promise<readonly string[]> {
  const { notes } = await pack({ ...base, ...more }, '', new Map([['model.onnx', model]]), TOO_MUCH)
  return notes.filter((note) => note.includes('tables of embeddings'))
}

describe('a model that is too large for the edge', () => {
  it('says what to do where its table is what is large', async () => {
    const smaller = 'store them smaller (--dtype q8, with --embeddings int4 or low-rank)'
    const trimmed = 'trim the vocabulary (--languages, --keep-corpus, --vocabulary)'
    const paged = "let Verge's own engine read them by page (--pages auto)"
    const said = 'model.onnx: its tables of embeddings take 92.2 MB of its 92.2 MB: '
    const small = encoder(8)
    expect(await notesOf(small, { pages: 'off' })).toEqual([`${said}${smaller}, ${trimmed}, or ${paged}`])
    expect(await notesOf(small, { engines: ['onnxruntime'] })).toEqual([`${said}${smaller}, ${trimmed}, or ${paged}`])
  })

  it('names no trimming for a model that generates text', () => {
    const notes = tableNotes({ file: 'a.onnx', dtype: 'fp32' }, encoder(8), { ...base, task: 'text-generation' }, [])
    expect(notes).toEqual([
      'a.onnx: its tables of embeddings take 92.2 MB of its 92.2 MB: store them smaller (--dtype q8, with --embeddings int4 or low-rank)',
    ])
  })

  it('says nothing of tables where pages make it fit, or where something else is large', async () => {
    expect(await notesOf(encoder(8))).toEqual([])
    expect(await notesOf(encoder(120_000), { pages: 'off' })).toEqual([])
  })
})
