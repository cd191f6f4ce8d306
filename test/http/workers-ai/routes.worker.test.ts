import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { tensor } from '../../../src/core/tensors.ts'
import type {
  ForwardedAnswer,
  ForwardedRequest,
  Placement,
  Route,
  RouteFacts,
} from '../../../src/placement/placement.ts'
import { BoundedAdmission } from '../../../src/serving/admission.ts'
import type { Runner } from '../../../src/serving/serving.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { OPERATOR, type TestAppOptions, testApp, testModel } from '../../fixtures/http.ts'
import { END, wordsTokenizer } from '../../fixtures/language.ts'
import { wordPieceTokenizer } from '../../fixtures/text-models.ts'

const INPUTS = ['input_ids', 'attention_mask'].map((name) => ({ name, datatype: 'INT64' as const, shape: [-1, -1] }))
const files = { 'tokenizer.json': wordPieceTokenizer() }

/** A vector for each text: how many tokens it has, and 1. */
const vectors = testModel(
  'vectors',
  'public',
  {
    task: 'feature-extraction',
    inputs: INPUTS,
    outputs: [{ name: 'sentence_embedding', datatype: 'FP32', shape: [-1, 2] }],
    embedding: { pooling: 'mean', normalize: false, prompts: { query: 'who ', passage: 'the first ' } },
  },
  {
    files,
    compute(inputs) {
      const mask = inputs.get('attention_mask')
      const [rows = 0, length = 0] = mask?.shape ?? []
      const values = Array.from({ length: rows }, (_, row) => {
        const own = (mask?.data as BigInt64Array | undefined)?.subarray(row * length, (row + 1) * length)
        return [own?.reduce((sum, bit) => sum + Number(bit), 0) ?? 0, 1]
      })
      return new Map([['sentence_embedding', tensor('FP32', [rows, 2], Float32Array.from(values.flat()))]])
    },
  },
)
const secret = testModel('secret', 'private', { inputs: INPUTS, outputs: [], task: 'feature-extraction' })
const raw = testModel('raw', 'public', { inputs: INPUTS, outputs: [] })

async function* hi() {
  yield* new TextEncoder().encode('hi')
  return undefined
}
const writer = testModel(
  'writer',
  'public',
  { task: 'text-generation', inputs: INPUTS, outputs: [], generation: { contextLength: 64, stopTokens: [END] } },
  { files: { 'tokenizer.json': wordsTokenizer() }, write: hi },
)

/** Sends what an origin may answer to it, and notes what it is asked. */
class Origin implements Placement {
  readonly admission = new BoundedAdmission({ slots: 8, bodyBytes: 1e6, leaseMs: 60_000, clock: new ManualClock() })
  readonly sent: { facts: RouteFacts; request: ForwardedRequest; body: unknown }[] = []
  edge: Runner | undefined
  answer: () => Response = () => Response.json({})

  async route(_model: unknown, facts: RouteFacts): Promise<Route> {
    const { edge } = this
    if (edge === undefined) throw new VergeError('internal', 'the test gave no edge')
    return {
      forward: true,
      fallback: false,
      send: async (request): Promise<ForwardedAnswer> => {
        const text = await new Response(request.body).text()
        this.sent.push({ facts, request, body: JSON.parse(text) as unknown })
        return { response: this.answer(), origin: 'fra', reason: 'asked-for', attempts: 1 }
      },
      giveUpOrigins: () => {},
      checkCost: (...args) => edge.checkCost(...args),
      prefetch: (...args) => edge.prefetch(...args),
      run: (...args) => edge.run(...args),
      generate: (...args) => edge.generate(...args),
    }
  }
  reaches = (): boolean => true
  explain = async (): Promise<unknown> => ({})
}

const NAMES = new Map([
  ['@cf/baai/bge-m3', 'vectors'],
  ['@cf/meta/llama-3.2-1b-instruct', 'writer'],
])
const AI = '/workers-ai/client/v4/accounts/any/ai'
const M3 = '@cf/baai/bge-m3'

