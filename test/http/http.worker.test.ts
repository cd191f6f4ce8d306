import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { tensor } from '../../src/core/tensors.ts'
import type { Admission } from '../../src/serving/admission.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { API_KEY, OPERATOR, testApp, testModel } from '../fixtures/http.ts'

const FLOATS = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }],
}
const open = testModel('open', 'public', FLOATS)
const secret = testModel('secret', 'private', FLOATS)
const models = [open, secret]
const INFER = { inputs: [{ name: 'x', shape: [2], datatype: 'FP32', data: [1, 2] }] }

describe('request ids', () => {
  it('echoes a sane one and makes one otherwise, errors included', async () => {
    const { request } = testApp()
    expect((await request('/', { headers: { 'x-request-id': 'abc-1' } })).headers.get('x-request-id')).toBe('abc-1')
    expect((await request('/', { headers: { 'x-request-id': 'a b' } })).headers.get('x-request-id')).toBe('id-1')
    const missing = await request('/nowhere', { headers: { 'x-request-id': 'abc-2' } })
    expect(missing.status).toBe(404)
    expect(missing.headers.get('x-request-id')).toBe('abc-2')
    expect(await missing.json()).toMatchObject({ error: { code: 'not_found', request_id: 'abc-2' } })
  })
})

describe('callers', () => {
  it('shows a private model to nobody but the operator, exactly as if it were missing', async () => {
    const { request, post } = testApp({ models })
    const compare = async (name: string, make: (name: string) => Promise<Response>) => {
      const response = await make(name)
      const body = await response.text()
      return { status: response.status, body: body.replaceAll(name, 'NAME').replace(/id-\d+/, 'ID') }
    }
    for (const make of [
      (name: string) => request(`/v2/models/${name}`),
      (name: string) => request(`/v2/models/${name}/ready`),
      (name: string) => request(`/v2/models/${name}/versions/9`),
      (name: string) => post(`/v2/models/${name}/infer`, INFER),
      (name: string) => post(`/run/${name}`, { inputs: 'x' }),
      (name: string) => request(`/v1/models/${name}`),
    ]) {
      const hidden = await compare('secret', make)
      expect(hidden).toEqual(await compare('nosuch', make))
      expect(hidden.status).toBe(404)
      expect(hidden.body).toContain('private models need a key')
    }
    expect((await request('/v2/models/secret', { headers: OPERATOR })).status).toBe(200)
    expect((await post('/v2/models/secret/infer', INFER, OPERATOR)).status).toBe(200)
  })

  it('lists what the caller may see', async () => {
    const { request } = testApp({ models })
    const ids = async (headers: Record<string, string>) => {
      const response = await request('/v1/models', { headers })
      expect(response.headers.get('cache-control')).toBe('no-store')
      const { object, data } = await response.json<{ object: string; data: { id: string; object: string }[] }>()
      expect(object).toBe('list')
      expect(data.every((model) => model.object === 'model')).toBe(true)
      return data.map(({ id }) => id)
    }
    expect(await ids({})).toEqual(['open'])
    expect(await ids(OPERATOR)).toEqual(['open', 'secret'])
  })

  const UNKNOWN: readonly (readonly [string, string])[] = [
    ['a wrong key', 'Bearer wrong'],
    ['a key that a client insists on', 'Bearer EMPTY'],
    ['another scheme', `Basic ${btoa('a:b')}`],
    ['no token', 'Bearer'],
    ['two tokens', `Bearer ${API_KEY} ${API_KEY}`],
    ['nothing', ''],
  ]

  it.each(UNKNOWN)('answers one with %s as a stranger, where that is enough', async (_, authorization) => {
    for (const apiKey of [true, false]) {
      const { request, post } = testApp({ models, apiKey })
      const headers = { authorization }
      for (const path of ['/', '/v2/models/open', '/v1/models/open', '/healthz', '/openapi.json']) {
        expect((await request(path, { headers })).status, path).toBe(200)
      }
      expect((await post('/v2/models/open/infer', INFER, headers)).status).toBe(200)
      const { data } = await (await request('/v1/models', { headers })).json<{ data: { id: string }[] }>()
      expect(data.map(({ id }) => id)).toEqual(['open'])
      expect(JSON.stringify(await (await request('/healthz', { headers })).json())).not.toContain('heap_bytes')
    }
  })

  it.each(UNKNOWN)('refuses one with %s where it is not, as for a model that is missing', async (_, authorization) => {
    for (const apiKey of [true, false]) {
      const { request, post } = testApp({ models, apiKey })
      const headers = { authorization }
      const told = async (name: string, make: (name: string) => Promise<Response>) => {
        const response = await make(name)
        expect(response.status).toBe(401)
        expect(response.headers.get('www-authenticate')).toMatch(/^Bearer /)
        expect(response.headers.get('verge-model')).toBeNull()
        const body = await response.text()
        expect(body).not.toContain(API_KEY)
        return body.replaceAll(name, 'NAME').replace(/id-\d+/, 'ID')
      }
      for (const make of [
        (name: string) => request(`/v2/models/${name}`, { headers }),
        (name: string) => request(`/v2/models/${name}/ready`, { headers }),
        (name: string) => request(`/v2/models/${name}/versions/9`, { headers }),
        (name: string) => post(`/v2/models/${name}/infer`, INFER, headers),
        (name: string) => post(`/run/${name}`, { inputs: 'x' }, headers),
        (name: string) => request(`/v1/models/${name}`, { headers }),
        (name: string) => request(`/explain/${name}`, { headers }),
        (name: string) => post('/v1/chat/completions', { model: name, messages: [] }, headers),
      ]) {
        expect(await told('secret', make)).toBe(await told('nosuch', make))
      }
      expect((await request('/explain/open', { headers })).status).toBe(401)
    }
    expect((await testApp({ models }).request('/explain/open')).status).toBe(401)
  })

  it('gives versions that are not live to the operator alone, and to others as if they were missing', async () => {
    for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
      const { request, post } = testApp({ models })
      const told = async (version: string, make: (version: string) => Promise<Response>) => {
        const response = await make(version)
        const body = await response.text()
        return `${response.status} ${body.replaceAll(`"${version}\\"`, 'VERSION').replace(/id-\d+/, 'ID')}`
      }
      for (const make of [
        (version: string) => request(`/v2/models/open/versions/${version}`, { headers }),
        (version: string) => post(`/v2/models/open/versions/${version}/infer`, INFER, headers),
        (version: string) => post(`/run/open?version=${version}`, { inputs: 'x' }, headers),
        (version: string) => post(`/v1/chat/completions?version=${version}`, { model: 'open', messages: [] }, headers),
      ]) {
        // In the fixture version 2 is live, and 1 is not.
        const hidden = await told('1', make)
        expect(hidden).toBe(await told('9', make))
        expect(hidden).toMatch('authorization' in headers ? /^401 / : /^404 .*version_not_found/)
        expect(hidden).not.toContain('"1"')
      }
      expect((await request('/v2/models/open/versions/2', { headers })).status).toBe(200)
      expect(await (await request('/v2/models/open', { headers })).json()).toMatchObject({ versions: ['2'] })
    }
    const { request, post } = testApp({ models })
    expect((await post('/v2/models/open/versions/1/infer', INFER, OPERATOR)).status).toBe(200)
    expect(await (await request('/v2/models/open', { headers: OPERATOR })).json()).toMatchObject({
      versions: ['1', '2'],
    })
  })

  it('takes the scheme in any case', async () => {
    const { request } = testApp({ models })
    const headers = { authorization: `bearer ${API_KEY}` }
    expect((await request('/v1/models/secret', { headers })).status).toBe(200)
  })

  it('knows no operator where no key is configured', async () => {
    const { request } = testApp({ models, apiKey: false })
    expect((await request('/v2/models/secret', { headers: OPERATOR })).status).toBe(401)
    expect((await request('/v2/models/secret', { headers: { authorization: 'Bearer ' } })).status).toBe(401)
    expect((await request('/v2/models/secret')).status).toBe(404)
  })

  it('refuses a signature that is not accepted, on public models too', async () => {
    const app = testApp({ models })
    for (const headers of [
      { 'signature-input': 'verge=("@method");tag="verge-origin-1"' },
      { authorization: 'Verge-HMAC-SHA256 key="0"' },
    ]) {
      expect((await app.request('/v2/models/open', { headers })).status).toBe(401)
    }
    // a crawler's own signature (Web Bot Auth) is no signature of Verge's servers
    const headers = { 'signature-input': 'sig1=("@authority");tag="web-bot-auth"', signature: 'sig1=:AA==:' }
    expect((await app.request('/v2/models/open', { headers })).status).toBe(200)
  })

  it('does not write credentials to the log', async () => {
    const { request, lines } = testApp({ models, logSampleRate: 1 })
    for (const path of ['/', '/v2/models/secret']) {
      await request(path, { headers: { authorization: 'Bearer hunter2-hunter2' } })
    }
    expect(lines).toHaveLength(2)
    expect(JSON.stringify(lines)).not.toContain('hunter2')
  })
})

