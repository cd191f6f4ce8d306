import { describe, expect, it } from 'vitest'
import type { Visibility } from '../../../src/catalog/alias.ts'
import type { Artifact, Blob, Manifest } from '../../../src/catalog/manifest.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { blobKey } from '../../../src/weights/blob.ts'
import { KvStore } from '../../../src/weights/kv.ts'
import type { RawCopies, RawTruth } from '../../../src/weights/passage.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import { bindings } from '../../fixtures/bindings.ts'
import { type DownloadsOptions, downloads as downloadsFrom } from '../../fixtures/downloads.ts'
import { OPERATOR, type TestAppOptions, type TestModel, testApp, testModel } from '../../fixtures/http.ts'

const truth = new R2Store(bindings.BUCKET)
const copies = new KvStore(bindings.KV)
const downloads = (options: DownloadsOptions = {}) => downloadsFrom({ truth, copies, ...options })
const YEAR = 'max-age=31536000, immutable'

/** Bytes that differ from test to test, so that tests share no key. */
function bytesOf(length: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 255)
}

async function blobOf(bytes: Uint8Array<ArrayBuffer>): Promise<Blob> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return { sha256, bytes: bytes.length, chunks: [{ sha256, bytes: bytes.length }] }
}

const artifact = (blob: Blob, more: Partial<Artifact> = {}): Artifact => ({
  id: 'verge-q8',
  format: 'verge',
  dtype: 'q8',
  places: ['edge', 'browser'],
  ...blob,
  ...more,
})

function model(visibility: Visibility, manifest: Partial<Manifest>, more: Partial<TestModel> = {}): TestModel {
  return { ...testModel('m', visibility, { inputs: [], outputs: [], downloadable: true, ...manifest }), ...more }
}

/** An application with one model of one artifact, whose bytes R2 has. */
async function served(seed: number, { visibility = 'public' as Visibility, options = {} as TestAppOptions } = {}) {
  const bytes = bytesOf(1000, seed)
  const blob = await blobOf(bytes)
  await truth.put(blobKey(blob.sha256), bytes)
  const given = downloads()
  const app = testApp({ models: [model(visibility, { artifacts: [artifact(blob)] })], downloads: given, ...options })
  const path = `/weights/m/${blob.sha256}`
  const get = (headers: Record<string, string> = {}, method = 'GET') => app.request(path, { headers, method })
  return { ...app, get, bytes, blob, path, admission: given.admission }
}

const bodyOf = async (response: Response) => new Uint8Array(await response.arrayBuffer())
const codeOf = async (response: Response) => (await response.json<{ error: { code: string } }>()).error.code

