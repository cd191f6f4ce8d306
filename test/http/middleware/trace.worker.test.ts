import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/access/authorize.ts'
import { VergeError } from '../../../src/core/errors.ts'
import type { AppEnv } from '../../../src/http/app-env.ts'
import { traced } from '../../../src/http/middleware/trace.ts'
import { openLedger } from '../../../src/serving/ledger.ts'
import { testContext } from '../../fixtures/clock.ts'
import { operatorAlone, testApp, testModel } from '../../fixtures/http.ts'
import type { ExportedSpan } from '../../fixtures/otlp.ts'
import { pathsOf, tracing } from '../../fixtures/traces.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SAMPLED = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, tracestate: 'vendor=words' }
const MODEL = testModel('double', 'public', {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
})
const BODY = { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [1] }] }
const WRITTEN = 'words-of-the-caller'

function appOf(rate: number, caller?: Caller) {
  const traces = tracing(rate)
  const app = testApp({ models: [MODEL], tracer: traces.tracer, ...(caller && { caller }) })
  const infer = (headers: Record<string, string> = {}) => app.post('/v2/models/double/infer', BODY, headers)
  return { ...traces, ...app, infer }
}

describe('requests that are recorded', () => {
  it('have a span with the route, what it came to, and who called as a kind', async () => {
    const { exported, infer } = appOf(1, { kind: 'service', name: 'shop' })
    expect((await infer()).status).toBe(200)
    const spans = await exported()
    expect(pathsOf(spans).sort()).toEqual(['POST /v2/models/:model/infer', 'POST /v2/models/:model/infer > authorize'])
    const request = spans.find(({ parentSpanId }) => parentSpanId === undefined)
    expect(request?.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v2/models/:model/infer',
      'http.response.status_code': 200,
      'url.scheme': 'http',
      'verge.model': 'double',
      'verge.version': '2',
      'verge.place': 'edge',
    })
    expect(spans.find(({ name }) => name === 'authorize')?.attributes).toEqual({ 'verge.caller': 'service' })
  })

  it('say why they failed by a code, and nothing that the caller wrote', async () => {
    const { exported, lines, request } = appOf(1)
    const answer = await request(`/run/${WRITTEN}?q=${WRITTEN}`, {
      method: 'POST',
      body: WRITTEN,
      headers: {
        'user-agent': WRITTEN,
        'x-request-id': WRITTEN,
        authorization: `Bearer ${WRITTEN}`,
        tracestate: `a=${WRITTEN}`,
      },
    })
    expect(answer.status).toBe(401)
    await request('/', { method: 'BREW', headers: SAMPLED }).catch(() => undefined)
    const spans = await exported()
    const request401 = spans.find(({ attributes }) => attributes['http.response.status_code'] === 401)
    expect(request401).toMatchObject({ attributes: { 'error.type': 'unauthorized' }, status: { code: 0 } })
    expect(JSON.stringify(spans)).not.toMatch(/words|BREW/)
    // The log names the trace, and so the trace's request.
    expect(lines.find(({ event }) => event === 'request_refused')?.fields.traceId).toBe(request401?.traceId)
  })

  it.each([
    ['events is read', 'text/event-stream', (answer: Response) => answer.text()],
    ['lines is read', 'application/x-ndjson', (answer: Response) => answer.text()],
    ['events is left', 'text/event-stream', (answer: Response) => answer.body?.cancel()],
  ])('end when an answer of %s, and say what it came to', async (_, type, take) => {
    const { clock, exported, tracer } = tracing(1)
    const app = new Hono<AppEnv>()
    app.use(async (c, next) => {
      c.set('caller', { kind: 'anonymous' })
      c.set('context', { ...testContext(), waitUntil() {}, ledger: openLedger() })
      await next()
    })
    app.use(traced(tracer))
    app.get('/events', (c) => {
      const { ledger } = c.get('context')
      const body = new ReadableStream({
        pull(controller) {
          // What is written, and what fails, after the answer has begun.
          if (ledger !== undefined) ledger.outputTokens = 4
          c.set('failure', { code: 'session_lost', status: 503 })
          controller.enqueue(new TextEncoder().encode('data: 1'))
          controller.close()
        },
      })
      return new Response(body, { headers: { 'content-type': type } })
    })
    const answer = await app.request('/events')
    await clock.advance(100)
    expect((await exported()).map(({ name }) => name)).toEqual([])
    await take(answer)
    const spans = await exported()
    expect(spans.map(({ name }) => name).sort()).toEqual(['GET /events', 'authorize'])
    const request = spans.at(-1)
    expect(request?.endTimeUnixNano).toBe('1790000000100000000')
    expect(request).toMatchObject({
      attributes: { 'gen_ai.usage.output_tokens': 4, 'error.type': 'session_lost' },
      status: { code: 2 },
    })
  })
})

