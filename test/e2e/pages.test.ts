/** Models of which most rows stay in the stores: packed, stored and served as any other one. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { multilingualModel } from '../../bench/models/multilingual.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { BUILT } from '../../src/cli/build/build.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { sha256 } from '../../src/cli/pack/bytes.ts'
import { type PackedModel, pack, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { cosine } from '../../src/quantize/shared/metrics.ts'
import { inventedTexts, inventedWords } from '../../synthetic/vocabularies.ts'
import { FEW_LANGUAGES } from '../fixtures/node/few-languages.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { nativeEmbedding } from '../fixtures/node/native-embedding.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { verge } from '../fixtures/node/verge.ts'

const KEY = 'a-key-for-the-operator'
const { description, files } = multilingualModel(FEW_LANGUAGES, 'paged', { engines: ['verge'], hotRows: 1_000 })
const bytesOf = (name: string): Uint8Array => files.get(name) ?? new Uint8Array()
const TEXTS = inventedTexts(inventedWords(FEW_LANGUAGES.vocabulary), 12)

let worker: LiveWorker
let paged: PackedModel

beforeAll(async () => {
  paged = await pack({ ...description, pages: 'on' }, '.', files)
  const whole = await pack({ ...description, name: 'whole', pages: 'off' }, '.', files)
  worker = await startLiveWorker({ VERGE_API_KEY: KEY })
  const writer = await writerFor(worker)
  for (const model of [paged, whole]) await publish(writer, model)
  for (const name of ['digits', 'reviews']) await publish(writer, await packFolder(join(ROOT, 'models', name)))
})
afterAll(() => worker?.dispose())

async function embeddings(model: string, input: readonly string[]): Promise<number[][]> {
  const body = JSON.stringify({ model, input })
  const answer = await fetch(`${worker.url}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  const content = (await answer.json()) as { readonly data?: readonly { readonly embedding: number[] }[] }
  expect([answer.status, content], JSON.stringify(content).slice(0, 300)).toMatchObject([200, {}])
  return (content.data ?? []).map(({ embedding }) => embedding)
}

describe('verge pack', () => {
  const built = `test-${process.pid}-pages`
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'verge-pages-'))
    for (const [name, content] of files) await writeFile(join(folder, name), content)
    await writeFile(join(folder, 'questions.txt'), `${TEXTS.map((text) => text.replaceAll('\n', ' ')).join('\n')}\n`)
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
    await rm(join(BUILT, built), { recursive: true, force: true })
  })

  const options = ['--pages', 'on', '--hot-rows', '500', '--hot-texts', 'questions.txt', '--engines', 'verge']
  const said = '500 of 12000 rows of its table stay in memory, and the others are read in 180 pages of 24576 bytes'

  it('takes options for pages of a file, and builds a folder that packs alike', async () => {
    const building = [
      '--name',
      built,
      '--task',
      'feature-extraction',
      '--licence',
      'MIT',
      '--no-verify',
      '--no-measure',
    ]
    const ran = await verge(['pack', 'model.onnx', ...options, ...building], { cwd: folder })
    expect(ran.code, ran.stderr).toBe(0)
    expect(ran.stdout).toContain(said)
    expect(ran.stdout).toContain('4.21 MiB of pages beside')
    const packed = await packFolder(join(BUILT, built))
    expect(packed.notes.join()).toContain(said)
    expect(ran.stdout).toContain(sha256(canonicalBytes(packed.manifest)))
  })

  it('takes the same options for a folder with a verge.json, and refuses a file of texts that is not there', async () => {
    await writeFile(join(folder, 'verge.json'), JSON.stringify(description))
    const ran = await verge(['pack', '.', ...options], { cwd: folder })
    expect(ran.code, ran.stderr).toBe(0)
    expect(ran.stdout).toContain(said)
    const other = await verge(['pack', '.', '--hot-texts', 'missing.txt'], { cwd: folder })
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('--hot-texts missing.txt cannot be read')])
  })
})

describe('a model whose table is in pages', () => {
  it('is packed so', () => {
    expect(paged.manifest.artifacts[0]?.pages?.tables).toEqual([{ offset: 0, pageBytes: 24_576, pages: 172 }])
  })

  it('answers the same numbers as with its whole table, text by text and all at once', async () => {
    const whole = await embeddings('whole', TEXTS)
    expect(await embeddings('paged', TEXTS)).toEqual(whole)
    for (const [index, text] of TEXTS.entries()) expect(await embeddings('paged', [text])).toEqual([whole[index]])
    expect(new Set(whole.map((vector) => vector.join())).size).toBe(TEXTS.length)
  })

  it('answers as onnxruntime-node does', async () => {
    const native = await loadNative(bytesOf('model.onnx'))
    const tokenizer = TextTokenizer.parse(bytesOf('tokenizer.json'))
    const answered = await embeddings('paged', TEXTS)
    for (const [index, text] of TEXTS.entries()) {
      const expected = await nativeEmbedding(native, tokenizer, text, FEW_LANGUAGES)
      expect(cosine(expected, answered[index] ?? [])).toBeGreaterThan(0.99)
      expect(Math.hypot(...(answered[index] ?? []))).toBeCloseTo(1, 5)
    }
    native.dispose()
  })

  it('answers many at once, beside models without pages', async () => {
    const image = await readFile(join(ROOT, 'models/digits/samples/two.png'))
    const ask = async (path: string, type: string, body: string | Uint8Array<ArrayBuffer>): Promise<number> =>
      (await fetch(`${worker.url}${path}`, { method: 'POST', headers: { 'content-type': type }, body })).status
    const alone = await embeddings('paged', TEXTS)
    const together = await Promise.all(TEXTS.map((text) => embeddings('paged', [text])))
    expect(together.flat()).toEqual(alone)
    expect(await ask('/run/digits', 'image/png', new Uint8Array(image))).toBe(200)
    expect(await ask('/run/reviews', 'application/json', JSON.stringify({ inputs: 'A wonderful film.' }))).toBe(200)
    expect(await embeddings('paged', TEXTS)).toEqual(alone)
  })

  it('holds its hot rows in WebAssembly memory, and not the others', async () => {
    const fresh = await startLiveWorker({ VERGE_API_KEY: KEY })
    try {
      const writer = await writerFor(fresh)
      await publish(writer, paged)
      const asked = await fetch(`${fresh.url}/run/paged`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: TEXTS[0] }),
      })
      expect(asked.status).toBe(200)
      const health = await fetch(`${fresh.url}/healthz`, { headers: { authorization: `Bearer ${KEY}` } })
      const { heap_bytes: held } = (await health.json()) as { readonly heap_bytes: number }
      expect(held).toBeLessThan(5_000_000)
    } finally {
      await fresh.dispose()
    }
  })
})