describe('a chunk of weights', () => {
  it('comes whole from R2 where KV has no copy, and may be kept for a year', async () => {
    const { get, bytes, blob } = await served(1)
    const response = await get()
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      etag: `"${blob.sha256}"`,
      'accept-ranges': 'bytes',
      'cache-control': `public, ${YEAR}`,
      'content-type': 'application/octet-stream',
      'content-length': '1000',
      'verge-model': 'm@2',
      'x-content-type-options': 'nosniff',
      vary: 'origin',
    })
    expect(await bodyOf(response)).toEqual(bytes)
  })

  it('comes from a copy in KV, and from R2 for whoever does not trust the copy', async () => {
    const { get, bytes, blob } = await served(2)
    const copy = bytes.map((byte) => byte ^ 1)
    await copies.put(blobKey(blob.sha256), copy)
    expect(await bodyOf(await get())).toEqual(copy)
    for (const wish of ['no-cache', 'no-store', 'max-age=0, no-cache']) {
      expect(await bodyOf(await get({ 'cache-control': wish }))).toEqual(bytes)
    }
    // a part is read where parts can be read
    expect(await bodyOf(await get({ range: 'bytes=10-19' }))).toEqual(bytes.slice(10, 20))
  })

  it('does not use a copy of another length, or one whose length nobody noted', async () => {
    const { get, bytes, blob } = await served(3)
    await copies.put(blobKey(blob.sha256), bytes.slice(1))
    expect(await bodyOf(await get())).toEqual(bytes)
    await bindings.KV.put(blobKey(blob.sha256), bytes)
    expect(await bodyOf(await get())).toEqual(bytes)
  })

  it('is read from R2 while KV fails', async () => {
    const failing: RawCopies = new KvStore({
      getWithMetadata: () => Promise.reject(new Error('KV GET failed: 500')),
      put: () => Promise.reject(new Error('unused')),
      list: () => Promise.reject(new Error('unused')),
      delete: () => Promise.reject(new Error('unused')),
    })
    const { get, bytes } = await served(4, { options: { downloads: downloads({ copies: failing }) } })
    expect(await bodyOf(await get())).toEqual(bytes)
  })

  it.each([
    ['bytes=0-99', 0, 100],
    ['bytes=400-499', 400, 100],
    ['bytes=999-', 999, 1],
    ['bytes=0-', 0, 1000],
    ['bytes=-100', 900, 100],
    ['bytes=-5000', 0, 1000],
    ['bytes=900-99999999999999999999', 900, 100],
    ['BYTES=1-1', 1, 1],
  ])('is answered in part: %s', async (range, offset, length) => {
    const { get, bytes, blob } = await served(5)
    const response = await get({ range })
    expect(response.status).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes ${offset}-${offset + length - 1}/1000`)
    expect(response.headers.get('content-length')).toBe(String(length))
    expect(response.headers.get('etag')).toBe(`"${blob.sha256}"`)
    expect(response.headers.get('cache-control')).toBe(`public, ${YEAR}`)
    expect(await bodyOf(response)).toEqual(bytes.slice(offset, offset + length))
  })

  it.each(['bytes=1000-', 'bytes=1000-2000', 'bytes=-0', 'bytes=99999999999999999999-'])(
    'answers 416 past the end: %s',
    async (range) => {
      const { get } = await served(6)
      const response = await get({ range })
      expect([response.status, response.headers.get('content-range'), await response.text()]).toEqual([
        416,
        'bytes */1000',
        '',
      ])
      expect(response.headers.get('cache-control')).toBe('no-store')
    },
  )

  it.each(['bytes=0-1,5-6', 'bytes=5-3', 'bytes=', 'bytes=-', 'bytes=a-b', 'items=0-1', '0-1', 'bytes=0-1x', '-'])(
    'answers the whole to what it does not read as one range: %s',
    async (range) => {
      const { get, bytes } = await served(7)
      const response = await get({ range })
      expect([response.status, response.headers.get('content-range')]).toEqual([200, null])
      expect(await bodyOf(response)).toEqual(bytes)
    },
  )

  it('answers a part only of the bytes that its reader has begun', async () => {
    const { get, blob } = await served(8)
    const asked = async (tag: string) => {
      const response = await get({ range: 'bytes=500-', 'if-range': tag })
      return [response.status, (await bodyOf(response)).length]
    }
    expect(await asked(`"${blob.sha256}"`)).toEqual([206, 500])
    const others = ['"other"', blob.sha256, `W/"${blob.sha256}"`, 'Mon, 30 Nov 2026 10:00:00 GMT', '']
    for (const tag of others) expect([tag, ...(await asked(tag))]).toEqual([tag, 200, 1000])
  })

  it('answers 304 to whoever has it, without a look at the stores', async () => {
    const { get, blob } = await served(9)
    await truth.delete(blobKey(blob.sha256))
    for (const tag of [`"${blob.sha256}"`, `W/"${blob.sha256}"`, `"other", "${blob.sha256}"`, '*']) {
      const response = await get({ 'if-none-match': tag, range: 'bytes=0-1' })
      expect([tag, response.status, await response.text()]).toEqual([tag, 304, ''])
      expect(response.headers.get('cache-control')).toBe(`public, ${YEAR}`)
      expect(response.headers.get('etag')).toBe(`"${blob.sha256}"`)
    }
    expect((await get({ 'if-none-match': '"other"' })).status).toBe(503)
  })

  it('says by HEAD what GET would say, and sends nothing', async () => {
    const { get, blob, admission } = await served(10)
    const whole = await get({}, 'HEAD')
    expect([whole.status, whole.headers.get('content-length'), await whole.text()]).toEqual([200, '1000', ''])
    expect(whole.headers.get('etag')).toBe(`"${blob.sha256}"`)
    const part = await get({ range: 'bytes=0-9' }, 'HEAD')
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 0-9/1000'])
    expect((await get({ range: 'bytes=1000-' }, 'HEAD')).status).toBe(416)
    expect(admission.admitted).toBe(0)
    await truth.delete(blobKey(blob.sha256))
    expect((await get({}, 'HEAD')).status).toBe(503)
  })

  it('is refused before the first byte where every store lacks it, or R2 has other bytes', async () => {
    const { get, blob, bytes, admission } = await served(11)
    await truth.put(blobKey(blob.sha256), bytes.slice(0, 500))
    for (const headers of [{}, { range: 'bytes=0-9' }, { range: 'bytes=700-' }]) {
      const damaged = await get(headers)
      expect([damaged.status, await codeOf(damaged)]).toEqual([500, 'weights_corrupt'])
    }
    await truth.delete(blobKey(blob.sha256))
    for (const headers of [{}, { range: 'bytes=0-9' }]) {
      const missing = await get(headers)
      expect([missing.status, await codeOf(missing)]).toEqual([503, 'weights_unavailable'])
      expect(missing.headers.get('cache-control')).toBe('no-store')
    }
    expect(admission.admitted).toBe(0)
  })
})

/** A store whose body ends after so many bytes, or fails there. */
function breaking(bytes: Uint8Array<ArrayBuffer>, after: number, how: 'end' | 'fail' | 'hang'): RawTruth {
  return {
    name: 'r2',
    head: async () => ({ bytes: bytes.length }),
    raw: async () => {
      let sent = false
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (!sent) {
            sent = true
            controller.enqueue(bytes.slice(0, after))
          } else if (how === 'end') controller.close()
          else if (how === 'fail') controller.error(new Error('Network connection lost.'))
          else await new Promise(() => {})
        },
      })
      return { bytes: bytes.length, body }
    },
  }
}

describe('a download that breaks', () => {
  it.each(['end', 'fail'] as const)('never ends as if it were whole: the store may %s midway', async (how) => {
    const given = downloads({ truth: breaking(bytesOf(1000, 20), 600, how) })
    const { get } = await served(20, { options: { downloads: given } })
    for (const headers of [{}, { range: 'bytes=0-799' }]) {
      const response = await get(headers)
      expect(response.status).toBeLessThan(300)
      await expect(response.arrayBuffer()).rejects.toThrow()
      expect(given.admission.admitted).toBe(0)
    }
  })

  it('gives its slot back when the reader leaves', async () => {
    const given = downloads({ truth: breaking(bytesOf(1000, 21), 600, 'hang') })
    const { get } = await served(21, { options: { downloads: given } })
    const response = await get()
    expect(given.admission.admitted).toBe(1)
    await response.body?.cancel()
    await expect.poll(() => given.admission.admitted).toBe(0)
  })

  it('is refused at once where as many are under way as an isolate takes', async () => {
    const given = downloads({ truth: breaking(bytesOf(1000, 22), 600, 'hang'), slots: 2 })
    const { get } = await served(22, { options: { downloads: given } })
    const open = [await get(), await get()]
    const third = await get()
    expect([third.status, await codeOf(third), third.headers.get('retry-after')]).toEqual([429, 'overloaded', '1'])
    await open[0]?.body?.cancel()
    await expect.poll(async () => (await get()).status).toBe(200)
  })
})

describe('who gets which bytes', () => {
  it('answers for a private model as for none, but to the operator, whose caches keep it for him', async () => {
    const { get, bytes } = await served(30, { visibility: 'private' })
    const stranger = await get()
    expect([stranger.status, await codeOf(stranger)]).toEqual([404, 'model_not_found'])
    const unknown = await get({ authorization: 'Bearer of-nobody' })
    expect([unknown.status, await codeOf(unknown)]).toEqual([401, 'unauthorized'])
    const operator = await get(OPERATOR)
    expect([operator.status, operator.headers.get('cache-control'), operator.headers.get('vary')]).toEqual([
      200,
      `private, ${YEAR}`,
      'origin, authorization',
    ])
    expect(await bodyOf(operator)).toEqual(bytes)
  })

  it('gives nobody a version that is not downloadable, and does not say what it lists', async () => {
    const blob = await blobOf(bytesOf(10, 31))
    const { request } = testApp({
      models: [model('public', { downloadable: undefined, artifacts: [artifact(blob)] })],
      downloads: downloads(),
    })
    for (const sha256 of [blob.sha256, 'f'.repeat(64)]) {
      for (const headers of [{}, OPERATOR]) {
        const refused = await request(`/weights/m/${sha256}`, { headers })
        expect([refused.status, await codeOf(refused)]).toEqual([403, 'not_downloadable'])
      }
    }
  })

  it('gives artifacts for browsers with their pages and the files, and no other bytes of the model', async () => {
    const blobs = await Promise.all([40, 41, 42, 43, 44].map((seed) => blobOf(bytesOf(100, seed))))
    const [weights, pages, file, hidden, edge] = blobs as [Blob, Blob, Blob, Blob, Blob]
    for (const [index, blob] of blobs.entries()) await truth.put(blobKey(blob.sha256), bytesOf(100, 40 + index))
    // what KV has of pages lies there by page
    await copies.put(blobKey(pages.sha256), bytesOf(100, 99))
    const artifacts = [
      artifact(weights, { pages: { ...pages, tables: [{ offset: 0, pageBytes: 100, pages: 1 }] } }),
      artifact(hidden, { id: 'onnx-fp32', format: 'onnx', places: ['origin'] }),
      artifact(edge, { id: 'edge-q8', format: 'ort', places: ['edge'] }),
    ]
    const { request } = testApp({
      models: [model('public', { artifacts, files: { 'tokenizer.json': file } })],
      downloads: downloads(),
    })
    const asked = (sha256: string) => request(`/weights/m/${sha256}`)
    for (const [index, blob] of [weights, pages, file].entries()) {
      expect(await bodyOf(await asked(blob.sha256))).toEqual(bytesOf(100, 40 + index))
    }
    for (const sha256 of [
      hidden.sha256,
      edge.sha256,
      'f'.repeat(64),
      'F'.repeat(64),
      'tokenizer.json',
      '0',
      `${weights.sha256}0`,
    ]) {
      const refused = await asked(sha256)
      expect([sha256, refused.status, await codeOf(refused)]).toEqual([sha256, 404, 'not_found'])
    }
  })

  it('gives what a live version lists, and what another version lists to the operator who names it', async () => {
    const versions = await Promise.all([50, 51, 52].map((seed) => blobOf(bytesOf(100, seed))))
    const [old, live, canary] = versions as [Blob, Blob, Blob]
    for (const [index, blob] of versions.entries()) await truth.put(blobKey(blob.sha256), bytesOf(100, 50 + index))
    const made = (version: string, blob: Blob, downloadable = true): Manifest => ({
      ...model('public', { version, artifacts: [artifact(blob)] }).manifest,
      downloadable,
    })
    const { alias } = model('public', { artifacts: [], placement: 'origin' })
    const both = {
      ...model(
        'public',
        { version: '2', artifacts: [artifact(live)] },
        {
          alias: {
            ...alias,
            versions: { '1': 'a', '2': 'b', '3': 'c' },
            live: [
              { version: '2', weight: 9 },
              { version: '3', weight: 1 },
            ],
          },
        },
      ),
      manifests: { '1': made('1', old), '2': made('2', live, false), '3': made('3', canary) },
    }
    const { request } = testApp({ models: [both], downloads: downloads() })
    const status = async (blob: Blob, query = '', headers = {}) =>
      (await request(`/weights/m/${blob.sha256}${query}`, { headers })).status
    // one live version is downloadable and the other is not
    expect(await status(canary)).toBe(200)
    expect(await status(live)).toBe(404)
    expect(await status(live, '?version=2')).toBe(403)
    expect(await status(canary, '?version=3')).toBe(200)
    // a version that is not live
    expect(await status(old)).toBe(404)
    expect(await status(old, '', OPERATOR)).toBe(404)
    expect(await status(old, '?version=1')).toBe(404)
    expect(await status(old, '?version=1', OPERATOR)).toBe(200)
    expect(await status(canary, '?version=1', OPERATOR)).toBe(404)
  })

  it('lets shared caches keep only what anyone may have: not a version that is not live', async () => {
    const [live, old] = (await Promise.all([55, 56].map((seed) => blobOf(bytesOf(100, seed))))) as [Blob, Blob]
    for (const [index, blob] of [live, old].entries()) await truth.put(blobKey(blob.sha256), bytesOf(100, 55 + index))
    const one = model('public', { artifacts: [artifact(live)] })
    const earlier = { ...one.manifest, version: '1', artifacts: [artifact(old)] }
    const { request } = testApp({
      models: [{ ...one, manifests: { '1': earlier, '2': one.manifest } }],
      downloads: downloads(),
    })
    const kept = async (blob: Blob, query: string) => {
      const { headers, status } = await request(`/weights/m/${blob.sha256}${query}`, { headers: OPERATOR })
      return [status, headers.get('cache-control'), headers.get('vary')]
    }
    expect(await kept(old, '?version=1')).toEqual([200, `private, ${YEAR}`, 'origin, authorization'])
    expect(await kept(live, '?version=2')).toEqual([200, `public, ${YEAR}`, 'origin'])
    expect(await kept(live, '')).toEqual([200, `public, ${YEAR}`, 'origin'])
  })

  it('gives the bytes of one live version while the manifest of another cannot be read', async () => {
    const blob = await blobOf(bytesOf(100, 57))
    await truth.put(blobKey(blob.sha256), bytesOf(100, 57))
    const one = model('public', { artifacts: [artifact(blob)] })
    const alias = {
      ...one.alias,
      versions: { '2': 'b', '3': 'c' },
      live: [
        { version: '3', weight: 1 },
        { version: '2', weight: 9 },
      ],
    }
    const manifests = {
      '2': one.manifest,
      get '3'(): Manifest {
        throw new VergeError('weights_unavailable', 'The manifest is missing in every store.')
      },
    }
    const { request } = testApp({ models: [{ ...one, alias, manifests }], downloads: downloads() })
    expect((await request(`/weights/m/${blob.sha256}`)).status).toBe(200)
    const other = await request(`/weights/m/${'f'.repeat(64)}`)
    expect([other.status, await codeOf(other)]).toEqual([503, 'weights_unavailable'])
  })

  it('gives no digest of another model', async () => {
    const blob = await blobOf(bytesOf(100, 60))
    await truth.put(blobKey(blob.sha256), bytesOf(100, 60))
    const other = { ...model('public', { artifacts: [artifact(await blobOf(bytesOf(100, 61)))] }) }
    const { request } = testApp({
      models: [
        model('public', { artifacts: [artifact(blob)] }),
        { ...other, alias: { ...other.alias, model: 'other' }, manifest: { ...other.manifest, model: 'other' } },
      ],
      downloads: downloads(),
    })
    expect((await request(`/weights/m/${blob.sha256}`)).status).toBe(200)
    expect((await request(`/weights/other/${blob.sha256}`)).status).toBe(404)
    expect((await request(`/weights/missing/${blob.sha256}`)).status).toBe(404)
  })
})

describe('pages of other origins', () => {
  it('may ask for a part, and read what it is a part of', async () => {
    const { get, path, request } = await served(70, {
      options: { corsOrigins: ['https://shop.example'], downloads: downloads() },
    })
    const origin = 'https://shop.example'
    const preflight = await request(path, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'range,if-range,if-none-match,authorization',
      },
    })
    const allowed = preflight.headers.get('access-control-allow-headers')?.split(',') ?? []
    expect(allowed).toEqual(expect.arrayContaining(['range', 'if-range', 'if-none-match', 'authorization']))
    const part = await get({ origin, range: 'bytes=0-9' })
    expect(part.status).toBe(206)
    expect(part.headers.get('access-control-allow-origin')).toBe(origin)
    const exposed = part.headers.get('access-control-expose-headers')?.split(',') ?? []
    expect(exposed).toEqual(expect.arrayContaining(['content-range', 'etag', 'accept-ranges', 'verge-model']))
    expect(part.headers.get('vary')?.toLowerCase()).toContain('origin')
    // the same address, kept by the same browser for a page of the Worker's own origin
    expect((await get()).headers.get('vary')).toBe('origin')
  })

  it('get no other methods, and find nothing where a server gives nothing out', async () => {
    const { path, request } = await served(71)
    const post = await request(path, { method: 'POST' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
    const { request: ask } = testApp({ models: [model('public', {})] })
    for (const gone of [path, '/browser/m']) {
      const response = await ask(gone)
      expect([response.status, await codeOf(response)]).toEqual([404, 'not_found'])
    }
  })
})