describe('the model list', () => {
  it('says when the newest live version was pushed, and 0 where that was not recorded', async () => {
    const dated = {
      ...open,
      alias: {
        ...open.alias,
        live: [
          { version: '1', weight: 9 },
          { version: '2', weight: 1 },
        ],
        versions: { ...open.alias.versions, '3': '0'.repeat(64) },
        created: { '1': 1_700_000_000, '2': 1_800_000_000, '3': 1_900_000_000 },
      },
    }
    const createdBy = async (model: typeof open) =>
      (await (await testApp({ models: [model] }).request('/v1/models/open')).json<{ created: number }>()).created
    expect(await createdBy(dated)).toBe(1_800_000_000)
    expect(await createdBy(open)).toBe(0)
  })
})

describe('a caller while a canary is live', () => {
  const live = ['1', '2'].map((version) => ({ version, weight: 50 }))
  const canary = { version: '2', against: '1', guarded: true }
  const onTrial = { ...open, alias: { ...open.alias, live, canary } }

  /** The versions that answer a caller again and again, over different protocols. */
  async function versionsFor(headers: Record<string, string>): Promise<string> {
    const { request, post } = testApp({ models: [onTrial] })
    const answers = [
      await post('/v2/models/open/infer', INFER, headers),
      await post('/run/open', { inputs: 'x' }, headers),
      await request('/v2/models/open', { headers }),
    ]
    return [...new Set(answers.map((answer) => answer.headers.get('verge-model')?.slice('open@'.length)))].join()
  }

  it('meets the same version each time, and others may meet the other one', async () => {
    const seen: string[] = []
    for (let n = 0; n < 20; n++)
      seen.push(await versionsFor({ 'cf-connecting-ip': `203.0.113.${n}`, 'user-agent': 'a' }))
    expect([...new Set(seen)].sort()).toEqual(['1', '2'])
    const users: string[] = []
    for (let n = 0; n < 20; n++) users.push(await versionsFor({ ...OPERATOR, 'verge-sticky': `user-${n}` }))
    expect([...new Set(users)].sort()).toEqual(['1', '2'])
  })
})

