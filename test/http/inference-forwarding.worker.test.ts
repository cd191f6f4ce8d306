import { describe, expect, it } from 'vitest'
import { originSignatures } from '../../src/access/origin-signatures.ts'
import { importKey, signRequest } from '../../src/access/signature.ts'
import { VergeError } from '../../src/core/errors.ts'
import type { CallContext } from '../../src/inference/call.ts'
import type { ForwardedAnswer, ForwardedRequest, Placement, Route, RouteFacts } from '../../src/placement/placement.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import type { ResolvedModel, Runner } from '../../src/serving/serving.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { OPERATOR, type TestAppOptions, testApp, testModel } from '../fixtures/http.ts'
import { END, wordsTokenizer } from '../fixtures/language.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { meteringOf } from '../fixtures/metering.ts'

const TENSORS = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }],
}
const numbers = testModel('numbers', 'public', TENSORS)
const secret = testModel('secret', 'private', TENSORS)
const TEXTS = {
  task: 'text-generation' as const,
  inputs: [{ name: 'input_ids', datatype: 'INT64' as const, shape: [-1, -1] }],
  outputs: [],
  generation: { contextLength: 64, stopTokens: [END] },
}
async function* hi() {
  yield* new TextEncoder().encode('hi')
  return undefined
}
const writer = testModel('writer', 'public', TEXTS, { files: { 'tokenizer.json': wordsTokenizer() }, write: hi })
/** Cannot write here: the edge's own failure. */
const unable = testModel('unable', 'public', TEXTS, { files: { 'tokenizer.json': wordsTokenizer() } })

const BODY = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }] })
const INFER = '/v2/models/numbers/infer'
const sized = (body: string) => ({ 'content-length': String(new TextEncoder().encode(body).length) })

interface Sent {
  readonly model: string
  readonly facts: RouteFacts
  readonly request: ForwardedRequest
  readonly context: CallContext
  /** As it came: bytes that were read before, or as a stream. */
  readonly body: string
  readonly streamed: boolean
}

/** A placement that does what the test says, and notes what it is asked. */
class FakePlacement implements Placement {
  readonly admission
  readonly asked: { model: string; facts: RouteFacts; context: CallContext }[] = []
  readonly sent: Sent[] = []
  /** What runs models where no origin answers. */
  edge: Runner | undefined
  /** How often no origin was to be asked any more. */
  givenUp = 0
  reachable = false
  next: (facts: RouteFacts) => Pick<Route, 'forward' | 'fallback'> | VergeError = () => ({
    forward: true,
    fallback: false,
  })
  /** Before the body is read; throws to fail. */
  connect: () => void | Promise<void> = () => {}
  answer: () => Response | Promise<Response> = () => Response.json({ from: 'fra' })

  constructor(places = 8, bodyBytes = 1_000) {
    this.admission = new BoundedAdmission({ slots: places, bodyBytes, leaseMs: 60_000, clock: new ManualClock() })
  }

  async route({ manifest }: ResolvedModel, facts: RouteFacts, context: CallContext): Promise<Route> {
    this.asked.push({ model: manifest.model, facts, context })
    const next = this.next(facts)
    if (next instanceof VergeError) throw next
    const { edge } = this
    if (edge === undefined) throw new Error('the test gave no edge')
    return {
      ...next,
      send: (request) => this.#send(manifest.model, facts, request, context),
      giveUpOrigins: () => {
        this.givenUp++
      },
      checkCost: (...args) => edge.checkCost(...args),
      prefetch: (...args) => edge.prefetch(...args),
      run: (...args) => edge.run(...args),
      generate: (...args) => edge.generate(...args),
    }
  }

  async #send(
    model: string,
    facts: RouteFacts,
    request: ForwardedRequest,
    context: CallContext,
  ): Promise<ForwardedAnswer> {
    await this.connect()
    const streamed = request.body instanceof ReadableStream
    const body = await new Response(request.body).text()
    this.sent.push({ model, facts, request, context, body, streamed })
    return { response: await this.answer(), origin: 'fra', reason: 'asked-for', attempts: 1 }
  }

  reaches(): boolean {
    return this.reachable
  }

  async explain({ manifest }: ResolvedModel, facts: RouteFacts, { placement }: CallContext): Promise<unknown> {
    return { model: manifest.model, facts, ask: placement }
  }
}

