import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { METRIC_NAMES } from '../../src/origin/metrics.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import {
  encode,
  healthOf,
  loop,
  type OriginFolders,
  originFolders,
  PICTURE,
  PIXELS,
  until,
} from '../fixtures/node/origin-models.ts'
import {
  type OriginProcess,
  type SignedInit,
  signedFetch,
  signedHeaders,
  startOriginProcess,
} from '../fixtures/node/origin-process.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const KEY = 'the secret of these tests is long enough'
const OPERATOR = 'a-key-of-the-operator-0123456789'
const OLD_KEY = 'the secret that is being replaced by the other'

let scratch: string
let models: string
let folders: OriginFolders

beforeAll(async () => {
  folders = await originFolders()
  ;({ scratch, models } = folders)
})
afterAll(() => folders?.remove())

describe('an origin', () => {
  let origin: OriginProcess
  let cache: string

  beforeAll(async () => {
    cache = join(scratch, 'cache')
    origin = await startOriginProcess({ from: models, cache, keys: [KEY, OLD_KEY], args: ['--preload', 'digits'] })
    await origin.logged('origin_ready')
  })
  afterAll(() => origin?.stop())

  const send = (path: string, init: SignedInit, key = KEY) => signedFetch(origin.url, key, path, init)
  const infer = (model: string, body: Uint8Array<ArrayBuffer>, init: Partial<SignedInit> = {}) =>
    send(`/v2/models/${model}/infer`, { body, ...init })

  it('says how it is, on both ports', async () => {
    const stranger = await fetch(`${origin.url}/healthz`)
    expect([stranger.status, await stranger.json()]).toEqual([200, { status: 'ok' }])
    expect(await (await send('/healthz', { method: 'GET', body: null })).json()).toEqual({
      status: 'ok',
      engine: 'native',
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      provider: 'cpu',
      queue: 0,
      running: 0,
      requests: 0,
    })
    expect((await fetch(`${origin.url}/v2/health/ready`)).status).toBe(200)
    const signed = await send('/v2/health/ready', { method: 'GET', body: null })
    expect(await signed.json()).toEqual({ ready: true })
    expect(await (await fetch(`${origin.admin}/livez`)).json()).toMatchObject({ live: true, provider: 'cpu' })
    expect(await (await fetch(`${origin.admin}/readyz`)).json()).toEqual({ ready: true, missing: [] })
    expect((await fetch(`${origin.admin}/elsewhere`)).status).toBe(404)
  })

  it('computes what onnxruntime-node computes itself', async () => {
    const response = await infer('digits', PICTURE, { caller: 'operator', requestId: 'mine-1' })
    expect(response.status).toBe(200)
    expect(response.headers.get('x-request-id')).toBe('mine-1')
    expect(response.headers.get('verge-placement')).toMatch(/^origin;.*artifact="onnx-fp32"/)
    const { outputs } = (await response.json()) as { outputs: { name: string; data: number[] }[] }
    const session = await InferenceSession.create(await readFile(join(models, 'digits/model.onnx')))
    const [name = ''] = session.inputNames
    const expected = await session.run({ [name]: new Tensor('float32', PIXELS, [1, 1, 28, 28]) })
    const [output = ''] = session.outputNames
    const values = expected[output]?.data as Float32Array
    expect(outputs.map((each) => each.name)).toEqual([output])
    expect(outputs[0]?.data).toHaveLength(values.length)
    for (const [i, value] of values.entries()) expect(outputs[0]?.data[i]).toBeCloseTo(value, 4)
  })

  it('runs tasks, and private models for whomever the Worker lets through', async () => {
    const body = encode({ inputs: 'A wonderful film, and I would see it again.' })
    const answer = await send('/run/reviews', { body, caller: '', headers: { 'content-type': 'application/json' } })
    expect(await answer.json()).toMatchObject([{ label: 'positive' }, { label: 'negative' }])
    expect((await infer('loop', loop(3))).status).toBe(200)
    expect((await infer('loop', loop(3), { caller: 'service:shop' })).status).toBe(200)
  })

  it('gives nothing to browsers, of models that their Worker gives to browsers', async () => {
    for (const path of ['/browser/digits', `/weights/digits/${'0'.repeat(64)}`]) {
      const answer = await send(path, { method: 'GET', body: null })
      expect([answer.status, await answer.json()]).toMatchObject([404, { error: { code: 'not_found' } }])
    }
  })

  it('takes the key that is being replaced too', async () => {
    expect((await send('/v1/models', { method: 'GET', body: null }, OLD_KEY)).status).toBe(200)
  })

  it('refuses what nobody has signed, in the shape of each protocol', async () => {
    const refusals = [
      ['/v2/models/digits/infer', { error: expect.any(String), code: 'unauthorized', reason: 'missing' }],
      ['/v1/embeddings', { error: { code: 'unauthorized', type: 'invalid_request_error', reason: 'missing' } }],
      ['/run/digits', { error: { code: 'unauthorized', reason: 'missing' } }],
      ['/nothing', { error: { code: 'unauthorized', reason: 'missing' } }],
    ] as const
    for (const [path, body] of refusals) {
      const response = await fetch(origin.url + path, { method: 'POST', body: '{}' })
      expect(response.status, path).toBe(401)
      expect(await response.json(), path).toMatchObject(body)
    }
    const bearer = await fetch(`${origin.url}/v1/models`, { headers: { authorization: `Bearer ${KEY}` } })
    expect(bearer.status).toBe(401)
  })

  it.each([
    ['the way before RFC 9421', { authorization: 'Verge-HMAC-SHA256 key="00000000"' }],
    ['a way that is newer', { 'signature-input': 'verge=("@method");tag="verge-origin-2"', signature: 'verge=:AAAA:' }],
  ])('tells a Worker that signs in %s that versions differ', async (_, headers) => {
    for (const path of ['/v1/models', '/v2/health/ready']) {
      const response = await fetch(origin.url + path, { headers: headers as Record<string, string> })
      expect(response.status, path).toBe(401)
      const text = await response.text()
      expect(text, path).toContain('"reason":"unsupported_version"')
      expect(text, path).toContain('versions of Verge differ')
    }
  })

  it.each([
    ['another key', 'unknown_key', {}, 'a secret that this origin was never given'],
    ['a clock that is off', 'clock_skew', { aheadMs: -120_000 }, KEY],
  ])('refuses %s', async (_, reason, init, key) => {
    const before = Date.now()
    const response = await send('/v1/models', { method: 'GET', body: null, ...init }, key)
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ error: { code: 'unauthorized', reason } })
    const time = Number(response.headers.get('verge-time') ?? Number.NaN)
    if (reason === 'clock_skew') {
      expect(time).toBeGreaterThanOrEqual(before - 1)
      expect(time).toBeLessThanOrEqual(Date.now() + 1)
    } else expect(time).toBeNaN()
    const probe = await send('/v2/health/ready', { method: 'GET', body: null, ...init }, key)
    expect(probe.status).toBe(401)
  })

  it('answers a request once, however often it is sent', async () => {
    const path = '/v2/models/digits/infer'
    const headers = await signedHeaders(KEY, path, { body: PICTURE })
    const once = await fetch(origin.url + path, { method: 'POST', headers, body: PICTURE })
    expect(once.status).toBe(200)
    const twice = await fetch(origin.url + path, { method: 'POST', headers, body: PICTURE })
    expect(twice.status).toBe(401)
    expect(await twice.json()).toMatchObject({ code: 'unauthorized', reason: 'replayed' })
  })

  it.each(['body', 'path', 'method', 'caller'])('refuses a request whose %s was changed on the way', async (what) => {
    const path = '/v2/models/digits/infer'
    const headers = await signedHeaders(KEY, path, { body: PICTURE, caller: 'somebody' })
    const changed = PICTURE.slice()
    changed[changed.length - 5] = 0x20
    const response = await fetch(origin.url + path + (what === 'path' ? '?x=1' : ''), {
      method: what === 'method' ? 'PUT' : 'POST',
      headers: { ...headers, ...(what === 'caller' && { 'verge-caller': 'operator' }) },
      body: what === 'body' ? changed : PICTURE,
    })
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ reason: what === 'body' ? 'body_mismatch' : 'bad_signature' })
  })

  it('takes a large body unsigned, as it comes', async () => {
    const rows = 500
    const body = encode({
      inputs: [{ name: 'image', shape: [rows, 1, 28, 28], datatype: 'FP32', data: Array(rows * 784).fill(0.125) }],
    })
    expect(body.length).toBeGreaterThan(1024 * 1024)
    const response = await infer('digits', body)
    expect(response.status).toBe(200)
    const { outputs } = (await response.json()) as { outputs: { shape: number[] }[] }
    expect(outputs[0]?.shape).toEqual([rows, 10])
  })

  it('outlives a model that ends the process of its engine', async () => {
    const int32 = (name: string, value: number) => ({ name, shape: [1], datatype: 'INT32', data: [value] })
    const poison = await infer('divide', encode({ inputs: [int32('a', -(2 ** 31)), int32('b', -1)] }))
    expect(await poison.json()).toMatchObject({ code: 'engine_aborted' })
    const well = await infer('divide', encode({ inputs: [int32('a', 12), int32('b', 4)] }))
    expect(await well.json()).toMatchObject({ outputs: [{ data: [3] }] })
    const metrics = await (await fetch(`${origin.admin}/metrics`)).text()
    expect(sampleOf(metrics, 'verge_origin_engine_restarts_total')).toBe(1)
  })

  it('hears a caller leave, and gives its slot back', async () => {
    const working = await occupied(origin, infer)
    const controller = new AbortController()
    const left = infer('loop', loop(7), { signal: controller.signal })
    await until(async () => (await healthOf(origin)).requests === 2)
    controller.abort()
    await expect(left).rejects.toThrow()
    await until(async () => (await healthOf(origin)).requests === 1)
    working.abort()
    const text = await untilMetrics(origin, 'verge_origin_requests_total{model="loop",route="infer",status="closed"} 2')
    expect(text).toContain('route="infer"')
  })

  const chat = (body: object, signal?: AbortSignal): Promise<Response> =>
    send('/v1/chat/completions', {
      body: encode({ model: 'abacus', messages: [{ role: 'user', content: 'What is 27 plus 58?' }], ...body }),
      headers: { 'content-type': 'application/json' },
      ...(signal && { signal }),
    })

  it('writes texts as a stream, and counts their tokens', async () => {
    const response = await chat({ stream: true, temperature: 0 })
    expect(response.status).toBe(200)
    const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: {'))
    const text = events
      .map((event) => JSON.parse(event.slice('data: '.length)) as { choices: { delta: { content?: string } }[] })
      .map(({ choices }) => choices[0]?.delta.content ?? '')
      .join('')
    expect(text).toContain('85')
    const metrics = await untilMetrics(
      origin,
      'verge_origin_requests_total{model="abacus",route="chat",status="200"} 1',
    )
    expect(sampleOf(metrics, 'verge_origin_tokens_total{model="abacus"}')).toBeGreaterThan(text.split(' ').length)
  })

  it('stops writing when its reader leaves', async () => {
    const tokens = async (): Promise<number> => {
      const text = await (await fetch(`${origin.admin}/metrics`)).text()
      return sampleOf(text, 'verge_origin_tokens_total{model="abacus"}')
    }
    const before = await tokens()
    // Another model takes turns with it, so that the text is far from its end when the reader leaves.
    let noisy = true
    const noise = (async () => {
      while (noisy) await infer('loop', loop(5_000))
    })()
    const controller = new AbortController()
    // At this temperature the model hardly ever comes to an end by itself.
    const response = await chat({ stream: true, temperature: 2, max_tokens: 200, seed: 1 }, controller.signal)
    await response.body?.getReader().read()
    controller.abort()
    await untilMetrics(origin, 'verge_origin_requests_total{model="abacus",route="chat",status="closed"} 1')
    noisy = false
    await noise
    await until(async () => (await healthOf(origin)).requests === 0)
    await until(async () => (await healthOf(origin)).running === 0)
    expect((await tokens()) - before).toBeLessThan(150)
  })

  it('counts what it does, under names of the catalogue alone', async () => {
    await send('/run/no-such-model', { body: encode({}) })
    const text = await (await fetch(`${origin.admin}/metrics`)).text()
    for (const name of METRIC_NAMES) expect(text).toContain(`# TYPE ${name} `)
    expect(text).toContain('verge_origin_info{engine="native",version=')
    expect(sampleOf(text, 'verge_origin_requests_total{model="reviews",route="run",status="200"}')).toBe(1)
    expect(sampleOf(text, 'verge_origin_requests_total{model="none",route="run",status="404"}')).toBe(1)
    expect(sampleOf(text, 'verge_origin_loads_total{model="digits",outcome="ok"}')).toBeGreaterThanOrEqual(1)
    expect(sampleOf(text, 'verge_origin_batch_rows_count{model="digits"}')).toBeGreaterThanOrEqual(2)
    expect(sampleOf(text, 'verge_origin_sessions')).toBeGreaterThanOrEqual(1)
    expect(sampleOf(text, 'verge_origin_cache_bytes')).toBeGreaterThan(300_000)
    expect(sampleOf(text, 'verge_origin_draining')).toBe(0)
    expect(text).toContain('process_resident_memory_bytes')
    expect(text).not.toContain('no-such-model')
  })

  it('says nothing of keys or bodies in its log', async () => {
    const text = JSON.stringify(origin.logs)
    expect(text).toContain('request_refused')
    for (const secret of [KEY, OLD_KEY, 'hmac-sha256', 'verge=:', 'A wonderful film'])
      expect(text).not.toContain(secret)
  })
})

