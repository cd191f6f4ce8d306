/** Weights on their way to browsers, through a Worker in a process of its own. */
import { createHash, randomBytes } from 'node:crypto'
import { get, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { type BrowserPlan, browserPlanPath, browserPlanSchema, weightsPath } from '../../src/protocols/browser/wire.ts'
import { blobKey } from '../../src/weights/blob.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const MiB = 1024 * 1024
const ARTIFACT_BYTES = 60 * MiB
const SIGNATURE = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: ['n'] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: ['n'] }],
}

let worker: LiveWorker
let plan: BrowserPlan
const open: IncomingMessage[] = []

beforeAll(async () => {
  worker = await startLiveWorker()
  const writer = await writerFor(worker)
  const published = {
    extra: { downloadable: true } satisfies Partial<Manifest>,
    artifact: { places: ['browser' as const] },
  }
  await publishModel(writer, 'large', randomBytes(ARTIFACT_BYTES), SIGNATURE, published)
  await publishModel(writer, 'hot', randomBytes(3 * MiB), SIGNATURE, { ...published, hot: true })
  plan = browserPlanSchema.parse(await (await fetch(worker.url + browserPlanPath('large'))).json())
})
afterEach(() => {
  for (const response of open.splice(0)) response.destroy()
})
afterAll(() => worker?.dispose())

const chunksOf = ({ artifacts }: BrowserPlan) => artifacts[0]?.chunks ?? []

/** A download of which nothing is read until somebody does. */
function begin(path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asking = get(worker.url + path, { agent: false }, (response) => {
      open.push(response)
      response.on('error', () => {})
      resolve(response)
    })
    asking.on('error', reject)
  })
}

/** @param hash has what was read before */
async function digestOf(response: IncomingMessage, hash = createHash('sha256')): Promise<string> {
  for await (const piece of response) hash.update(piece as Buffer)
  return hash.digest('hex')
}

function head(path: string): Promise<{ status: number | undefined; headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    const asking = request(worker.url + path, { method: 'HEAD', agent: false }, (response) => {
      response.resume()
      resolve({ status: response.statusCode, headers: response.headers })
    })
    asking.on('error', reject)
    asking.end()
  })
}

describe('a download', () => {
  it('declares its length, to HEAD too, and has the bytes of its digest', async () => {
    expect(chunksOf(plan).length).toBe(Math.ceil(ARTIFACT_BYTES / LIMITS.chunkBytes))
    const [chunk] = chunksOf(plan)
    if (chunk === undefined) throw new Error('the plan has no chunk')
    const path = weightsPath('large', chunk.sha256)
    const response = await begin(path)
    expect(response.headers).toMatchObject({ 'content-length': String(chunk.bytes), etag: `"${chunk.sha256}"` })
    expect(response.headers['transfer-encoding']).toBeUndefined()
    expect(await digestOf(response)).toBe(chunk.sha256)
    const asked = await head(path)
    expect(asked).toMatchObject({ status: 200, headers: { 'content-length': String(chunk.bytes) } })
  })

  it('can be continued by range after its reader left in the middle', async () => {
    const chunk = chunksOf(plan)[1]
    if (chunk === undefined) throw new Error('the plan has no second chunk')
    const url = worker.url + weightsPath('large', chunk.sha256)
    const hash = createHash('sha256')
    let received = 0
    const first = await begin(weightsPath('large', chunk.sha256))
    for await (const piece of first) {
      hash.update(piece as Buffer)
      received += (piece as Buffer).length
      if (received > MiB) break
    }
    expect(received).toBeLessThan(chunk.bytes)
    const headers = { range: `bytes=${received}-`, 'if-range': `"${chunk.sha256}"` }
    const rest = await fetch(url, { headers })
    expect([rest.status, rest.headers.get('content-length')]).toEqual([206, String(chunk.bytes - received)])
    hash.update(new Uint8Array(await rest.arrayBuffer()))
    expect(hash.digest('hex')).toBe(chunk.sha256)
  })

  it('breaks the connection where a copy turns out to be too short, and comes from R2 for whoever asks again', async () => {
    const hot = browserPlanSchema.parse(await (await fetch(worker.url + browserPlanPath('hot'))).json())
    const [chunk] = chunksOf(hot)
    if (chunk === undefined) throw new Error('the plan has no chunk')
    const path = weightsPath('hot', chunk.sha256)
    expect(await digestOf(await begin(path))).toBe(chunk.sha256)
    const kv = await worker.miniflare.getKVNamespace('KV')
    await kv.put(blobKey(chunk.sha256), new Uint8Array(2 * MiB), { metadata: { bytes: chunk.bytes } })
    const broken = await begin(path)
    expect([broken.statusCode, broken.headers['content-length']]).toEqual([200, String(chunk.bytes)])
    await expect(digestOf(broken)).rejects.toThrow('aborted')
    const again = await fetch(worker.url + path, { cache: 'reload' })
    const bytes = new Uint8Array(await again.arrayBuffer())
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(chunk.sha256)
  })
})