function setUp(options: TestAppOptions & { readonly placement?: FakePlacement } = {}) {
  const placement = options.placement ?? new FakePlacement()
  const app = testApp({ models: [numbers, secret, writer, unable], ...options, placement })
  placement.edge = app.serving
  return { placement, ...app }
}

const codeOfAnswer = async (answer: Response): Promise<unknown> => {
  const { error, code } = (await answer.json()) as { error?: { code?: string }; code?: string }
  return typeof error === 'object' ? error.code : code
}

describe('a request that an origin is to answer', () => {
  it.each([
    ['chat/completions', { messages: [{ role: 'user', content: 'x' }] }, {}],
    ['completions', { prompt: 'x', do_sample: false, stop_sequences: ['.'] }, { temperature: 0, stop: ['.'] }],
  ])(
    'is asked for /v1/%s where its path names the model, because an origin may know no other',
    async (path, body, more) => {
      const { placement, post } = setUp()
      const answer = await post(`/models/writer/v1/${path}?version=2`, { ...body, model: 'http://verge/models/writer' })
      expect(answer.status).toBe(200)
      const [sent] = placement.sent
      expect(sent).toMatchObject({ model: 'writer', streamed: false, facts: { route: 'openai' } })
      expect(sent?.request.path).toBe(`/v1/${path}?version=2`)
      const { do_sample: _, stop_sequences: __, ...rest } = body as Record<string, unknown>
      expect(JSON.parse(sent?.body ?? '')).toEqual({ ...rest, ...more, model: 'writer' })
      expect(answer.headers.get('verge-model')).toBe('writer@2')
    },
  )

  it.each([
    ['/v1/completions', { prompt: 'x' }, 'application/x-www-form-urlencoded'],
    ['/ollama/api/generate', { prompt: 'x', raw: true, stream: false }, 'application/x-www-form-urlencoded'],
    ['/ollama/api/generate', { prompt: 'x', raw: true, stream: false }, 'text/plain;charset=UTF-8'],
    ['/anthropic/v1/messages', { max_tokens: 1, messages: [{ role: 'user', content: 'x' }] }, ''],
  ])('is sent as JSON, whatever its caller called it: %s, %j, %j', async (path, body, type) => {
    const { placement, request } = setUp()
    const sent = JSON.stringify({ model: 'writer', ...body })
    await request(path, { method: 'POST', headers: { 'content-type': type }, body: sent })
    expect(placement.sent.map(({ request: { headers } }) => headers.get('content-type'))).toEqual(['application/json'])
  })

  it.each([
    ['/openai/v1/completions', '/v1/completions'],
    ['/v1/completions', '/v1/completions'],
    ['/workers-ai/client/v4/accounts/v1/ai/v1/chat/completions', '/v1/chat/completions'],
    ['/verge/rerank', '/rerank'],
    ['/v1/rerank', '/v1/rerank'],
  ])('is asked for without a prefix, which no other server knows: %s', async (path, upstream) => {
    const { placement, post } = setUp()
    await post(path, { model: 'writer', prompt: 'x' })
    expect(placement.sent[0]?.request.path).toBe(upstream)
  })

  it.each([
    ['/run/model', '/run/writer'],
    ['/models/model', '/models/writer'],
    ['/huggingface/models/model', '/huggingface/models/writer'],
    ['/pipeline/feature-extraction/p', '/pipeline/feature-extraction/writer'],
    ['/tei/t/embed', '/tei/writer/embed'],
    ['/tei/embed/embed', '/tei/writer/embed'],
    ['/embed', '/tei/writer/embed'],
    ['/tei/%40cf%2Fm3/embed', '/tei/writer/embed'],
    ['/v2/models/models/infer', '/v2/models/writer/infer'],
  ])('has the model’s own name in its path, whatever the operator’s name is: %s', async (path, upstream) => {
    const modelNames = new Map(['model', 'models', 'embed', 'p', 't', '@cf/m3'].map((name) => [name, 'writer']))
    const { placement, post } = setUp({ addressing: { modelNames, defaultModel: 't' } })
    await post(path, { inputs: 'x' })
    expect(placement.sent[0]?.request.path).toBe(upstream)
  })

  it('is sent as it came, under the name of its caller, and nothing is computed here', async () => {
    const { placement, post, serving } = setUp()
    const answer = await post(`${INFER}?a=b`, BODY, { ...sized(BODY), ...OPERATOR, 'x-request-id': 'r-7' })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({ from: 'fra' })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-request-id')).toBe('r-7')
    const [sent] = placement.sent
    expect(sent).toMatchObject({ model: 'numbers', body: BODY, streamed: false, facts: { route: 'oip', full: false } })
    expect(sent?.request).toMatchObject({ method: 'POST', path: `${INFER}?a=b`, caller: 'operator', route: 'oip' })
    expect(sent?.context.requestId).toBe('r-7')
    expect(serving.runs).toEqual([])
  })

  it('is sent for nobody where nobody is known, whatever its headers claim', async () => {
    const { placement, post } = setUp()
    await post(INFER, BODY, { ...sized(BODY), 'verge-caller': 'operator' })
    expect(placement.sent[0]?.request.caller).toBe('')
  })

  it.each([
    ['is not declared', {}],
    ['is more than is kept', sized(BODY)],
  ])('is passed on as a stream where its length %s', async (_, headers) => {
    const { placement, post } = setUp({ limits: { replayableBodyBytes: 8 } })
    expect((await post(INFER, BODY, headers)).status).toBe(200)
    expect(placement.sent[0]).toMatchObject({ body: BODY, streamed: true })
  })

  it('says what its caller can delay, and when the origin began to answer', async () => {
    const { placement, post } = setUp({ limits: { replayableBodyBytes: 200 }, metering: meteringOf().metering })
    const paced = async (path: string, body: unknown, headers = {}) => {
      await (await post(path, body, headers)).text()
      return placement.sent.at(-1)?.context.ledger?.paced
    }
    const sent = { ...sized(BODY), 'verge-timeout-ms': '600000' }
    expect(await paced(INFER, BODY, sent)).toBeUndefined()
    expect(placement.sent.at(-1)?.context.ledger?.originFirstMs).toBeDefined()
    expect(await paced(INFER, BODY, { ...sent, 'verge-timeout-ms': '500' })).toBe(true)
    // Its length is not declared: it is passed on as it comes.
    expect(await paced(INFER, BODY)).toBe(true)
    placement.answer = () => new Response('data: {}\n\n', { headers: { 'content-type': 'text/event-stream' } })
    const streamed = { model: 'writer', prompt: 'x', stream: true }
    await post('/v1/completions', streamed)
    // Headers of a stream come before anything is computed.
    expect(placement.sent.at(-1)?.context.ledger?.originFirstMs).toBeUndefined()
    await (await post('/v1/completions', streamed)).text()
    expect(placement.sent.at(-1)?.context.ledger?.originFirstMs).toBeDefined()
  })

  it('takes no place among those that are computed here', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 1, bodyBytes: 1_000_000, leaseMs: 60_000, clock })
    const { placement, post } = setUp({ admission })
    const slow = Promise.withResolvers<void>()
    placement.connect = () => slow.promise
    const first = post(INFER, BODY)
    await expect.poll(() => placement.asked.length).toBe(1)
    await expect.poll(() => admission.admitted).toBe(0)
    placement.next = () => ({ forward: false, fallback: false })
    expect((await post(INFER, BODY)).status).toBe(200)
    slow.resolve()
    expect((await first).status).toBe(200)
    expect(placement.admission.admitted).toBe(0)
  })

  it('is refused where too many are under way, before anything is sent', async () => {
    const placement = new FakePlacement(1)
    const { post, serving } = setUp({ placement })
    const slow = Promise.withResolvers<void>()
    placement.connect = () => slow.promise
    const first = post(INFER, BODY)
    await expect.poll(() => placement.admission.admitted).toBe(1)
    const second = await post(INFER, BODY)
    expect(second.status).toBe(429)
    slow.resolve()
    expect((await first).status).toBe(200)
    expect([placement.sent.length, serving.runs.length]).toEqual([1, 0])
  })

  it('is offered though there is no place here, and else refused', async () => {
    const none = {
      enter: () => {
        throw new VergeError('overloaded', 'Full.', { retryAfter: 1 })
      },
    }
    const { placement, post, serving } = setUp({ admission: none })
    expect((await post(INFER, BODY)).status).toBe(200)
    expect(placement.sent[0]?.facts.full).toBe(true)
    placement.next = () => ({ forward: false, fallback: false })
    expect((await post(INFER, BODY)).status).toBe(429)
    expect(serving.runs).toEqual([])
  })

  it('tells the placement where its caller is and wants to be', async () => {
    const near = { latitude: 1, longitude: 2 }
    const { placement, post } = setUp({ cf: near })
    await post(INFER, BODY, { 'verge-place': 'origin' })
    await post(INFER, BODY)
    expect(placement.asked.map(({ context }) => context.placement)).toMatchObject([
      { hint: 'origin', callerAt: near },
      { hint: 'auto', callerAt: near },
    ])
    const wrong = await post(INFER, BODY, { 'verge-place': 'Origin' })
    expect([wrong.status, await codeOfAnswer(wrong)]).toEqual([400, 'invalid_request'])
    expect(placement.asked.length).toBe(2)
  })
})