describe('the version that answers', () => {
  it('is named on every answer from the moment that it is known, errors included', async () => {
    const { request, post } = testApp({ models })
    const named = (response: Response) => response.headers.get('verge-model')
    expect(named(await post('/v2/models/open/infer', INFER))).toBe('open@2')
    expect(named(await post('/v2/models/open/versions/1/infer', INFER, OPERATOR))).toBe('open@1')
    const wrong = await post('/v2/models/open/infer', { inputs: [] })
    expect([wrong.status, named(wrong)]).toEqual([400, 'open@2'])
    const mismatch = await post('/run/open', { inputs: 'x' })
    expect([mismatch.status, named(mismatch)]).toEqual([400, 'open@2'])
    expect(named(await request('/v2/models/open'))).toBe('open@2')
    expect(named(await request('/v2/models/open/versions/9'))).toBeNull()
    expect(named(await request('/'))).toBeNull()
  })
})

describe('the line that a request leaves in the log', () => {
  it('says what was answered, and holds nothing that the caller wrote freely', async () => {
    const { post, lines } = testApp({ models, logSampleRate: 1 })
    const body = JSON.stringify({ ...INFER, id: 'private-id' })
    await post('/v2/models/open/infer?note=private-query', body, { 'content-length': String(body.length), ...OPERATOR })
    expect(lines).toEqual([
      {
        level: 'info',
        event: 'request_answered',
        fields: {
          requestId: 'id-1',
          method: 'POST',
          route: '/v2/models/:model/infer',
          model: 'open@2',
          status: 200,
          caller: 'operator',
          placement: 'edge;artifact="edge-fp32";start=warm;reason=only-place',
          cache: undefined,
          cost: 0,
          requestBytes: body.length,
        },
      },
    ])
    expect(JSON.stringify(lines)).not.toMatch(/private|correct-horse/)
  })

  it('is left by the share of requests that is configured, and by each that fails', async () => {
    const draws = [0.1, 0.3, 0.24, 0.25]
    const { request, lines } = testApp({ models, logSampleRate: 0.25, random: () => draws.shift() ?? 1 })
    for (let i = 0; i < 4; i++) await request('/v2/models/open')
    expect(lines.map(({ event }) => event)).toEqual(['request_answered', 'request_answered'])
    await request('/v2/models/none')
    expect(lines.at(-1)?.event).toBe('request_refused')
    expect(draws).toHaveLength(0)
  })
})

