import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import type { Artifact, Manifest } from '../../src/catalog/manifest.ts'
import type { CatalogWriter } from '../../src/catalog/writer.ts'
import type { Signature } from '../../src/core/tensors.ts'
import { divideModel, lookupModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const KEY = 'a-secret-of-the-operator-0123456789'

const numbers: Signature = {
  inputs: [
    { name: 'a', datatype: 'INT32', shape: ['n'] },
    { name: 'b', datatype: 'INT32', shape: ['n'] },
  ],
  outputs: [{ name: 'quotient', datatype: 'INT32', shape: ['n'] }],
}

const rows: Signature = {
  inputs: [{ name: 'row', datatype: 'INT64', shape: ['n'] }],
  outputs: [{ name: 'values', datatype: 'FP32', shape: ['n', 64] }],
}

interface Answer {
  readonly status: number
  readonly body: { readonly error?: unknown; readonly code?: string; readonly [name: string]: unknown }
  readonly text: string
  readonly headers: Headers
}

describe('faults', () => {
  let worker: LiveWorker
  let writer: CatalogWriter
  const seen: string[] = []

  beforeAll(async () => {
    worker = await startLiveWorker({ VERGE_API_KEY: KEY })
    writer = await writerFor(worker)
    await publishModel(writer, 'divide', divideModel(), numbers)
  })
  afterAll(() => worker.dispose())

  async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${worker.url}${path}`, { method: 'POST', body: JSON.stringify(body), headers })
    const text = await response.text()
    seen.push(text)
    return { status: response.status, body: JSON.parse(text) as Answer['body'], text, headers: response.headers }
  }

  const divide = (a: number, b: number): Promise<Answer> =>
    post('/v2/models/divide/infer', {
      inputs: [
        { name: 'a', shape: [1], datatype: 'INT32', data: [a] },
        { name: 'b', shape: [1], datatype: 'INT32', data: [b] },
      ],
    })
  const lookup = (model: string): Promise<Answer> =>
    post(`/v2/models/${model}/infer`, { inputs: [{ name: 'row', shape: [1], datatype: 'INT64', data: [1] }] })

  const expectServing = async (): Promise<void> => {
    expect((await divide(12, 4)).body).toMatchObject({ outputs: [{ data: [3] }] })
  }

  it('survives inputs that abort the engine, other models included', async () => {
    await publishModel(writer, 'bystander', lookupModel(100_000), rows)
    expect((await lookup('bystander')).status).toBe(200)
    const aborted = await divide(-2147483648, -1)
    expect(aborted).toMatchObject({ status: 500, body: { code: 'engine_aborted' } })
    await expectServing()
    expect((await lookup('bystander')).status).toBe(200)
    const health = (headers: Record<string, string>) =>
      fetch(`${worker.url}/healthz`, { headers }).then((r) => r.json())
    expect(await health({ authorization: `Bearer ${KEY}` })).toMatchObject({ status: 'ok', recoveries: 1 })
    expect(await health({})).toEqual({ status: 'ok', engine: 'ort', version: expect.any(String) })
  })

  it('tells inputs that the model cannot take from a broken engine', async () => {
    expect(await divide(1, 0)).toMatchObject({ status: 400, body: { code: 'run_rejected' } })
    await expectServing()
  })

  it('reads a chunk that is corrupt in KV from R2, and reports it', async () => {
    const { artifacts } = await publishModel(writer, 'hot', lookupModel(200_000, 5), rows, { hot: true })
    const key = `blob/sha256/${artifacts[0]?.chunks[0]?.sha256}`
    const kv = await worker.miniflare.getKVNamespace('KV')
    const good = new Uint8Array((await kv.get(key, 'arrayBuffer')) as ArrayBuffer)
    expect(good.length).toBeGreaterThan(100_000)
    const corrupt = good.slice()
    corrupt[1000] = (corrupt[1000] ?? 0) ^ 1
    await kv.put(key, corrupt, { metadata: { bytes: corrupt.length } })
    expect((await lookup('hot')).status).toBe(200)
    expect(worker.logs.some((line) => line.includes('chunk_unusable') && line.includes('"corrupt"'))).toBe(true)
  })

  it('names a chunk that is missing in R2, and recovers when it is back', async () => {
    const model = lookupModel(150_000, 6)
    const { artifacts } = await publishModel(writer, 'gone', model, rows)
    const digest = artifacts[0]?.chunks[0]?.sha256 ?? ''
    const bucket = await worker.miniflare.getR2Bucket('BUCKET')
    await bucket.delete(`blob/sha256/${digest}`)
    const missing = await lookup('gone')
    expect(missing).toMatchObject({ status: 503, body: { code: 'weights_unavailable' } })
    expect(missing.text).toContain(digest)
    await expectServing()
    await writer.putBlob([model])
    expect((await lookup('gone')).status).toBe(200)
  })

  /** Stores a manifest as another Verge would write it, and makes it live. */
  async function publishAsNewer(name: string, change: (manifest: Manifest) => object): Promise<void> {
    const model = lookupModel(70_000, 8)
    const { blob } = await writer.putBlob([model])
    const artifact = { ...blob, chunks: [...blob.chunks], id: 'edge-fp32', format: 'onnx' as const, dtype: 'fp32' }
    const manifest: Manifest = {
      schema: 1,
      model: name,
      version: '1',
      inputs: rows.inputs.map((spec) => ({ ...spec, shape: [...spec.shape] })),
      outputs: rows.outputs.map((spec) => ({ ...spec, shape: [...spec.shape] })),
      artifacts: [{ ...artifact, places: ['edge'] }],
    }
    const bytes = canonicalBytes(change(manifest))
    const versions = { '1': createHash('sha256').update(bytes).digest('hex') }
    const alias = {
      schema: 1,
      model: name,
      generation: 1,
      visibility: 'public',
      versions,
      live: [{ version: '1', weight: 1 }],
    }
    await writer.stores.truth.put(`manifest/${name}/1`, bytes)
    await writer.stores.truth.put(`alias/${name}`, canonicalBytes(alias))
  }
  type Newer = (artifact: Artifact) => object
  const newer: Newer = (artifact) => ({ ...artifact, id: 'edge-vnn', format: 'vnn', plan: [1, 2] })
  const placed: Newer = (artifact) => ({ ...artifact, id: 'phone', places: ['handheld'] })

  it('serves what it understands of a manifest that a newer Verge has written', async () => {
    await publishAsNewer('newer', ({ artifacts: [artifact], ...rest }) => {
      if (artifact === undefined) throw new Error('no artifact')
      const known = { ...artifact, dtype: 'q3', places: ['handheld', 'edge'], kernel: 'x' }
      return { ...rest, placement: 'moon', artifacts: [newer(artifact), placed(artifact), known] }
    })
    expect(await lookup('newer')).toMatchObject({ status: 200 })
    const metadata = await fetch(`${worker.url}/v2/models/newer`)
    expect(metadata.status).toBe(200)
  })

  it('says what it does not understand where nothing else is left, and that the Worker must be updated', async () => {
    for (const [name, make, what] of [
      ['only-newer', newer, 'artifact edge-vnn has a format "vnn"'],
      ['only-placed', placed, 'artifact phone has a place "handheld"'],
    ] as const) {
      await publishAsNewer(name, ({ artifacts: [artifact], ...rest }) => ({
        ...rest,
        artifacts: artifact === undefined ? [] : [make(artifact)],
      }))
      const answer = await lookup(name)
      expect(answer).toMatchObject({ status: 501, body: { code: 'engine_unsupported' } })
      expect(answer.text).toContain(what.replaceAll('"', '\\"'))
      expect(answer.text).toContain('deploy a newer one')
    }
    await expectServing()
  })

  it.each<[string, (artifact: Artifact) => object]>([
    ['format', (artifact) => ({ ...artifact, format: 7 })],
    ['places', (artifact) => ({ ...artifact, places: 'edge' })],
    ['chunks', ({ chunks: _, ...artifact }) => artifact],
    ['sha256', (artifact) => ({ ...artifact, sha256: 'no digest' })],
    ['id', (artifact) => ({ ...newer(artifact), id: undefined })],
  ])('takes a damaged %s for damaged, and not for new', async (field, damage) => {
    await publishAsNewer(`damaged-${field}`, ({ artifacts: [artifact], ...rest }) => ({
      ...rest,
      artifacts: artifact === undefined ? [] : [artifact, damage({ ...artifact, id: 'edge-2' })],
    }))
    expect(await lookup(`damaged-${field}`)).toMatchObject({ status: 500, body: { code: 'manifest_invalid' } })
  })

  it('refuses a manifest that was edited by hand', async () => {
    await publishModel(writer, 'edited', lookupModel(60_000, 7), rows)
    const bucket = await worker.miniflare.getR2Bucket('BUCKET')
    const kv = await worker.miniflare.getKVNamespace('KV')
    const manifest = JSON.parse((await (await bucket.get('manifest/edited/1'))?.text()) ?? '')
    manifest.artifacts[0].bytes = 1_000_000_000
    await bucket.put('manifest/edited/1', JSON.stringify(manifest))
    await kv.put('manifest/edited/1', JSON.stringify(manifest))
    expect(await lookup('edited')).toMatchObject({ status: 500, body: { code: 'manifest_invalid' } })
    await expectServing()
  })

  it('says that a file is no ONNX model', async () => {
    const page = new TextEncoder().encode('<!doctype html><title>Not found</title>'.repeat(100))
    await publishModel(writer, 'webpage', page, rows)
    const answer = await lookup('webpage')
    expect(answer).toMatchObject({ body: { code: 'model_invalid' } })
    expect(answer.status).toBeGreaterThanOrEqual(500)
    await expectServing()
  })

  it('keeps private models from everyone but the operator, existence included', async () => {
    await publishModel(writer, 'secret', lookupModel(50_000, 8), rows, { visibility: 'private' })
    const hidden = await lookup('secret')
    const absent = await lookup('absent')
    expect([hidden.status, absent.status]).toEqual([404, 404])
    const anonymised = (answer: Answer): string =>
      answer.text.replaceAll(/secret|absent/g, 'X').replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, 'ID')
    expect(anonymised(hidden)).toBe(anonymised(absent))
    const list = async (headers: Record<string, string>): Promise<string> =>
      (await fetch(`${worker.url}/v1/models`, { headers })).text()
    const bearer = { authorization: `Bearer ${KEY}` }
    const openapi = async (headers: Record<string, string>): Promise<string> =>
      (await fetch(`${worker.url}/openapi.json`, { headers })).text()
    // An isolate may trust a list for as long as it trusts an alias.
    await new Promise((resolve) => setTimeout(resolve, 10_500))
    expect(await list({})).not.toContain('secret')
    expect(await list(bearer)).toContain('secret')
    expect(await openapi({})).not.toContain('secret')
    const row = { inputs: [{ name: 'row', shape: [1], datatype: 'INT64', data: [1] }] }
    expect((await post('/v2/models/secret/infer', row, bearer)).status).toBe(200)
    expect((await post('/v2/models/secret/infer', row, { authorization: 'Bearer wrong' })).status).toBe(401)
  })

  it('answers a flood of small mistakes without an error of its own', async () => {
    const good = { name: 'a', shape: [1], datatype: 'INT32', data: [1] }
    const bodies: unknown[] = [
      null,
      [],
      { inputs: 'none' },
      { inputs: [good] },
      { inputs: [good, good] },
      { inputs: [good, { ...good, name: 'b', datatype: 'FP32' }] },
      { inputs: [good, { ...good, name: 'b', data: [Number.NaN] }] },
      { inputs: [good, { ...good, name: 'b', data: [1.5] }] },
      { inputs: [good, { ...good, name: 'b', data: [3e9] }] },
      { inputs: [good, { ...good, name: 'b', shape: [-1] }] },
      { inputs: [good, { ...good, name: 'b', shape: [2 ** 53, 2 ** 53] }] },
      { inputs: [good, { ...good, name: 'b', shape: [4096, 4096, 4096, 0, 1e300] }] },
      { inputs: [good, { ...good, name: 'b', shape: Array(40).fill(1) }] },
      { inputs: [good, { ...good, name: 'b', shape: [1, 1] }] },
      { inputs: [good, { ...good, name: '__proto__' }] },
      { inputs: [good, { ...good, name: 'b' }], outputs: [{ name: 'remainder' }] },
    ]
    for (const body of bodies) {
      const answer = await post('/v2/models/divide/infer', body)
      expect([400, 413, 422], `${JSON.stringify(body)}: ${answer.text}`).toContain(answer.status)
      expect(answer.body).toMatchObject({ error: expect.any(String), code: expect.any(String) })
    }
    expect(await post('/v2/models/divide/versions/9/infer', {})).toMatchObject({
      status: 404,
      body: { code: 'version_not_found' },
    })
    await expectServing()
  })

  it('has shown nobody a stack, a path or the key', () => {
    expect(seen.length).toBeGreaterThan(20)
    for (const text of seen) {
      expect(text).not.toMatch(/\bat .+:\d+:\d+|node_modules|\.(?:ts|js|cc|mjs)\b|\/(?:home|tmp|usr|root)\//)
      expect(text).not.toContain(KEY)
    }
    for (const line of worker.logs) expect(line).not.toContain(KEY)
  })
})