describe('who may not run a model', () => {
  it('is told that there is none, and nothing is asked of a placement', async () => {
    const { placement, post, request } = setUp()
    placement.next = () => new VergeError('origin_unavailable', 'Down.', { retryAfter: 9 })
    const answers = await Promise.all([
      post('/v2/models/secret/infer', BODY, { 'verge-place': 'origin' }),
      post('/v2/models/absent/infer', BODY, { 'verge-place': 'origin' }),
      post('/v1/completions', { model: 'secret', prompt: 'a' }, { 'verge-place': 'origin' }),
      post('/run/secret', '{}', { 'verge-place': 'origin' }),
      request('/explain/secret', { headers: { 'verge-place': 'origin' } }),
      request('/explain/absent'),
    ])
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404))
    expect(answers.map(({ headers }) => headers.get('retry-after'))).toEqual(answers.map(() => null))
    expect([placement.asked.length, placement.sent.length]).toEqual([0, 0])
    const known = await post('/v2/models/secret/infer', BODY, OPERATOR)
    expect(known.status).toBe(503)
  })

  it('cannot reach another model by a path that reads differently elsewhere', async () => {
    const { placement, post } = setUp()
    for (const path of [
      '/v2/models/numbers%2F..%2Fsecret/infer',
      '/v2/models/numbers/../secret/infer',
      '/v2/models/%2e%2e/models/secret/infer',
      '/run/numbers%2f..%2fsecret',
      '/run/numbers%00',
      '/run/numbers%0d%0ax-injected:1',
      '/v2/models/numbers/versions/..%2f..%2fsecret/infer',
    ]) {
      expect((await post(path, BODY)).status, path).toBe(404)
    }
    expect(placement.asked).toEqual([])
  })
})