describe('failures', () => {
  const failing = (error: unknown) =>
    testApp({
      models: [
        testModel('open', 'public', FLOATS, {
          compute: () => {
            throw error
          },
        }),
      ],
    })

  it('says nothing of what was not expected, and all of it to the log', async () => {
    const { post, lines } = failing(new TypeError('cannot read /home/me/key.pem', { cause: new Error('deep') }))
    const response = await post('/v2/models/open/infer', INFER)
    expect(response.status).toBe(500)
    const text = await response.text()
    expect(text).not.toMatch(/key\.pem|TypeError|at /)
    expect(JSON.parse(text)).toMatchObject({ code: 'internal' })
    const line = lines.find(({ level }) => level === 'error')
    expect(JSON.stringify(line)).toContain('key.pem')
    expect(JSON.stringify(line)).toContain('deep')
  })

  it('says why a model could not be loaded to its operator, and to others that it is so', async () => {
    const reason = 'The model could not be loaded: onnxruntime::Model::Load of node "/private/Gather_3" failed'
    const { post, lines } = failing(new VergeError('model_invalid', reason))
    const told = async (headers: Record<string, string>) =>
      (await (await post('/v2/models/open/infer', INFER, headers)).json<{ error: string; code: string }>()).error
    expect(await told(OPERATOR)).toBe(reason)
    for (const headers of [{}, { authorization: 'Bearer EMPTY' }]) {
      expect(await told(headers)).toMatch(/^The model could not be loaded\. Its operator must push it again/)
    }
    expect(lines.filter(({ fields }) => fields.message === reason)).toHaveLength(3)
  })

  it('logs what the engine said of inputs that it could not run on', async () => {
    const cause = new Error('onnxruntime::Gather::Compute idx=9')
    const { post, lines } = failing(new VergeError('run_rejected', 'Index 9 is out of range.', { cause }))
    const answer = await post('/v2/models/open/infer', INFER)
    expect(await answer.text()).not.toContain('onnxruntime')
    expect(lines).toMatchObject([{ event: 'request_refused', fields: { engine: cause.message } }])
  })

  it('sends Retry-After, details and the code of a typed failure, in the shape of each protocol', async () => {
    const error = new VergeError('overloaded', 'Full.', { retryAfter: 1.2, details: { admitted: 3 } })
    const { post } = failing(error)
    const oip = await post('/v2/models/open/infer', INFER)
    expect(oip.status).toBe(429)
    expect(oip.headers.get('retry-after')).toBe('2')
    expect(await oip.json()).toEqual({ error: 'Full.', code: 'overloaded', request_id: 'id-1', admitted: 3 })
  })

  it("answers in OpenAI's shape under /v1", async () => {
    const { request } = testApp()
    expect(await (await request('/v1/models/none')).json()).toMatchObject({
      error: { type: 'invalid_request_error', code: 'model_not_found', param: null },
    })
  })

  it('answers 405 with what is allowed, and OPTIONS with the same', async () => {
    const { request } = testApp({ models })
    const response = await request('/v2/models/open/infer')
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('OPTIONS, POST')
    expect(await response.json()).toMatchObject({ code: 'method_not_allowed' })
    const removed = await request('/v1/models', { method: 'DELETE' })
    expect(removed.status).toBe(405)
    expect(removed.headers.get('allow')).toBe('GET, HEAD, OPTIONS')
    const options = await request('/v1/models', { method: 'OPTIONS' })
    expect(options.status).toBe(204)
    expect(options.headers.get('allow')).toBe('GET, HEAD, OPTIONS')
    expect((await request('/nowhere', { method: 'DELETE' })).status).toBe(404)
  })

  it('answers HEAD like GET, without a body', async () => {
    const { request } = testApp({ models })
    const response = await request('/v2/models/open', { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
    expect((await request('/v2/models/none', { method: 'HEAD' })).status).toBe(404)
  })
})

describe('time', () => {
  const waiting = testModel('open', 'public', FLOATS, {
    compute: (_, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      }),
  })

  it('ends a request at its deadline, which a header may shorten and not lengthen', async () => {
    for (const [header, ms] of [
      [undefined, 1000],
      ['200', 200],
      ['999999', 1000],
    ] as const) {
      const clock = new ManualClock()
      const { post, serving } = testApp({ models: [waiting], clock, deadlineMs: 1000 })
      const headers: Record<string, string> = header === undefined ? {} : { 'verge-timeout-ms': header }
      let done = false
      const answer = post('/v2/models/open/infer', INFER, headers).finally(() => {
        done = true
      })
      await expect.poll(() => serving.runs.length).toBe(1)
      await clock.advance(ms - 1)
      expect(done).toBe(false)
      await clock.advance(1)
      const response = await answer
      expect(response.status).toBe(504)
      expect(await response.json()).toMatchObject({ code: 'deadline_exceeded', timeout_ms: ms })
    }
  })

  it.each(['0', '-5', '1.5', 'soon', ''])('refuses a timeout of "%s"', async (value) => {
    const { request } = testApp()
    const response = await request('/', { headers: { 'verge-timeout-ms': value } })
    expect(response.status).toBe(400)
  })

  it('ends a request whose caller leaves, as cancelled, and gives its slot back', async () => {
    let places = 1
    const admission: Admission = {
      enter() {
        places--
        return {
          hold: () => {},
          reading: () => {},
          renew: () => {},
          leave: () => {
            places++
          },
        }
      },
    }
    const leaving = testModel('open', 'public', FLOATS, {
      compute: (_, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new VergeError('cancelled', 'Gone.')), { once: true })
        }),
    })
    const { app, serving } = testApp({ models: [leaving], admission })
    const controller = new AbortController()
    const request = new Request('http://verge/v2/models/open/infer', {
      method: 'POST',
      body: JSON.stringify(INFER),
      signal: controller.signal,
    })
    const answer = app.fetch(request)
    await expect.poll(() => serving.runs.length).toBe(1)
    expect(places).toBe(0)
    controller.abort()
    expect((await answer).status).toBe(499)
    expect(places).toBe(1)
  })
})

