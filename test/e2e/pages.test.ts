import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MANIFEST_SCHEMA, type Manifest } from '../../src/catalog/manifest.ts'
import { toBlob } from '../../src/cli/pack/bytes.ts'
import type { PackedModel } from '../../src/cli/pack/packer.ts'
import { pushModel } from '../../src/cli/push/push.ts'
import { localStores } from '../../src/cli/target/local.ts'
import type { Compiled } from '../../src/compile/compile.ts'
import { versionOf } from '../../src/engine/verge/version.ts'
import { blobKey } from '../../src/weights/blob.ts'
import { pageKey } from '../../src/weights/pages/layout.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { compiled, lookupModel } from '../fixtures/node/paged-models.ts'

const ROWS = 4_000
const HOT = 500
const PER_PAGE = 16
const CHUNK_BYTES = 50_000

type Artifact = Extract<Compiled, { ok: true }>

function packedOf(model: string, { bytes, pages, plan }: Artifact): PackedModel {
  const main = toBlob(bytes, CHUNK_BYTES)
  const file = pages && toBlob(pages.bytes, CHUNK_BYTES)
  const tables = pages?.tables.map(({ offset, pageBytes, pages }) => ({ offset, pageBytes, pages })) ?? []
  const manifest: Manifest = {
    schema: MANIFEST_SCHEMA,
    model,
    version: '1',
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [
      { name: 'rows', datatype: 'FP32', shape: ['batch', 'length', 16] },
      { name: 'y', datatype: 'FP32', shape: ['batch', 'length', 4] },
    ],
    artifacts: [
      {
        ...main.blob,
        id: 'verge-fp32',
        format: 'verge',
        dtype: 'fp32',
        runtime: `verge ${versionOf(plan)}`,
        places: ['edge'],
        ...(file && { pages: { ...file.blob, tables } }),
      },
    ],
  }
  const chunks = new Map([...main.pieces, ...(file?.pieces ?? [])])
  return { manifest, visibility: 'public', hot: true, chunks, notes: [] }
}

describe('a model whose table is in pages', () => {
  let worker: LiveWorker
  let stores: ReturnType<typeof localStores>
  let kv: {
    get(key: string): Promise<string | null>
    put(key: string, value: string): Promise<void>
    delete(key: string): Promise<void>
  }
  let paged: PackedModel
  const file = () => {
    const pages = paged.manifest.artifacts[0]?.pages
    if (pages === undefined) throw new Error('the artifact has no pages')
    return pages
  }

  beforeAll(async () => {
    worker = await startLiveWorker()
    const BUCKET = await worker.miniflare.getR2Bucket('BUCKET')
    const KV = await worker.miniflare.getKVNamespace('KV')
    kv = KV as never
    stores = localStores({ BUCKET: BUCKET as never, KV: KV as never })
    const model = await lookupModel('f32', { rows: ROWS, width: 16 })
    const order = Int32Array.from({ length: ROWS }, (_, id) => id)
    paged = packedOf('paged', await compiled(model, () => ({ order, hot: HOT, rowsPerPage: PER_PAGE })))
    await pushModel(stores, packedOf('whole', await compiled(model)), { live: true })
    const pushed = await pushModel(stores, paged, { live: true })
    expect(pushed.pages).toEqual({ all: 219, copied: 219 })
  })
  afterAll(() => worker.dispose())

  async function infer(model: string, ids: readonly number[]) {
    const inputs = [{ name: 'input_ids', shape: [1, ids.length], datatype: 'INT64', data: ids }]
    const answer = await fetch(`${worker.url}/v2/models/${model}/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs }),
    })
    return {
      status: answer.status,
      json: (await answer.json()) as { readonly outputs?: unknown; readonly error?: unknown },
    }
  }

  /** Expects the answer of the model with the whole table. @returns what the Worker has logged of pages meanwhile */
  async function expectSame(ids: readonly number[]): Promise<string[]> {
    const before = worker.logs.length
    const [one, other] = [await infer('paged', ids), await infer('whole', ids)]
    expect(other.status).toBe(200)
    expect(one.status, JSON.stringify(one.json)).toBe(200)
    expect(one.json.outputs).toEqual(other.json.outputs)
    return worker.logs.slice(before).filter((line) => line.includes('pages_unusable'))
  }

  /** The first id of a page, which no test has asked for. */
  let next = 0
  const freshPage = () => {
    const place = next++
    const offset = place * (file().tables[0]?.pageBytes ?? 0)
    return { id: HOT + place * PER_PAGE, key: pageKey(file().sha256, offset), offset }
  }
  const chunkOf = (offset: number): string => blobKey(file().chunks[Math.floor(offset / CHUNK_BYTES)]?.sha256 ?? '')

  it('answers as the model with the whole table, bit for bit, from copies in KV alone', async () => {
    const pages = [freshPage(), freshPage(), freshPage()]
    expect(await expectSame([0, 499, ...pages.map(({ id }) => id), ...pages.map(({ id }) => id + 15), 7])).toEqual([])
    expect(await expectSame(Array.from({ length: 500 }, (_, i) => 3_999 - 2 * i))).toEqual([])
  })

  it('reads pages from R2 that are missing or damaged in KV', async () => {
    const [missing, wrong, garbled] = [freshPage(), freshPage(), freshPage()]
    await kv.delete(missing.key)
    await kv.put(wrong.key, (await kv.get(garbled.key)) ?? '')
    await kv.put(garbled.key, '?'.repeat(1_368))
    const logged = await expectSame([missing.id, wrong.id + 3, garbled.id + 15])
    expect(logged.map((line) => /"fault":"(\w+)"/.exec(line)?.[1]).sort()).toEqual(['corrupt', 'malformed', 'missing'])
    // what was read is kept
    expect(await expectSame([garbled.id, missing.id + 8])).toEqual([])
  })

  it('refuses a text whose page is missing or damaged everywhere, and answers others', async () => {
    const gone = freshPage()
    await kv.delete(gone.key)
    const chunk = (await stores.truth.get(chunkOf(gone.offset)))?.body
    const bytes = new Uint8Array(await new Response(chunk).arrayBuffer())
    await stores.truth.delete(chunkOf(gone.offset))
    expect(await infer('paged', [1, gone.id])).toMatchObject({
      status: 503,
      json: { error: expect.stringMatching(/page at byte \d+ .* is missing in every store/) },
    })
    const damaged = bytes.slice()
    damaged[gone.offset % CHUNK_BYTES] = (damaged[gone.offset % CHUNK_BYTES] ?? 0) ^ 255
    await stores.truth.put(chunkOf(gone.offset), damaged)
    expect(await infer('paged', [gone.id])).toMatchObject({
      status: 500,
      json: { error: expect.stringMatching(/is damaged in every store/) },
    })
    expect(await expectSame([1, 2, 3, HOT])).toEqual([])
    // a push puts back what is missing, and the session is the one that was loaded
    const again = await pushModel(stores, paged, { live: true, thorough: true })
    expect(again.pages?.copied).toBe(219)
    expect(await expectSame([gone.id])).toEqual([])
  })

  it('refuses an id that the table does not have as the whole table does', async () => {
    const [one, other] = [await infer('paged', [ROWS]), await infer('whole', [ROWS])]
    expect(other.status).toBe(400)
    expect(one.status).toBe(400)
  })
})