describe('an origin that does not answer', () => {
  const unavailable = () => {
    throw new VergeError('origin_unavailable', 'No origin could answer.', { retryAfter: 3 })
  }

  it('is replaced by the edge where that can answer, with the body that was read', async () => {
    const { lines, placement, post, serving } = setUp()
    placement.next = () => ({ forward: true, fallback: true })
    placement.connect = unavailable
    const answer = await post(INFER, BODY, sized(BODY))
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ outputs: [{ name: 'y', data: [1, 2] }] })
    expect(serving.runs.length).toBe(1)
    expect(lines.map(({ event }) => event)).toContain('answered_here_instead')
    expect([placement.asked.length, placement.givenUp]).toEqual([1, 1])
  })

  it('is replaced too where as many requests are passed on as may be', async () => {
    const { placement, post, serving } = setUp({ placement: new FakePlacement(0) })
    placement.next = () => ({ forward: true, fallback: true })
    expect((await post(INFER, BODY, sized(BODY))).status).toBe(200)
    expect(serving.runs.length).toBe(1)
    placement.next = () => ({ forward: true, fallback: false })
    expect((await post(INFER, BODY, sized(BODY))).status).toBe(429)
  })

  it('is replaced too where a stream has not been touched', async () => {
    const { placement, post } = setUp()
    placement.next = () => ({ forward: true, fallback: true })
    placement.connect = unavailable
    expect((await post(INFER, BODY)).status).toBe(200)
  })

  it('is reported where what was streamed is gone', async () => {
    const { placement, post, serving } = setUp()
    placement.next = () => ({ forward: true, fallback: true })
    placement.answer = unavailable
    const answer = await post(INFER, BODY)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '3'])
    expect(serving.runs).toEqual([])
  })

  it('is reported where nothing else can answer', async () => {
    const { placement, post } = setUp()
    placement.connect = unavailable
    expect((await post(INFER, BODY, sized(BODY))).status).toBe(503)
    expect(placement.admission.admitted).toBe(0)
  })

  it.each(['run_rejected', 'cancelled', 'deadline_exceeded'] as const)(
    'is not what "%s" means: the edge is not asked',
    async (code) => {
      const { placement, post, serving } = setUp()
      placement.next = () => ({ forward: true, fallback: true })
      placement.connect = () => {
        throw new VergeError(code, 'Said there.')
      }
      expect(await codeOfAnswer(await post('/run/numbers', '{}', sized('{}')))).toBe(code)
      expect(serving.runs).toEqual([])
    },
  )

  it('is not replaced for a request that ended its engine: that would end the engine here, for everybody', async () => {
    const { placement, post, serving } = setUp()
    placement.next = () => ({ forward: true, fallback: true })
    placement.connect = () => {
      throw new VergeError('origin_failed', 'It ended the engine.', {
        details: { origins: ['fra'], reason: 'engine-crash' },
      })
    }
    expect((await post(INFER, BODY, sized(BODY))).status).toBe(502)
    expect(serving.runs).toEqual([])
  })
})