describe('an origin over its Worker', () => {
  let worker: LiveWorker
  let port: number
  const asOperator = { authorization: `Bearer ${OPERATOR}` }

  beforeAll(async () => {
    // Where the origin is does not matter here: the Worker knows it by its key.
    port = await freePort()
    const origins = [{ name: 'here', url: `http://127.0.0.1:${port}`, auth: { type: 'hmac', key: 'ORIGIN_KEY' } }]
    worker = await startLiveWorker({ ORIGINS: JSON.stringify(origins), ORIGIN_KEY: KEY, VERGE_API_KEY: OPERATOR })
    const writer = await writerFor(worker)
    for (const name of ['digits', 'reviews', 'loop']) await publish(writer, await packFolder(join(models, name)))
  })
  afterAll(() => worker?.dispose())

  it('has its catalogue and its weights, private models included', async () => {
    const origin = await startOriginProcess({ from: worker.url, cache: join(scratch, 'worker'), keys: [KEY] })
    await origin.logged('origin_ready')
    expect(await origin.logged('catalogue_read')).toMatchObject({ models: 3 })
    const review = { body: encode({ inputs: 'A dull film.' }), headers: { 'content-type': 'application/json' } }
    expect((await signedFetch(origin.url, KEY, '/v2/models/digits/infer', { body: PICTURE })).status).toBe(200)
    expect((await signedFetch(origin.url, KEY, '/v2/models/loop/infer', { body: loop(2) })).status).toBe(200)
    expect((await signedFetch(origin.url, KEY, '/run/reviews', review)).status).toBe(200)
    // A model may end the process that the runtime is in: it is in the engine's, and not in this one.
    const { pid } = origin.process
    if (process.platform === 'linux') expect(await readFile(`/proc/${pid}/maps`, 'utf8')).not.toContain('onnxruntime')
    expect(await origin.stop()).toBe(0)
  })

  it('is called untried before it has answered, and is asked as soon as it says that it is ready', async () => {
    const reason = async (): Promise<string> => {
      const answer = await fetch(`${worker.url}/explain/loop?route=oip`, { headers: asOperator })
      const { decision } = (await answer.json()) as { decision: { considered: { place: string; reason: string }[] } }
      return decision.considered.find(({ place }) => place === 'origin')?.reason ?? 'none'
    }
    const run = async (): Promise<number> => {
      const init = { method: 'POST', headers: asOperator, body: loop(2) }
      const answer = await fetch(`${worker.url}/v2/models/loop/infer`, init)
      await answer.arrayBuffer()
      return answer.status
    }
    expect(await reason()).toBe('untried')
    for (let i = 0; i < 3; i++) expect(await run()).toBe(503)
    expect(await reason()).toBe('origin-down')
    const args = ['--port', String(port)]
    const origin = await startOriginProcess({ from: worker.url, cache: join(scratch, 'announced'), keys: [KEY], args })
    await origin.logged('origin_announced')
    expect(await reason()).toBe('half-open')
    expect(await run()).toBe(200)
    expect(await reason()).toBe('up')
    expect(await origin.stop()).toBe(0)
  })

  it('gets nothing with another key', async () => {
    const origin = await startOriginProcess({ from: worker.url, cache: join(scratch, 'stranger'), keys: [OLD_KEY] })
    const { error } = (await origin.logged('catalogue_unread')) as unknown as { error: { message: string } }
    expect(error.message).toContain('does not accept the signature')
    expect((await fetch(`${worker.url}/store?list=alias/`)).status).toBe(401)
    expect(await origin.stop()).toBe(0)
  })
})

async function occupied(
  origin: OriginProcess,
  infer: (model: string, body: Uint8Array<ArrayBuffer>, init?: Partial<SignedInit>) => Promise<Response>,
): Promise<AbortController> {
  const controller = new AbortController()
  infer('loop', loop(300_000), { signal: controller.signal }).catch(() => {})
  await until(async () => (await healthOf(origin)).running === 1)
  return controller
}

async function untilMetrics(origin: OriginProcess, line: string): Promise<string> {
  let text = ''
  await until(async () => {
    text = await (await fetch(`${origin.admin}/metrics`)).text()
    return text.includes(`${line}\n`)
  })
  return text
}

function sampleOf(metrics: string, series: string): number {
  const line = metrics.split('\n').find((each) => each.startsWith(`${series} `))
  return Number(line?.slice(series.length + 1) ?? Number.NaN)
}
