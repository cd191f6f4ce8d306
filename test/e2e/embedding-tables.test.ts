import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { type Description, descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { DataType, dimsOf, makeTensor } from '../../src/onnx/data.ts'
import { cosine } from '../../src/quantize/shared/metrics.ts'
import { lowRankTable } from '../fixtures/low-rank.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const VOCABULARY = 6_946
const HIDDEN = 64
const TOKENIZER = join(ROOT, 'test/fixtures/models/encoder/tokenizer.json')
const TEXTS = [
  'A quiet film that stays with you.',
  'No.',
  'It is far too long, and nothing happens in it until the very last minute, when it ends.',
]

/** A small encoder whose table of tokens has full rank, or a low one under some noise. */
function encoder(rank: 'full' | 'low'): Uint8Array {
  const shape = { layers: 2, hidden: HIDDEN, heads: 4, ffn: 128, vocabulary: VOCABULARY, positions: 64 }
  const model = decodeModel(encoderModel(shape, 'fp32'))
  if (rank === 'full') return encodeModel(model)
  const initializers = model.graph?.initializer ?? []
  const at = initializers.findIndex((tensor) => dimsOf(tensor).join() === `${VOCABULARY},${HIDDEN}`)
  const table = lowRankTable({ rows: VOCABULARY, columns: HIDDEN, rank: 10, noise: 0.05 })
  initializers[at] = makeTensor(initializers[at]?.name ?? '', DataType.FLOAT, [VOCABULARY, HIDDEN], table)
  return encodeModel(model)
}

interface Case {
  readonly form: 'int4' | 'low-rank'
  readonly rank: 'full' | 'low'
  readonly dtype: 'q4' | 'q8'
  /** Share of the bytes of the same model with its table in 8 bits. */
  readonly share: number
  readonly least: number
}

const CASES: readonly Case[] = [
  { form: 'int4', rank: 'full', dtype: 'q4', share: 0.7, least: 0.985 },
  { form: 'low-rank', rank: 'low', dtype: 'q8', share: 0.4, least: 0.99 },
]

function described(name: string, artifact: object): Description {
  return descriptionSchema.parse({
    name,
    version: '1',
    visibility: 'public',
    licence: 'Apache-2.0',
    task: 'feature-extraction',
    tokenizer: 'tokenizer.json',
    preprocess: { text: { maxTokens: 64 }, embedding: { pooling: 'mean', normalize: true } },
    artifacts: [{ file: 'model.onnx', places: ['edge'], ...artifact }],
  })
}

describe('a model that verge quantize writes, packed and asked in a Worker', () => {
  let both: LiveWorker
  let runtime: LiveWorker
  let folder: string
  const sizes = new Map<string, number>()

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'verge-embedding-tables-'))
    both = await startLiveWorker()
    runtime = await startLiveWorker({ ENGINES: 'onnxruntime' })
    const tokenizer = new Uint8Array(await readFile(TOKENIZER))
    const send = async (name: string, model: Uint8Array, artifact: object): Promise<void> => {
      const files = new Map([
        ['model.onnx', model],
        ['tokenizer.json', tokenizer],
      ])
      const packed = await pack(described(name, artifact), '', files)
      for (const worker of [both, runtime]) await publish(await writerFor(worker), packed)
    }
    for (const { form, rank, dtype } of CASES) {
      const original = join(folder, `${rank}.onnx`)
      await writeFile(original, encoder(rank))
      // The reference: the original in floats, by ONNX Runtime.
      await send(`${rank}-original`, encoder(rank), { dtype: 'fp32', engines: ['onnxruntime'] })
      for (const embeddings of ['int8', form]) {
        const out = join(folder, `${rank}-${embeddings}.onnx`)
        const args = ['quantize', original, '--dtype', 'q8', '--embeddings', embeddings, '-o', out, '--json']
        await promisify(execFile)(process.execPath, [join(ROOT, 'scripts/verge.ts'), ...args])
        const bytes = new Uint8Array(await readFile(out))
        sizes.set(`${rank}-${embeddings}`, bytes.length)
        if (embeddings === form) await send(`${rank}-${form}`, bytes, { dtype })
      }
    }
  })
  afterAll(async () => {
    await both?.dispose()
    await runtime?.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  async function vectors(worker: LiveWorker, model: string, input: readonly string[], artifact: string) {
    const response = await fetch(`${worker.url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, input }),
    })
    const body = (await response.json()) as { readonly data: readonly { readonly embedding: readonly number[] }[] }
    expect(response.status, JSON.stringify(body)).toBe(200)
    expect(response.headers.get('verge-placement')).toContain(artifact)
    return body.data.map(({ embedding }) => embedding)
  }

  it.each(CASES)('answers as the original: $form', async ({ form, rank, dtype, share, least }) => {
    const [small = 0, eight = 1] = [sizes.get(`${rank}-${form}`), sizes.get(`${rank}-int8`)]
    expect(small / eight).toBeLessThan(share)
    const expected = await vectors(runtime, `${rank}-original`, TEXTS, 'edge-fp32')
    const own = await vectors(both, `${rank}-${form}`, TEXTS, `verge-${dtype}`)
    const other = await vectors(runtime, `${rank}-${form}`, TEXTS, `edge-${dtype}`)
    for (const [at, vector] of expected.entries()) {
      expect(cosine(vector, own[at] ?? [])).toBeGreaterThan(least)
      expect(cosine(vector, other[at] ?? [])).toBeGreaterThan(least)
    }
    // A text's vector has the same bits in company as alone.
    expect(await vectors(both, `${rank}-${form}`, TEXTS.slice(2), `verge-${dtype}`)).toEqual(own.slice(2))
  })
})