describe('a request whose body names its model', () => {
  const completion = (model: string, prompt = 'say') => ({ model, prompt, max_tokens: 2 })

  it('is read, and then sent on whole', async () => {
    const { placement, post } = setUp()
    const answer = await post('/v1/completions', completion('writer'), OPERATOR)
    expect(await answer.json()).toEqual({ from: 'fra' })
    expect(placement.sent[0]).toMatchObject({
      model: 'writer',
      body: JSON.stringify(completion('writer')),
      streamed: false,
      facts: { route: 'openai' },
      request: { caller: 'operator', path: '/v1/completions' },
    })
  })

  it('is answered here where that is decided', async () => {
    const { placement, post } = setUp()
    placement.next = () => ({ forward: false, fallback: false })
    const answer = await post('/v1/completions', completion('writer'))
    expect(await answer.json()).toMatchObject({ choices: [{ text: 'hi' }] })
    expect(placement.asked.length).toBe(1)
  })

  it('goes to an origin after all where the edge fails', async () => {
    const { placement, post } = setUp()
    placement.next = ({ failed }) => ({ forward: failed === true, fallback: false })
    const answer = await post('/v1/completions', completion('unable'))
    expect(await answer.json()).toEqual({ from: 'fra' })
    expect(placement.asked.map(({ facts }) => facts.failed)).toEqual([false, true])
  })

  it('says what is wrong with itself here, and asks no origin for that', async () => {
    const { placement, post } = setUp()
    placement.next = ({ failed }) => ({ forward: failed === true, fallback: false })
    const answer = await post('/v1/completions', { ...completion('writer'), max_tokens: -1 })
    expect(answer.status).toBe(400)
    expect(placement.sent).toEqual([])
  })

  it('is counted with its bytes while an origin answers', async () => {
    const placement = new FakePlacement(8, 1_500)
    const { post } = setUp({ placement })
    const slow = Promise.withResolvers<void>()
    placement.connect = () => slow.promise
    const first = post('/v1/completions', completion('writer', 'a'.repeat(1_000)))
    await expect.poll(() => placement.admission.admitted).toBe(1)
    const second = await post('/v1/completions', completion('writer', 'a'.repeat(1_000)))
    expect([second.status, await codeOfAnswer(second)]).toEqual([429, 'overloaded'])
    slow.resolve()
    expect((await first).status).toBe(200)
    expect(placement.sent.length).toBe(1)
  })

  it('is counted with its bytes again when the edge answers instead', async () => {
    const held: number[] = []
    const admission = {
      enter: () => ({ hold: (bytes: number) => void held.push(bytes), reading() {}, renew() {}, leave() {} }),
    }
    const { placement, post } = setUp({ admission })
    placement.next = () => ({ forward: true, fallback: true })
    placement.connect = () => {
      throw new VergeError('origin_unavailable', 'Down.')
    }
    const body = JSON.stringify(completion('writer'))
    expect((await post('/v1/completions', body, sized(body))).status).toBe(200)
    expect(held).toEqual([body.length, body.length])
  })

  it('is offered though there is no place here, and else refused', async () => {
    const none = {
      enter: () => {
        throw new VergeError('overloaded', 'Full.', { retryAfter: 1 })
      },
    }
    const { placement, post } = setUp({ admission: none })
    const body = JSON.stringify(completion('writer'))
    expect((await post('/v1/completions', body, sized(body))).status).toBe(200)
    expect(placement.sent[0]?.facts).toMatchObject({ route: 'openai', full: true })
    expect(placement.admission.admitted).toBe(0)
    placement.next = () => ({ forward: false, fallback: false })
    expect((await post('/v1/completions', body, sized(body))).status).toBe(429)
    expect(placement.admission.admitted).toBe(0)
  })
})