describe('the order of an inference', () => {
  /** A body that tells when it is read. */
  function watchedBody(): { body: ReadableStream<Uint8Array>; reads: () => number } {
    let pulls = 0
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulls++
          controller.enqueue(new TextEncoder().encode(JSON.stringify(INFER)))
          controller.close()
        },
      },
      { highWaterMark: 0 },
    )
    return { body, reads: () => pulls }
  }

  it.each(['/v2/models/open/infer', '/run/open'])('%s takes a slot before it reads the body', async (path) => {
    const full: Admission = {
      enter() {
        throw new VergeError('overloaded', 'Full.', { retryAfter: 1 })
      },
    }
    const { app } = testApp({ models, admission: full })
    const { body, reads } = watchedBody()
    const response = await app.fetch(new Request(`http://verge${path}`, { method: 'POST', body }))
    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('1')
    expect(reads()).toBe(0)
  })

  it('asks whether the caller may run the model before it gives a slot', async () => {
    let entered = 0
    const admission: Admission = {
      enter() {
        entered++
        return { hold() {}, reading() {}, renew() {}, leave() {} }
      },
    }
    const { post } = testApp({ models, admission })
    expect((await post('/v2/models/secret/infer', INFER)).status).toBe(404)
    expect(entered).toBe(0)
    expect((await post('/v2/models/open/infer', INFER)).status).toBe(200)
    expect(entered).toBe(1)
  })

  it('gives every slot back, whatever happened', async () => {
    let held = 0
    const admission: Admission = {
      enter() {
        held++
        return {
          hold: () => {},
          reading: () => {},
          renew: () => {},
          leave: () => {
            held--
          },
        }
      },
    }
    const { post } = testApp({ models, admission })
    for (const body of [INFER, '{', { inputs: [] }, new Uint8Array(0)]) await post('/v2/models/open/infer', body)
    await post('/v2/models/open/versions/9/infer', INFER)
    await post('/run/open', { inputs: 'x' })
    expect(held).toBe(0)
  })
})

