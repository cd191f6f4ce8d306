import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Caller } from '../../src/access/authorize.ts'
import { importKey, SignatureVerifier } from '../../src/access/signature.ts'
import { isVergeError, VergeError } from '../../src/core/errors.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import type { AppEnv } from '../../src/http/app-env.ts'
import { storeRoutes } from '../../src/http/store/routes.ts'
import { LastGoodStore } from '../../src/origin/last-good-store.ts'
import { OnlyModels } from '../../src/origin/only-models.ts'
import { workerSigner } from '../../src/origin/worker-signer.ts'
import { STATUS } from '../../src/protocols/status.ts'
import { forEachPiece, readAtMost } from '../../src/weights/body.ts'
import type { GetOptions, Store } from '../../src/weights/store.ts'
import { WorkerStore } from '../../src/weights/worker.ts'
import { pattern, readValue, storeSignals, text } from '../contract/store.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'

const BLOB = `blob/sha256/${'ab'.repeat(32)}`
const EMPTY = `blob/sha256/${'cd'.repeat(32)}`
const SECRET = 'a secret of a test, long enough to be one'

describe('weights through a Worker', () => {
  let server: Server
  let url: URL
  let truth: MemoryStore
  /** As the application hands it to whatever works for the request. */
  let requestSignal: AbortSignal | undefined
  /** Who asks, unless a request is signed. */
  let anyone: Caller
  let requests: string[]
  let workerNow: () => number

  beforeEach(async () => {
    truth = new MemoryStore()
    requestSignal = undefined
    anyone = { kind: 'anonymous' }
    requests = []
    workerNow = () => Date.now()
    const verifier = new SignatureVerifier([await importKey(SECRET)], { clock: { now: () => workerNow() } })
    const app = new Hono<AppEnv>()
    app.onError((error, c) => {
      const status = isVergeError(error) ? STATUS[error.code] : 500
      const headers = status === 401 ? { 'verge-time': String(workerNow()) } : undefined
      return new Response(`${error.message} ${c.req.path}`, { status, ...(headers && { headers }) })
    })
    app.use(async (c, next) => {
      requests.push(`${c.req.method} ${c.req.path}`)
      const signal = requestSignal ?? c.req.raw.signal
      c.set('context', { requestId: 'test', signal, runsBefore: 0, waitUntil() {} })
      c.set('caller', anyone)
      if (c.req.header('signature-input') !== undefined) {
        const { pathname, search } = new URL(c.req.url)
        const verdict = await verifier.verify({
          method: c.req.method,
          path: pathname + search,
          headers: c.req.raw.headers,
        })
        if (!verdict.ok) throw new VergeError('unauthorized', verdict.reason)
        c.set('caller', { kind: 'origin', name: verdict.caller })
      }
      await next()
    })
    app.route('/base/store', storeRoutes({ weights: truth }))
    server = createServer(getRequestListener(app.fetch, { overrideGlobalObjects: false }))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`)
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  const storeOf = async (secret = SECRET, clock = systemClock): Promise<WorkerStore> =>
    new WorkerStore({
      url,
      signer: workerSigner(await importKey(secret), clock),
      clock: systemClock,
      fetch: (address, init) => fetch(address, init),
    })

  it('reads values whole and in every kind of range', async () => {
    const value = pattern(300_000)
    await truth.put(BLOB, value)
    await truth.put(EMPTY, new Uint8Array(0))
    const store = await storeOf()
    expect((await store.head(BLOB))?.bytes).toBe(300_000)
    expect((await store.head(BLOB))?.etag).toBe((await truth.head(BLOB))?.etag)
    expect(Buffer.compare((await readValue(store, BLOB)) ?? text('missing'), value)).toBe(0)
    const ranges = [
      { offset: 0, length: 10 },
      { offset: 70_000, length: 150_001 },
      { offset: 299_999, length: 1 },
      { offset: 299_000 },
      { offset: 0, length: 300_000 },
      { offset: 299_990, length: 1_000_000 },
      { offset: 5, length: 0 },
      { offset: 300_000, length: 10 },
      { offset: 1_000_000 },
    ]
    for (const range of ranges) {
      const found = await store.get(BLOB, { range })
      const bytes = found && (await readAtMost(found.body, 1_000_000))
      const end = range.length === undefined ? undefined : range.offset + range.length
      expect(found?.bytes, JSON.stringify(range)).toBe(300_000)
      expect(Buffer.compare(bytes ?? text('missing'), value.subarray(range.offset, end)), JSON.stringify(range)).toBe(0)
    }
    expect(await readValue(store, EMPTY)).toEqual(new Uint8Array(0))
    expect(await readValue(store, EMPTY, { offset: 7, length: 5 })).toEqual(new Uint8Array(0))
  })

  it('answers null for what is not there, and for keys that are no models', async () => {
    await truth.put('secrets/key', text('no weight'))
    const store = await storeOf()
    for (const key of [
      BLOB,
      'alias/none',
      'manifest/none/1',
      'secrets/key',
      'alias/../secrets/key',
      '',
      'alias/UPPER',
    ]) {
      expect(await store.get(key), key).toBeNull()
      expect(await store.head(key), key).toBeNull()
    }
    expect(await store.get(BLOB, { range: { offset: 3, length: 0 } })).toBeNull()
  })

  it('lists models page by page, and nothing else', async () => {
    const names = Array.from({ length: 1_037 }, (_, i) => `alias/m${String(i).padStart(5, '0')}`)
    for (const name of names) await truth.put(name, text(name))
    await truth.put('manifest/m/1', text('not listed'))
    const store = await storeOf()
    const listed: string[] = []
    let cursor: string | undefined
    do {
      const page = await store.list('alias/', { cursor })
      listed.push(...page.keys)
      cursor = page.cursor
    } while (cursor !== undefined)
    expect(listed).toEqual(names)
    await expect(store.list('manifest/')).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(store.list('')).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('gives nothing to whoever has no grant, whatever there is', async () => {
    await truth.put(BLOB, pattern(10))
    for (const kind of ['anonymous', 'relayed', 'service'] as const) {
      anyone = { kind, name: 'x' } as Caller
      for (const path of [BLOB, `blob/sha256/${'00'.repeat(32)}`, '?list=alias/']) {
        const { status } = await fetch(new URL(path.startsWith('?') ? `store${path}` : `store/${path}`, url))
        expect(status, `${kind} ${path}`).toBe(kind === 'anonymous' ? 401 : 403)
      }
    }
    anyone = { kind: 'operator' }
    expect((await fetch(new URL(`store/${BLOB}`, url))).status).toBe(200)
  })

  it('says so when its key is refused, and takes over the clock of a Worker that is right', async () => {
    await truth.put(BLOB, pattern(10))
    const stranger = await storeOf('another secret that the Worker does not have')
    await expect(stranger.get(BLOB)).rejects.toMatchObject({ code: 'store_unavailable', details: { status: 401 } })
    workerNow = () => Date.now() + 3_600_000
    const store = await storeOf()
    expect(await readValue(store, BLOB)).toEqual(pattern(10))
    requests.length = 0
    expect(await readValue(store, BLOB)).toEqual(pattern(10))
    expect(requests).toHaveLength(1)
  })

  storeSignals(
    async () => {
      await truth.put('alias/a', text('value'))
      return { store: await storeOf(), key: 'alias/a', prefix: 'alias/' }
    },
    { readOnly: true },
  )

  it('ends a read by its signal, and reports a Worker that is away', async () => {
    await truth.put(BLOB, pattern(4_000_000))
    const store = await storeOf()
    await expect(store.get(BLOB, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' })
    const controller = new AbortController()
    const found = await store.get(BLOB, { signal: controller.signal })
    if (found === null) throw new Error('the value is missing')
    const reading = forEachPiece(found.body, () => controller.abort())
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' })
    server.closeAllConnections()
    server.close()
    await expect(store.get(BLOB)).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(store.list('alias/')).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('stops asking the store for a request that is over', async () => {
    await truth.put(BLOB, pattern(10))
    requestSignal = AbortSignal.abort()
    anyone = { kind: 'operator' }
    const calls = [
      { method: 'HEAD', path: `store/${BLOB}` },
      { method: 'GET', path: `store/${BLOB}` },
      { method: 'GET', path: 'store?list=alias/' },
    ]
    for (const { method, path } of calls) {
      expect((await fetch(new URL(path, url), { method })).status, `${method} ${path}`).toBe(STATUS.cancelled)
    }
  })

  it('says of a release that the Worker refuses what the Worker says, so that no copy of it is used instead', async () => {
    const answered = { status: 500, body: '' }
    const app = createServer((_, response) => response.writeHead(answered.status).end(answered.body))
    app.listen(0, '127.0.0.1')
    await once(app, 'listening')
    url = new URL(`http://127.0.0.1:${(app.address() as AddressInfo).port}/`)
    const store = await storeOf()
    for (const code of ['signature_invalid', 'release_outdated']) {
      answered.body = JSON.stringify({ error: { code, message: 'x' } })
      await expect(store.get('alias/digits')).rejects.toMatchObject({ code })
    }
    for (const body of ['', '{', 'null', JSON.stringify({ error: { code: 'internal' } })]) {
      answered.body = body
      await expect(store.get('alias/digits')).rejects.toMatchObject({ code: 'store_unavailable' })
    }
    app.close()
    app.closeAllConnections()
  })

  it('does not follow a redirect with its signature', async () => {
    const seen: string[] = []
    const other = createServer((request, response) => {
      seen.push(String(request.headers.signature ?? ''))
      response.writeHead(302, { location: url.href }).end()
    })
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    url = new URL(`http://127.0.0.1:${(other.address() as AddressInfo).port}`)
    await expect((await storeOf()).get(BLOB)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(requests).toEqual([])
    expect(seen).toHaveLength(1)
    other.close()
  })

  it('takes no writes', async () => {
    const store = await storeOf()
    await expect(store.put()).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(store.delete()).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

describe('LastGoodStore', () => {
  let source: MemoryStore
  let copies: MemoryStore
  let clock: ManualClock
  let away: boolean
  let asked: number
  let events: string[]

  function storeOf(): LastGoodStore {
    const faulty: Store = {
      name: 'source',
      head: (key, options) => source.head(key, options),
      get: (key: string, options?: GetOptions) => {
        asked++
        if (away) throw new VergeError('store_unavailable', 'away')
        return source.get(key, options)
      },
      list: async (prefix, options) => {
        asked++
        if (away) throw new VergeError('store_unavailable', 'away')
        return source.list(prefix, options)
      },
      put: (key, value) => source.put(key, value),
      delete: (key) => source.delete(key),
    }
    const note = (event: string): void => void events.push(event)
    return new LastGoodStore(faulty, copies, {
      clock,
      logger: { ...silentLogger, info: note, warn: note },
      recordBytes: 1000,
    })
  }

  beforeEach(async () => {
    source = new MemoryStore({ pageSize: 2 })
    copies = new MemoryStore({ pageSize: 2 })
    clock = new ManualClock()
    away = false
    asked = 0
    events = []
    for (const name of ['a', 'b', 'c']) await source.put(`alias/${name}`, text(`alias of ${name}`))
  })

  it('answers from the last good copy while the source is away, also in a later process', async () => {
    const store = storeOf()
    for (const name of ['a', 'b', 'c']) await readValue(store, `alias/${name}`)
    away = true
    expect(await readValue(store, 'alias/a')).toEqual(text('alias of a'))
    const restarted = storeOf()
    expect(await readValue(restarted, 'alias/b')).toEqual(text('alias of b'))
    const first = await restarted.list('alias/')
    const second = await restarted.list('alias/', { cursor: first.cursor })
    expect([...first.keys, ...second.keys]).toEqual(['alias/a', 'alias/b', 'alias/c'])
    await expect(restarted.get('alias/never-read')).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('leaves a source that is away alone for a while, then comes back to it', async () => {
    const store = storeOf()
    await readValue(store, 'alias/a')
    away = true
    asked = 0
    for (let i = 0; i < 5; i++) await readValue(store, 'alias/a')
    expect(asked).toBe(1)
    expect(events).toEqual(['source_away'])
    away = false
    await source.put('alias/a', text('newer'))
    await clock.advance(5_000)
    expect(await readValue(store, 'alias/a')).toEqual(text('newer'))
    expect(events).toEqual(['source_away', 'source_back'])
  })

  it('forgets what the source says is gone', async () => {
    const store = storeOf()
    await readValue(store, 'alias/a')
    await source.delete('alias/a')
    expect(await store.get('alias/a')).toBeNull()
    away = true
    await expect(store.get('alias/a')).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('gives up a source that hangs, and hears its caller leave', async () => {
    const store = storeOf()
    await readValue(store, 'alias/a')
    const get = source.get.bind(source)
    source.get = () => new Promise(() => {})
    const waiting = readValue(store, 'alias/a')
    await clock.advance(5_000)
    expect(await waiting).toEqual(text('alias of a'))
    await clock.advance(5_000)
    const controller = new AbortController()
    source.get = (_, options) =>
      new Promise((_, reject) => options?.signal?.addEventListener('abort', () => reject(options.signal?.reason)))
    const left = store.get('alias/a', { signal: controller.signal })
    controller.abort()
    await expect(left).rejects.toMatchObject({ code: 'cancelled' })
    source.get = get
  })

  storeSignals(
    async () => {
      source = new MemoryStore()
      await source.put('alias/a', text('value'))
      return { store: storeOf(), key: 'alias/a', prefix: 'alias/' }
    },
    { readOnly: true, immediate: true },
  )

  it('gives up a list that hangs when its caller leaves', async () => {
    const store = storeOf()
    source.list = (_, options) =>
      new Promise((_, reject) => options?.signal?.addEventListener('abort', () => reject(options.signal?.reason)))
    const controller = new AbortController()
    const left = store.list('alias/', { signal: controller.signal })
    controller.abort()
    await expect(left).rejects.toMatchObject({ code: 'cancelled' })
    expect(events).toEqual([])
  })

  it('passes weights through, without a copy', async () => {
    const bytes = new Uint8Array(randomBytes(2_000))
    await source.put(BLOB, bytes)
    const store = storeOf()
    expect(await readValue(store, BLOB)).toEqual(bytes)
    away = true
    await expect(store.get(BLOB)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect((await copies.list('blob/')).keys).toEqual([])
  })

  it('refuses a record that is too large, and keeps the copy', async () => {
    const store = storeOf()
    await readValue(store, 'alias/a')
    await source.put('alias/a', pattern(2_000))
    await expect(store.get('alias/a')).rejects.toMatchObject({ code: 'manifest_invalid' })
    expect(await readValue(copies, 'alias/a')).toEqual(text('alias of a'))
  })
})

describe('OnlyModels', () => {
  storeSignals(
    async () => {
      const inner = new MemoryStore()
      for (const key of ['alias/a', 'alias/b']) await inner.put(key, text('value'))
      return { store: new OnlyModels(inner, new Set(['a'])), key: 'alias/a', prefix: 'alias/' }
    },
    { readOnly: true, immediate: true },
  )

  it('hides every other model, and leaves weights and manifests alone', async () => {
    const inner = new MemoryStore()
    for (const key of ['alias/a', 'alias/b', 'manifest/b/1', BLOB]) await inner.put(key, text(key))
    const store = new OnlyModels(inner, new Set(['a']))
    expect((await store.list('alias/')).keys).toEqual(['alias/a'])
    expect(await store.get('alias/b')).toBeNull()
    expect(await store.head('alias/b')).toBeNull()
    expect(await readValue(store, 'alias/a')).toEqual(text('alias/a'))
    expect(await readValue(store, BLOB)).toEqual(text(BLOB))
    expect(await readValue(store, 'manifest/b/1')).toEqual(text('manifest/b/1'))
  })
})