describe('GET /explain', () => {
  it('is for the operator', async () => {
    const { request } = setUp({ cf: { latitude: 3, longitude: 4 } })
    const refused = await request('/explain/numbers')
    expect([refused.status, await codeOfAnswer(refused)]).toEqual([401, 'unauthorized'])
    const answer = await request('/explain/secret?route=openai&version=1', {
      headers: { ...OPERATOR, 'verge-place': 'edge' },
    })
    expect(await answer.json()).toEqual({
      model: 'secret',
      version: '1',
      route: 'openai',
      decision: {
        model: 'secret',
        facts: { route: 'openai', full: false },
        ask: { hint: 'edge', callerAt: { latitude: 3, longitude: 4 } },
      },
      limits: { model: null, caller: [], anonymous: null },
    })
    const wrong = await request('/explain/numbers?route=rpc', { headers: OPERATOR })
    expect(wrong.status).toBe(400)
  })

  it('says where there is no other place', async () => {
    const { request } = testApp({ models: [numbers] })
    const answer = await request('/explain/numbers', { headers: OPERATOR })
    expect(await answer.json()).toMatchObject({ decision: { reason: 'only-place' } })
  })
})

describe('GET /store', () => {
  const KEY = 'k'.repeat(32)
  const NOW = Date.UTC(2026, 0, 2)
  const clock = { now: () => NOW }
  const BLOB = `blob/sha256/${'ab'.repeat(32)}`
  let nonces = 0

  async function store() {
    const weights = new MemoryStore()
    const utf8 = new TextEncoder()
    for (const key of ['alias/numbers', 'manifest/numbers/1', BLOB, 'health/origins', 'alias/numbers/x', 'other']) {
      await weights.put(key, utf8.encode(`of ${key}`))
    }
    return setUp({ weights, signatures: originSignatures([KEY], clock) })
  }
  async function signed(path: string, { key = KEY, method = 'GET', now = NOW, caller = 'fra' } = {}) {
    const nonce = (++nonces).toString(16).padStart(32, '0')
    return signRequest({ method, path, caller, requestId: '', body: null }, await importKey(key), { now, nonce })
  }

  it('gives an origin what is of the catalogue, and nothing else', async () => {
    const { request } = await store()
    for (const key of ['alias/numbers', 'manifest/numbers/1', BLOB]) {
      const answer = await request(`/store/${key}`, { headers: await signed(`/store/${key}`) })
      expect(await answer.text()).toBe(`of ${key}`)
    }
    for (const path of [
      '/store/health/origins',
      '/store/other',
      '/store/alias/numbers/x',
      '/store/alias%2F..%2Fother',
      '/store/alias/%2e%2e/other',
      '/store/alias/../other',
      '/store/alias/numbers%0a',
    ]) {
      const { pathname } = new URL(path, 'http://w')
      expect((await request(path, { headers: await signed(pathname) })).status, path).toBe(404)
    }
  })

  it('gives ranges', async () => {
    const { request } = await store()
    const ask = async (range: string) =>
      request(`/store/${BLOB}`, { headers: { ...(await signed(`/store/${BLOB}`)), range } })
    const part = await ask('bytes=3-6')
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 3-6/79', 'blob'])
    expect((await ask('bytes=79-')).status).toBe(416)
  })

  it.each([
    ['nobody', async () => ({})],
    ['who has another key', (path: string) => signed(path, { key: 'x'.repeat(32) })],
    ['who signed another path', () => signed('/store/alias/numbers')],
    ['who signed for another method', (path: string) => signed(path, { method: 'HEAD' })],
    ['whose clock is off', (path: string) => signed(path, { now: NOW - 61_000 })],
    ['who has the wrong bearer', async () => ({ authorization: 'Bearer nonsense' })],
  ])('gives nothing to %s', async (_, headersFor) => {
    const { request } = await store()
    const answer = await request(`/store/${BLOB}`, { headers: await headersFor(`/store/${BLOB}`) })
    expect(answer.status).toBe(401)
    expect(await answer.text()).not.toContain('of blob')
  })

  it('takes a signature once, and says what time it is to who is off', async () => {
    const { request } = await store()
    const headers = await signed(`/store/${BLOB}`)
    const ask = async () => (await request(`/store/${BLOB}`, { headers })).status
    expect([await ask(), await ask()]).toEqual([200, 401])
    const late = await request(`/store/${BLOB}`, { headers: await signed(`/store/${BLOB}`, { now: NOW + 61_000 }) })
    expect([late.status, late.headers.get('verge-time')]).toEqual([401, String(NOW)])
  })

  it('lets an origin do nothing else, whatever name it signs with', async () => {
    const { placement, post, request } = await store()
    for (const caller of ['fra', 'operator', 'service:x']) {
      const asked = (path: string, method = 'GET') => signed(path, { method, caller })
      const infer = '/v2/models/secret/infer'
      expect((await post(infer, BODY, await asked(infer, 'POST'))).status).toBe(404)
      expect((await post(INFER, BODY, await asked(INFER, 'POST'))).status).toBe(404)
      expect((await request('/explain/secret', { headers: await asked('/explain/secret') })).status).toBe(404)
      const models = await request('/v1/models', { headers: await asked('/v1/models') })
      expect(await models.json()).toMatchObject({ data: [] })
    }
    expect(placement.asked).toEqual([])
  })

  it('lists models to origins alone', async () => {
    const { request } = await store()
    const path = '/store?list=alias/'
    const list = await request(path, { headers: await signed(path) })
    expect(await list.json()).toEqual({ keys: ['alias/numbers', 'alias/numbers/x'] })
    const other = '/store?list=blob/'
    expect((await request(other, { headers: await signed(other) })).status).toBe(400)
    expect((await request(path)).status).toBe(401)
  })

  it('has nothing where no weights are given out', async () => {
    const { request } = setUp({ signatures: originSignatures([KEY], clock) })
    expect((await request(`/store/${BLOB}`, { headers: await signed(`/store/${BLOB}`) })).status).toBe(404)
  })
})

