import { describe, expect, it } from 'vitest'
import type { Caller } from '../../src/access/authorize.ts'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import type { RequestTracer } from '../../src/core/tracing.ts'
import { workersAiErrors } from '../../src/protocols/workers-ai/error.ts'
import { WorkersAiService } from '../../src/rpc/workers-ai.ts'
import type { Ask } from '../../src/rpc/writing.ts'
import { API_KEY, operatorAlone, testApp } from '../fixtures/http.ts'
import { pathsOf, tracing } from '../fixtures/traces.ts'

interface Asked {
  readonly url: string
  readonly type: string | null
  readonly body: Uint8Array
  readonly caller: Caller
}

/** The binding in front of REST paths that answer what the test says. */
function binding(answer = () => Response.json({ result: 'done', success: true }), tracer?: RequestTracer, http?: Ask) {
  const asked: Asked[] = []
  const lines: string[] = []
  const log = (event: string, fields?: object): void => void lines.push(`${event} ${JSON.stringify(fields)}`)
  const service = new WorkersAiService({
    callers: new Set(['shop']),
    credentials: operatorAlone(),
    limits: { ...LIMITS, requestBodyBytes: 1_000, textBodyBytes: 1_000, jsonContainers: 50 },
    logger: { info: log, warn: log, error: log },
    randomId: () => 'id-1',
    tracer,
    ask: async (request, caller, call) => {
      if (http !== undefined) return http(request, caller, call)
      const body = new Uint8Array(await request.arrayBuffer())
      asked.push({ url: request.url, type: request.headers.get('content-type'), body, caller })
      return answer()
    },
  })
  const call = (props?: unknown) => ({ props, waitUntil() {} })
  const run = (inputs: unknown, options?: unknown, model = '@cf/baai/bge-m3', props?: unknown) =>
    service.run(call(props), model, inputs, options)
  return { asked, lines, run, service, call }
}

const text = ({ body }: Asked): string => new TextDecoder().decode(body)