function setUp(options: TestAppOptions & { readonly placement?: Origin } = {}) {
  const app = testApp({ models: [vectors, secret, raw, writer], addressing: { modelNames: NAMES }, ...options })
  if (options.placement !== undefined) options.placement.edge = app.serving
  const run = async (name: string, inputs: unknown, headers = {}) => {
    const response = await app.post(`${AI}/run/${name}`, inputs, headers)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return { ...app, run }
}

const result = (value: unknown) => ({ status: 200, body: { result: value, success: true, errors: [], messages: [] } })

describe('Workers AI', () => {
  it('runs a model by a name of the operator, with slashes as they are or encoded', async () => {
    const { run } = setUp()
    const expected = result({ shape: [1, 2], data: [[4, 1]], pooling: 'mean' })
    for (const name of [M3, encodeURIComponent(M3), 'vectors']) {
      expect(await run(name, { text: 'the first' }), name).toEqual(expected)
    }
  })

  it('embeds lists, contexts, queries and documents with their prompts', async () => {
    const { run } = setUp()
    const two = {
      shape: [2, 2],
      data: [
        [3, 1],
        [5, 1],
      ],
      pooling: 'mean',
    }
    expect(await run(M3, { text: ['ada', 'ada wrote to'], truncate_inputs: true })).toEqual(result(two))
    const contexts = [{ text: 'ada' }]
    expect(await run(M3, { contexts })).toEqual(result({ shape: [1, 2], response: [[3, 1]], pooling: 'mean' }))
    expect(await run(M3, { queries: 'ada' })).toEqual(result({ shape: [1, 2], data: [[4, 1]], pooling: 'mean' }))
    expect(await run(M3, { documents: ['ada'] })).toEqual(result({ shape: [1, 2], data: [[5, 1]], pooling: 'mean' }))
  })

  it('answers how near sentences are', async () => {
    const { run } = setUp()
    const { body } = await run(M3, { source: 'ada', sentences: ['ada', 'ada wrote to charles'] })
    // (3, 1) beside itself, and beside (6, 1).
    expect(body.result).toEqual([expect.closeTo(1, 6), expect.closeTo(19 / Math.sqrt(10 * 37), 6)])
  })

  it.each([
    [{ queries: 'a', documents: 'b' }, 'invalid_request'],
    [{ text: 'ada', contexts: [] }, 'invalid_request'],
    [{ contexts: [{ text: 1 }] }, 'invalid_request'],
    [{ query: 'ada', contexts: [{ text: 'ada' }], truncate_inputs: false }, 'invalid_request'],
    [{ query: 'ada', contexts: [{ text: 'ada' }], top_k: 0 }, 'invalid_request'],
    [{ text: [] }, 'invalid_request'],
    [{ text: 'ada', unheard: 1 }, 'invalid_request'],
    [{ text: new Array(3_000).fill('ada') }, 'input_too_large'],
    [{ requests: [{ text: 'ada' }] }, 'not_implemented'],
    ['{"text":', 'invalid_json'],
    ['', 'empty_input'],
    [[], 'invalid_request'],
  ])('refuses %j by the code and in the envelope of Cloudflare', async (inputs, code) => {
    const { run } = setUp()
    const { body, status } = await run(M3, inputs)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(body).toMatchObject({
      code,
      result: null,
      success: false,
      errors: [{ code: expect.any(Number), message: expect.stringMatching(/\.$/) }],
      messages: [],
    })
  })

  it.each([
    [M3, { text: ['ada', ''] }, 'text[1]'],
    [M3, { text: ' ' }, 'text'],
    [M3, { contexts: [{ text: 'ada' }, { text: '' }] }, 'contexts[1].text'],
    [M3, { documents: [''] }, 'documents[0]'],
    [M3, { queries: '' }, 'queries'],
    [M3, { source: '', sentences: ['ada'] }, 'source'],
    [M3, { source: 'ada', sentences: [''] }, 'sentences[0]'],
    [M3, { query: 'ada', contexts: [{ text: '' }] }, 'contexts[0].text'],
    [M3, { query: '', contexts: [{ text: 'ada' }] }, 'query'],
  ])('names the field that was sent: %s, %j', async (model, inputs, field) => {
    const { body } = await setUp().run(model, inputs)
    expect(body).toMatchObject({ field, errors: [{ message: expect.stringContaining(`"${field}"`) }] })
  })

  it('refuses models without a task, and those that the caller may not see', async () => {
    const { run } = setUp()
    expect(await run('raw', { text: 'ada' })).toMatchObject({ status: 400, body: { code: 'task_mismatch' } })
    expect(await run('secret', { text: 'ada' })).toMatchObject({ status: 400, body: { errors: [{ code: 5007 }] } })
    expect(await run('secret', { text: 'ada' }, OPERATOR)).toMatchObject({ body: { code: 'manifest_invalid' } })
    expect(await run('vectors', 'ada', { 'content-type': 'text/html' })).toMatchObject({ status: 415 })
  })

  it('finds models by names, tasks and pages', async () => {
    const { request } = setUp()
    const list = async (query: string) =>
      (await (await request(`${AI}/models/search?${query}`)).json()) as {
        result: { name: string }[]
        result_info: object
      }
    const names = async (query: string) => (await list(query)).result.map(({ name }) => name)
    expect(await names('')).toEqual(['raw', M3, 'vectors', '@cf/meta/llama-3.2-1b-instruct', 'writer'])
    expect(await names('task=text+embeddings')).toEqual([M3, 'vectors'])
    expect(await names('search=LLAMA')).toEqual(['@cf/meta/llama-3.2-1b-instruct'])
    expect(await names('author=baai')).toEqual([M3])
    expect(await names('page=2&per_page=2')).toEqual(['vectors', '@cf/meta/llama-3.2-1b-instruct'])
    expect((await list('per_page=2')).result_info).toEqual({ page: 1, per_page: 2, count: 2, total_count: 5 })
    expect((await request(`${AI}/models/search?page=0`)).status).toBe(400)
  })

  it('writes texts, and answers the paths of OpenAI in its shape', async () => {
    const { post, run } = setUp()
    const usage = { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 }
    expect(await run('writer', { prompt: 'so', max_tokens: 2 })).toEqual(result({ response: 'hi', usage }))
    const response = await post(`${AI}/run/writer`, { prompt: 'so', max_tokens: 2, stream: true })
    expect(await response.text()).toBe(
      `data: {"response":"h"}\n\ndata: {"response":"i"}\n\ndata: {"response":"","usage":${JSON.stringify(usage)}}\n\ndata: [DONE]\n\n`,
    )
    const named = await post(`${AI}/v1/completions`, {
      model: '@cf/meta/llama-3.2-1b-instruct',
      prompt: 'so',
      max_tokens: 2,
    })
    expect(await named.json()).toMatchObject({ object: 'text_completion', choices: [{ text: 'hi' }] })
    const absent = await post(`${AI}/v1/embeddings`, { model: 'absent', input: 'x' })
    expect(absent.status).toBe(404)
    expect(await absent.json()).toMatchObject({ error: { code: 'model_not_found', type: 'invalid_request_error' } })
  })
})

describe('an origin that answers Workers AI', () => {
  it('is asked for vectors in the words of OpenAI, where they say all', async () => {
    const placement = new Origin()
    const { run } = setUp({ placement })
    placement.answer = () =>
      Response.json({
        data: [
          { index: 1, embedding: [0, 2] },
          { index: 0, embedding: [1, 0] },
        ],
      })
    const answered = await run(M3, { text: ['ada', 'london'] })
    expect(answered).toEqual(
      result({
        shape: [2, 2],
        data: [
          [1, 0],
          [0, 2],
        ],
        pooling: 'mean',
      }),
    )
    const [sent] = placement.sent
    expect(sent?.request).toMatchObject({ route: 'openai', path: '/v1/embeddings', method: 'POST' })
    expect(sent?.facts.route).toBe('openai')
    expect(sent?.body).toEqual({ model: 'vectors', input: ['ada', 'london'] })
    // OpenAI's protocol has no word for it: the model's tensors are computed there at most.
    expect(await run(M3, { text: 'ada', truncate_inputs: false })).toMatchObject({
      body: { result: { data: [[3, 1]] } },
    })
    expect(placement.sent).toHaveLength(1)
  })

  it('has its refusal and its nonsense told in the envelope', async () => {
    const placement = new Origin()
    const { run } = setUp({ placement })
    placement.answer = () =>
      Response.json({ error: { message: 'The text is too long.', code: 'input_too_large' } }, { status: 413 })
    expect(await run(M3, { text: 'ada' })).toMatchObject({
      status: 413,
      body: { success: false, errors: [{ code: 3006, message: 'The text is too long.' }] },
    })
    placement.answer = () => Response.json({ data: 'none' })
    expect(await run(M3, { text: 'ada' })).toMatchObject({ status: 502, body: { code: 'origin_failed' } })
  })

  it('writes texts that come back in the words of Workers AI', async () => {
    const placement = new Origin()
    const { post, run } = setUp({ placement })
    const usage = { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 }
    placement.answer = () => Response.json({ choices: [{ index: 0, text: 'hello', finish_reason: 'stop' }], usage })
    expect(await run('writer', { prompt: 'so', seed: 1 })).toEqual(result({ response: 'hello', usage }))
    expect(placement.sent[0]?.body).toEqual({ model: 'writer', prompt: 'so', temperature: 0.6, top_p: 1, seed: 1 })
    const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`
    placement.answer = () =>
      new Response(
        `${event({ choices: [{ index: 0, text: 'he' }] })}${event({ choices: [{ index: 0, text: 'llo', finish_reason: 'stop' }] })}${event({ choices: [], usage })}data: [DONE]\n\n`,
        { headers: { 'content-type': 'text/event-stream' } },
      )
    const streamed = await post(`${AI}/run/writer`, { prompt: 'so', stream: true })
    expect(await streamed.text()).toBe(
      `data: {"response":"he"}\n\ndata: {"response":"llo"}\n\ndata: {"response":"","usage":${JSON.stringify(usage)}}\n\ndata: [DONE]\n\n`,
    )
  })
})