describe('bodies', () => {
  it('refuses one that says it is too long before reading it, and one that turns out to be', async () => {
    const { app, post } = testApp({ models, limits: { requestBodyBytes: 100 } })
    const long = JSON.stringify({ ...INFER, id: 'x'.repeat(200) })
    const declared = await post('/v2/models/open/infer', long)
    expect(declared.status).toBe(413)
    expect(await declared.json()).toMatchObject({ code: 'body_too_large', limit_bytes: 100 })
    let given = 0
    let cancelled = false
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        given += 64
        controller.enqueue(new Uint8Array(64))
      },
      cancel() {
        cancelled = true
      },
    })
    const request = new Request('http://verge/v2/models/open/infer', { method: 'POST', body: endless })
    expect((await app.fetch(request)).status).toBe(413)
    expect(given).toBeLessThan(400)
    expect(cancelled).toBe(true)
  })

  it('refuses compressed ones', async () => {
    const { post } = testApp({ models })
    for (const encoding of ['gzip', 'br', 'GZIP, identity']) {
      const response = await post('/v2/models/open/infer', INFER, { 'content-encoding': encoding })
      expect(response.status).toBe(415)
      expect(await response.json()).toMatchObject({ code: 'unsupported_encoding' })
    }
    expect((await post('/v2/models/open/infer', INFER, { 'content-encoding': 'identity' })).status).toBe(200)
  })

  it('reads a body that comes in many pieces', async () => {
    const { app } = testApp({ models })
    const data = Array.from({ length: 60_000 }, (_, i) => i / 3)
    const text = JSON.stringify({ inputs: [{ name: 'x', shape: [60_000], datatype: 'FP32', data }] })
    const bytes = new TextEncoder().encode(text)
    let at = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(bytes.slice(at, at + 9973))
        at += 9973
        if (at >= bytes.length) controller.close()
      },
    })
    const response = await app.fetch(new Request('http://verge/v2/models/open/infer', { method: 'POST', body }))
    const answer = await response.json<{ outputs: { data: number[] }[] }>()
    expect(answer.outputs[0]?.data).toEqual(data.map(Math.fround))
  })

  it('stops reading when the deadline passes', async () => {
    const clock = new ManualClock()
    const { app } = testApp({ models, clock, deadlineMs: 50 })
    let asked = false
    const silent = new ReadableStream<Uint8Array>(
      {
        pull: () => {
          asked = true
          return new Promise(() => {})
        },
      },
      { highWaterMark: 0 },
    )
    const answer = app.fetch(new Request('http://verge/v2/models/open/infer', { method: 'POST', body: silent }))
    await expect.poll(() => asked).toBe(true)
    await clock.advance(50)
    expect((await answer).status).toBe(504)
  })

  it('says that a body which breaks off was incomplete', async () => {
    const { app } = testApp({ models })
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error('connection reset'))
      },
    })
    const answer = await app.fetch(new Request('http://verge/v2/models/open/infer', { method: 'POST', body: broken }))
    expect(answer.status).toBe(400)
    expect(await answer.text()).not.toContain('connection reset')
  })
})

describe('answers', () => {
  it('say where they were computed, and give only times that a clock measured', async () => {
    const { post } = testApp({ models })
    const response = await post('/v2/models/open/infer', INFER)
    expect(response.headers.get('verge-placement')).toBe('edge;artifact="edge-fp32";start=warm;reason=only-place')
    expect(response.headers.get('server-timing')).toBe('run;dur=1.23')
  })
})