describe('requests that are refused', () => {
  const slow = { 'verge-timeout-ms': WRITTEN }
  const rootOf = async (exported: () => Promise<ExportedSpan[]>) =>
    (await exported())
      .filter(({ name }) => name !== 'authorize')
      .map(({ attributes, name }) => [name, attributes['http.response.status_code'], attributes['error.type']])

  it.each([
    ['an unknown route', '/words/of-nobody', {}, ['GET /*', 404, 'not_found']],
    [
      'a wrong signature',
      '/v1/models',
      { authorization: 'verge-hmac-sha256 words' },
      ['GET /v1/models', 401, 'unauthorized'],
    ],
    ['headers that cannot be read', '/v1/models', slow, ['GET /v1/models', 400, 'invalid_request']],
  ])('have a span with their code: %s', async (_, path, headers, expected) => {
    const { exported, request } = appOf(1)
    await request(path, { headers: { ...headers, ...SAMPLED } })
    expect(await rootOf(exported)).toEqual([expected])
    const [span] = (await exported()).filter(({ name }) => name !== 'authorize')
    // Named, and not continued.
    expect([span?.traceId === TRACE, span?.links.map(({ traceId }) => traceId)]).toEqual([false, [TRACE]])
    expect(JSON.stringify(await exported())).not.toContain('words')
  })

  it('have one where too many come from their address', async () => {
    const { exported, tracer } = tracing(1)
    const credentials = operatorAlone()
    credentials.callerOf = async () => {
      throw new VergeError('rate_limited', WRITTEN)
    }
    const { request } = testApp({ models: [MODEL], tracer, credentials })
    await request('/v1/models', { headers: { authorization: `Bearer ${WRITTEN}` } })
    expect(await rootOf(exported)).toEqual([['GET /v1/models', 429, 'rate_limited']])
    expect(JSON.stringify(await exported())).not.toContain('words')
  })

  it('have one where their body is too large', async () => {
    const { exported, request } = appOf(1, { kind: 'operator' })
    const headers = { 'content-length': '999999999', 'content-type': 'application/json' }
    await request('/v2/models/double/infer', { method: 'POST', body: '{}', headers })
    expect(await rootOf(exported)).toEqual([['POST /v2/models/:model/infer', 413, 'body_too_large']])
  })

  it('are recorded at the rate of the operator alone, and a few of them in a minute', async () => {
    const none = appOf(0)
    for (let i = 0; i < 20; i++) await none.request('/v1/models', { headers: { ...slow, ...SAMPLED } })
    expect(await none.exported()).toEqual([])
    const all = appOf(1)
    for (let i = 0; i < 20; i++) await all.request('/v1/models', { headers: { ...slow, ...SAMPLED } })
    expect(await all.exported()).toHaveLength(2)
  })
})

describe('the trace of a caller', () => {
  it('is continued for who has a credential of the operator, and named in the answer', async () => {
    const { exported, infer } = appOf(0, { kind: 'operator' })
    const answer = await infer(SAMPLED)
    const spans = await exported()
    const request = spans.find(({ name }) => name.startsWith('POST'))
    expect(request).toMatchObject({ traceId: TRACE, parentSpanId: '00f067aa0ba902b7' })
    expect(answer.headers.get('traceresponse')).toBe(`00-${TRACE}-${request?.spanId}-01`)
  })

  const grant = { actions: new Set(), models: [] } as never
  const strangers: readonly (readonly [string, Caller])[] = [
    ['nobody', { kind: 'anonymous' }],
    ['a browser token', { kind: 'granted', by: 'token', principal: 'token:1', name: 'page', grant }],
  ]
  it.each(strangers)('asks for nothing where the caller is %s', async (_, caller) => {
    const { exported, infer } = appOf(0, caller)
    for (let i = 0; i < 20; i++) {
      const answer = await infer(SAMPLED)
      expect(answer.headers.has('traceresponse')).toBe(false)
    }
    expect(await exported()).toEqual([])
  })
})