describe('a model by a name of the operator', () => {
  const modelNames = new Map([
    ['@cf/some/numbers', 'numbers'],
    ['numbers-2', 'numbers'],
  ])
  const setup = () => {
    const placement = new FakePlacement()
    const app = testApp({ models: [numbers], placement, addressing: { modelNames } })
    placement.edge = app.serving
    return { placement, ...app }
  }

  it.each([
    ['/v2/models/numbers-2/infer', '/v2/models/numbers/infer', 'numbers-2'],
    ['/run/numbers-2', '/run/numbers', 'numbers-2'],
    ['/run/%40cf%2Fsome%2Fnumbers?version=2', '/run/numbers?version=2', '@cf/some/numbers'],
  ])('is sent on by its own name in the path: %s', async (path, sent, asked) => {
    const { placement, post } = setup()
    expect((await post(path, BODY)).status).toBe(200)
    expect(placement.sent).toMatchObject([{ model: 'numbers', request: { path: sent, asked } }])
  })

  it('is sent on by its own name in the body', async () => {
    const { placement, post } = setup()
    const answer = await post('/v1/embeddings', { model: '@cf/some/numbers', input: 'a' })
    expect(answer.status).toBe(200)
    expect(placement.sent).toMatchObject([{ request: { asked: '@cf/some/numbers', path: '/v1/embeddings' } }])
    expect(JSON.parse(placement.sent[0]?.body ?? '')).toEqual({ model: 'numbers', input: 'a' })
  })

  it('leaves requests by the model’s own name as they are', async () => {
    const { placement, post } = setup()
    const body = '{ "model": "numbers", "input": [1, 2] }'
    expect((await post('/v1/embeddings', body)).status).toBe(200)
    expect(placement.sent).toMatchObject([{ body }])
    expect(placement.sent[0]?.request.asked).toBeUndefined()
  })
})