describe('health', () => {
  it("is the engine's, with figures for the operator only", async () => {
    const { request, serving } = testApp()
    const well = await request('/healthz')
    expect(well.status).toBe(200)
    expect(await well.json()).toEqual({ status: 'ok', engine: 'fake', version: '1' })
    expect(await (await request('/healthz', { headers: OPERATOR })).json()).toMatchObject({ heap_bytes: 5 })
    serving.healthy = false
    expect((await request('/healthz')).status).toBe(503)
    expect((await request('/v2/health/ready')).status).toBe(400)
    expect((await request('/v2/health/live')).status).toBe(200)
  })
})

describe('CORS', () => {
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }

  it('answers pages of configured origins only', async () => {
    const { request } = testApp({ corsOrigins: ['https://a.example'] })
    const allowed = await request('/', { headers: { origin: 'https://a.example' } })
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://a.example')
    expect(allowed.headers.get('access-control-expose-headers')).toMatch(/verge-model.*verge-placement/)
    expect(allowed.headers.get('vary')).toMatch(/origin/i)
    const other = await request('/', { headers: { origin: 'https://b.example' } })
    expect(other.headers.get('access-control-allow-origin')).toBeNull()
    expect((await request('/')).headers.get('access-control-allow-origin')).toBeNull()
  })

  it.each([
    ['as it comes', {}],
    ['with all that it can be told', { organization: 'org-1', project: 'proj-1' }],
  ])("lets the package openai's own headers through a preflight, %s", async (_, options) => {
    const sent = new Set<string>()
    const client = new OpenAI({
      apiKey: 'none',
      baseURL: 'https://verge.example/v1',
      dangerouslyAllowBrowser: true,
      maxRetries: 1,
      ...options,
      fetch: async (_, init) => {
        const retried = sent.size > 0
        for (const name of new Headers(init?.headers).keys()) sent.add(name)
        return retried ? Response.json({ object: 'list', data: [], choices: [] }) : new Response('', { status: 429 })
      },
    })
    await client.embeddings.create({ model: 'm', input: 'text', encoding_format: 'float' })
    await client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'x' }] })
    // A helper names itself; what it makes of this answer is of no concern here.
    await client.chat.completions
      .stream({ model: 'm', messages: [] })
      .done()
      .catch(() => {})
    await client.models.list()
    const { request } = testApp({ corsOrigins: ['*'] })
    // A browser asks for every header of a request that is not on the CORS safelist.
    const asked = [...sent].filter((name) => !['accept', 'content-length'].includes(name))
    const answer = await request('/v1/embeddings', {
      method: 'OPTIONS',
      headers: { origin: 'https://a.example', ...preflight, 'access-control-request-headers': asked.join(',') },
    })
    const allowed = answer.headers.get('access-control-allow-headers')?.split(',') ?? []
    expect(asked).toContain('x-stainless-lang')
    expect(asked).toContain('x-stainless-helper-method')
    if ('organization' in options)
      expect(asked).toEqual(expect.arrayContaining(['openai-organization', 'openai-project']))
    expect(asked.filter((name) => !allowed.includes(name))).toEqual([])
  })

  it('answers a preflight, and lets a page read a failure', async () => {
    const { request } = testApp({ corsOrigins: ['*'] })
    const headers = { origin: 'https://a.example', ...preflight }
    const answer = await request('/run/x', { method: 'OPTIONS', headers })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('access-control-allow-methods')).toContain('POST')
    expect(answer.headers.get('access-control-allow-headers')).toMatch(/authorization/)
    const failure = await request('/nowhere', { headers: { origin: 'https://a.example' } })
    expect(failure.status).toBe(404)
    expect(failure.headers.get('access-control-allow-origin')).toBe('*')
    const unknown = { origin: 'https://a.example', authorization: 'Bearer no' }
    const refused = await request('/v2/models/none', { headers: unknown })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('access-control-allow-origin')).toBe('*')
  })
})

it('runs what the fixtures say', async () => {
  const { post } = testApp({
    models: [
      testModel('open', 'public', FLOATS, { compute: () => new Map([['y', tensor('FP32', [1], Float32Array.of(7))]]) }),
    ],
  })
  expect(await (await post('/v2/models/open/infer', INFER)).json()).toMatchObject({ outputs: [{ data: [7] }] })
})