describe("Workers AI's binding", () => {
  it('asks the REST path for the model, and answers its result without the envelope', async () => {
    const { asked, run } = binding()
    expect(await run({ text: 'x' })).toEqual({ answer: 'done' })
    const [only] = asked
    expect(only?.url).toMatch(/\/workers-ai\/client\/v4\/accounts\/binding\/ai\/run\/%40cf%2Fbaai%2Fbge-m3$/)
    expect(only?.type).toBe('application/json')
    expect(only && text(only)).toBe('{"text":"x"}')
    expect(only?.caller).toEqual({ kind: 'anonymous' })
  })

  it('sends pictures as bytes, whichever way they came', async () => {
    const { asked, run } = binding()
    const bytes = Uint8Array.of(137, 80, 78)
    const whole = Uint8Array.of(0, 137, 80, 78, 0)
    for (const image of [[...bytes], bytes, bytes.buffer, whole.subarray(1, 4)]) await run({ image })
    expect(asked.map(({ body, type }) => [type, ...body])).toEqual(
      new Array(4).fill(['application/octet-stream', 137, 80, 78]),
    )
    await run({ image: 'iVBORw' })
    expect(asked.at(-1)?.type).toBe('application/json')
  })

  it('leaves a span of a call that is refused before it becomes a request', async () => {
    const { exported, tracer } = tracing()
    const { call, run, service } = binding(undefined, tracer)
    await run({}, { words: 'of the caller' })
    await service.models(call(), { search: 'words'.repeat(100) })
    expect((await exported()).map(({ attributes, name }) => [name, attributes['error.type']])).toEqual([
      ['WorkersAi/run', 'invalid_request'],
      ['WorkersAi/models', 'invalid_request'],
    ])
    expect(JSON.stringify(await exported())).not.toContain('words')
  })

  it('has its calls recorded as the requests that they are', async () => {
    const { exported, tracer } = tracing()
    const caller = { kind: 'service', name: 'shop' } as const
    const { request } = testApp({ models: [], tracer, caller })
    const { run } = binding(undefined, tracer, async ({ body, headers, method, url }) =>
      request(url, { body, headers, method }),
    )
    expect(await run({ text: 'x' })).toMatchObject({ failure: expect.anything() })
    const spans = await exported()
    const path = 'POST /workers-ai/client/v4/accounts/:account/ai/run/:name{.+}'
    expect(pathsOf(spans)).toEqual([`${path} > authorize`, path])
    expect(spans[0]?.attributes).toEqual({ 'verge.caller': 'service' })
    expect(spans[1]?.attributes).toMatchObject({ 'error.type': 'model_not_found' })
  })

  it('knows its caller by the key, or by what its deployment says', async () => {
    const { asked, run } = binding()
    await run({}, { extraHeaders: { Authorization: `Bearer ${API_KEY}` } })
    await run({}, { extraHeaders: { authorization: 'Bearer another' } })
    await run({}, {}, 'm', { caller: 'shop' })
    await run({}, {}, 'm', { caller: 'thief' })
    expect(asked.map(({ caller }) => caller)).toEqual([
      { kind: 'operator' },
      { kind: 'anonymous', unaccepted: expect.anything() },
      { kind: 'service', name: 'shop' },
      { kind: 'anonymous', unaccepted: 'name' },
    ])
  })

  it('makes no URL of what is no name', async () => {
    const { asked, call, run, service } = binding()
    for (const model of ['m'.repeat(257), '\ud800']) {
      expect(await run({ text: 'x' }, {}, model)).toMatchObject({ failure: { code: 'invalid_request' } })
    }
    const searched = await service.models(call(), { search: 'x'.repeat(257) })
    expect(searched).toMatchObject({ failure: { code: 'invalid_request' } })
    expect(asked).toEqual([])
  })

  it('passes events on as a stream, and gives a response where it is asked for', async () => {
    const events = () => new Response('data: [DONE]\n\n', { headers: { 'content-type': 'text/event-stream' } })
    const streamed = await binding(events).run({ stream: true })
    expect(streamed).toEqual({ answer: expect.any(ReadableStream) })
    const { answer } = (await binding().run({}, { returnRawResponse: true })) as { answer: Response }
    expect([answer.status, await answer.json()]).toEqual([200, 'done'])
  })

  it('tells failures by number, name and message', async () => {
    const error = new VergeError('model_not_found', 'There is no model "m".')
    const answer = () =>
      Response.json(workersAiErrors.body(error, 'r-1', 400), { status: 400, headers: { 'x-request-id': 'r-1' } })
    const failure = {
      internalCode: 5007,
      name: 'AiError',
      message: '5007: There is no model "m".',
      description: 'There is no model "m".',
      code: 'model_not_found',
      requestId: 'r-1',
    }
    expect(await binding(answer).run({})).toEqual({ failure })
    const raw = (await binding(answer).run({}, { returnRawResponse: true })) as { answer: Response }
    expect([raw.answer.status, await raw.answer.json()]).toEqual([400, failure])
    const nonsense = await binding(() => new Response('oops', { status: 502 })).run({})
    expect(nonsense).toMatchObject({ failure: { internalCode: 502, code: 'internal' } })
  })

  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  it.each([
    ['a cycle', { text: cycle }, {}, 'invalid_request'],
    ['a map', { text: new Map() }, {}, 'invalid_request'],
    ['too much text', { text: 'x'.repeat(2_000) }, {}, 'body_too_large'],
    ['too many lists', { text: Array.from({ length: 60 }, () => []) }, {}, 'input_too_large'],
    ['a picture that is too long', { image: new Uint8Array(2_000) }, {}, 'body_too_large'],
    ['a list of bytes that is too long', { image: new Array(2_000).fill(1) }, {}, 'input_too_large'],
    ['a sparse list of bytes', { image: new Array(2 ** 31) }, {}, 'input_too_large'],
    ['a byte of 256', { image: [256] }, {}, 'invalid_request'],
    ['an unknown option', {}, { unheard: 1 }, 'invalid_request'],
    ['options without end', {}, { gateway: cycle }, 'invalid_request'],
    ['a queue', {}, { queueRequest: true }, 'invalid_request'],
    ['a signal that is none', {}, { signal: {} }, 'invalid_request'],
  ])('refuses %s before anything is asked', async (_, inputs, options, code) => {
    const { asked, lines, run } = binding()
    expect(await run(inputs, options)).toMatchObject({
      failure: { code, name: 'AiError', requestId: 'id-1', message: expect.stringMatching(/^\d{4}: /) },
    })
    expect(asked).toEqual([])
    expect(lines).toEqual([expect.stringContaining('rpc_refused')])
  })

  it('says nothing of a failure that nobody expected', async () => {
    const { lines, run } = binding(() => {
      throw new Error('a secret path')
    })
    const outcome = await run({})
    expect(outcome).toMatchObject({ failure: { code: 'internal', internalCode: 3043 } })
    expect(JSON.stringify(outcome)).not.toContain('secret')
    expect(lines).toEqual([expect.stringContaining('rpc_failed')])
  })

  it('asks for models with plain parameters alone', async () => {
    const { asked, call, service } = binding(() => Response.json({ result: [] }))
    expect(await service.models(call(), { search: 'a b', page: 2, odd: { a: 1 } })).toEqual({ answer: [] })
    expect(asked[0]?.url).toMatch(/\/ai\/models\/search\?search=a\+b&page=2$/)
  })
})