describe('slow readers', () => {
  const READERS = 24

  it('of a 60 MB artifact hold less than 1 MB of the Worker each, and get all of it', async () => {
    const chunks = chunksOf(plan)
    const paths = Array.from({ length: READERS }, (_, i) =>
      weightsPath('large', chunks[i % chunks.length]?.sha256 ?? ''),
    )
    // what the first downloads leave behind is not theirs
    for (const path of paths) await digestOf(await begin(path))
    const before = worker.residentBytes()
    const slow = await Promise.all(paths.map(begin))
    let most = 0
    const hashes = slow.map(() => createHash('sha256'))
    // each reads a little now and then: the Worker always has more to send
    for (let round = 0; round < 20; round++) {
      for (const [i, response] of slow.entries()) {
        const piece = response.read(16 * 1024) as Buffer | null
        if (piece !== null) hashes[i]?.update(piece)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
      most = Math.max(most, worker.residentBytes())
    }
    const each = (most - before) / READERS
    console.log(`workerd holds ${Math.round(each / 1024)} KiB for each of ${READERS} slow downloads at once`)
    // well below the 8 MB that a download may hold: a Worker with its chunk in memory holds those alone
    expect(each).toBeLessThan(1 * MiB)
    expect(slow.every(({ complete }) => !complete)).toBe(true)
    const digests = await Promise.all(slow.map((response, i) => digestOf(response, hashes[i])))
    expect(digests).toEqual(paths.map((path) => path.split('/').at(-1)))
  })

  it('are as many as an isolate passes on at a time, and make way when they leave', async () => {
    const path = weightsPath('large', chunksOf(plan)[0]?.sha256 ?? '')
    const before = worker.residentBytes()
    const many = await Promise.all(Array.from({ length: LIMITS.downloads }, () => begin(path)))
    expect(new Set(many.map(({ statusCode }) => statusCode))).toEqual(new Set([200]))
    // longer than a slot that nobody renews
    await new Promise((resolve) => setTimeout(resolve, LIMITS.callLeaseMs + 2 * LIMITS.callBeatMs))
    const each = (worker.residentBytes() - before) / many.length
    console.log(`workerd holds ${Math.round(each / 1024)} KiB for each of ${many.length} downloads that nobody reads`)
    // half of a chunk: what begins at once leaves garbage of the local R2's, too
    expect(each).toBeLessThan(4 * MiB)
    const refused = await fetch(worker.url + path)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
    expect(await refused.json()).toMatchObject({ error: { code: 'overloaded' } })
    // inferences have slots of their own
    expect((await fetch(`${worker.url}/v1/models`)).status).toBe(200)
    for (const response of many) response.destroy()
    await expect
      .poll(async () => (await head(path)).status === 200 && (await fetch(worker.url + path)).status, {
        timeout: 60_000,
        interval: 500,
      })
      .toBe(200)
  })
})
