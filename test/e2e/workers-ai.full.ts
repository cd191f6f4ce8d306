import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Cloudflare from 'cloudflare'
import { build } from 'esbuild'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { type BesideWorker, WORKER_NAME } from '../../src/cli/local/workerd.ts'
import { faceModel } from '../fixtures/docs-models.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { readPicture } from '../fixtures/node/pictures.ts'
import { judgeModel } from '../fixtures/text-models.ts'

const KEY = 'a-key-for-workers-ai-0123456789'
const NAMES = {
  '@cf/baai/bge-base-en-v1.5': 'vectors',
  '@cf/baai/bge-m3': 'vectors',
  '@cf/baai/bge-reranker-base': 'cross',
  '@cf/huggingface/distilbert-sst-2-int8': 'reviews',
  '@cf/microsoft/resnet-50': 'digits',
  '@cf/facebook/detr-resnet-50': 'faces',
  '@cf/meta/llama-3.2-1b-instruct': 'abacus',
}
const SEVEN = [...readFileSync(join(ROOT, 'models/digits/samples/seven.png'))]

let docs: DocsWorker
let rest: Cloudflare

async function caller(name: string, props?: Record<string, unknown>): Promise<BesideWorker> {
  const entry = join(ROOT, 'test/fixtures/workers-ai-caller.ts')
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: 'esm', write: false })
  return {
    name,
    script: outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-10-23',
    compatibilityFlags: ['enable_abortsignal_rpc'],
    serviceBindings: { AI: { name: WORKER_NAME, entrypoint: 'WorkersAi', ...(props && { props }) } },
  }
}

beforeAll(async () => {
  const table = Object.entries(NAMES).map(([name, model]) => `${name}=${model}`)
  docs = await startDocsWorker({ VERGE_API_KEY: KEY, RPC_CALLERS: 'shop', MODEL_NAMES: table.join(', ') }, [
    await caller('stranger'),
    await caller('shop', { caller: 'shop' }),
  ])
  const settings = (name: string) => readFileSync(join(ROOT, 'models', name, 'verge.json'), 'utf8')
  for (const name of ['digits', 'reviews', 'abacus']) await docs.publish(settings(name), join(ROOT, 'models', name))
  await docs.publish(settings('reviews'), join(ROOT, 'models/reviews'), { name: 'secret', visibility: 'private' })
  const shape = { layers: 1, hidden: 32, heads: 4, ffn: 64, vocabulary: 6_946, positions: 256 }
  const embedding = {
    name: 'vectors',
    task: 'feature-extraction',
    tokenizer: 'tokenizer.json',
    preprocess: { text: { maxTokens: 64 }, embedding: { pooling: 'mean', normalize: true } },
  }
  await docs.publish(embedding, encoderModel(shape, 'fp32'))
  await docs.publish(
    { name: 'cross', task: 'text-ranking', tokenizer: 'tokenizer.json' },
    judgeModel(1, { first: [3], london: [-2] }),
  )
  await docs.publish(
    {
      name: 'faces',
      task: 'object-detection',
      labels: ['background', 'face'],
      preprocess: {
        image: { mode: 'RGB', size: [240, 320], fit: 'stretch', rescale: 1, mean: [127], std: [128] },
      },
      postprocess: {
        detection: { head: 'ssd', units: 'relative', background: 0, threshold: 0.7, iou: 0.5 },
      },
    },
    faceModel(),
  )
  rest = new Cloudflare({
    apiToken: 'any-token-0123456789',
    baseURL: `${docs.worker.url}/workers-ai/client/v4`,
    maxRetries: 0,
  })
})
afterAll(() => docs?.dispose())

interface Reply {
  readonly answer?: unknown
  readonly thrown?: Readonly<Record<string, unknown>>
}

async function binding(call: string, asked: object = {}, from = 'stranger'): Promise<Reply> {
  const worker = await docs.worker.miniflare.getWorker(from)
  const body = JSON.stringify({ call, picture: SEVEN, ...asked })
  return (await (await worker.fetch('http://caller/', { method: 'POST', body })).json()) as Reply
}

async function verge(path: string, body: object): Promise<unknown> {
  return docs.post(path, JSON.stringify(body))
}

/** Numbers of a vector from two paths, which are the same. */
const texts = ['Refunds take a week.', 'Our shops open at nine.']

describe('a Worker that was written for Workers AI, with its binding changed', () => {
  it('embeds texts, and gets what /run answers in the shape of Workers AI', async () => {
    const data = await verge('/run/vectors', { inputs: texts })
    expect(await binding('vectors')).toEqual({ answer: { shape: [2, 32], data, pooling: 'mean' } })
    expect(await binding('vector')).toEqual({ answer: [[1, 32], 1, 'mean'] })
  })

  it('asks bge-m3 for contexts near a query, and for their vectors', async () => {
    const { answer } = await binding('nearest')
    const { results } = (await verge('/rerank', {
      model: 'vectors',
      query: 'How long does a refund take?',
      documents: ['Our shops open at nine.', 'A refund takes a week.'],
    })) as { results: { index: number; relevance_score: number }[] }
    expect(answer).toEqual({ response: results.map(({ index: id, relevance_score: score }) => ({ id, score })) })
    const response = await verge('/run/vectors', { inputs: [texts[1]] })
    expect(await binding('contexts')).toEqual({ answer: { shape: [1, 32], response, pooling: 'mean' } })
  })

  it('ranks contexts', async () => {
    const { answer } = await binding('ranked')
    // "first" scores 3, once among eleven tokens of which those of the second text count twice.
    const score = 1 / (1 + Math.exp(-6 / 11))
    expect(answer).toEqual({ response: [{ id: 1, score: expect.closeTo(score, 6) }] })
  })

  it('classifies texts and pictures, and finds things in them', async () => {
    const inputs = 'A quiet film that stays with you.'
    expect(await binding('sentiment')).toEqual({ answer: await verge('/run/reviews', { inputs }) })
    const { answer } = await binding('picture')
    expect(answer).toHaveLength(5)
    expect(answer).toMatchObject([{ label: '7', score: expect.closeTo(1, 1) }, {}, {}, {}, {}])
    const { width, height } = await readPicture(join(ROOT, 'models/digits/samples/seven.png'))
    expect(await binding('objects')).toEqual({
      answer: [
        {
          label: 'face',
          score: expect.closeTo(0.99, 5),
          box: { xmin: width / 4, ymin: height / 4, xmax: width / 2, ymax: (height / 4) * 3 },
        },
      ],
    })
  })

  it('writes texts, whole and as events', async () => {
    const usage = {
      prompt_tokens: expect.any(Number),
      completion_tokens: expect.any(Number),
      total_tokens: expect.any(Number),
    }
    const chat = await binding('chat')
    expect(chat).toEqual({ answer: { response: expect.stringContaining('85'), usage } })
    const { response } = chat.answer as { response: string }
    // A prompt is a question of the user's, as Workers AI has it.
    expect(await binding('prompt')).toEqual(chat)
    const events = String((await binding('events')).answer)
    const parts = events.split('\n\n').filter((part) => part !== '')
    expect(parts.at(-1)).toBe('data: [DONE]')
    const data = parts
      .slice(0, -1)
      .map((part) => JSON.parse(part.replace('data: ', '')) as { response: string; usage?: object })
    expect(data.map((part) => part.response).join('')).toBe(response)
    expect(data.length).toBeGreaterThan(3)
    expect(data.at(-1)).toEqual({ response: '', usage })
    expect(data.slice(0, -1).every((part) => part.usage === undefined)).toBe(true)
    expect((await binding('left')).answer).toMatch(/^data: \{"response":"/)
  })

  it('gets a Response where it asks for one', async () => {
    const body = await verge('/run/reviews', { inputs: 'A waste of an evening.' })
    expect(await binding('raw')).toEqual({ answer: { status: 200, type: 'application/json', body } })
    expect(await binding('rawFailure')).toMatchObject({
      answer: {
        status: 400,
        body: { internalCode: 5006, name: 'AiError', description: expect.stringContaining('empty') },
      },
    })
  })

  it('lists models by the names that it knows', async () => {
    const { answer } = await binding('models')
    const names = (answer as { name: string; task: object }[]).map(({ name }) => name)
    expect(names.sort()).toEqual(['@cf/baai/bge-base-en-v1.5', '@cf/baai/bge-m3', 'vectors'])
    expect(answer).toMatchObject([{ source: 1, task: { id: 'feature-extraction', name: 'Text Embeddings' } }, {}, {}])
    expect(await binding('log')).toEqual({ answer: null })
  })

  it('may send options that change no answer', async () => {
    const answer = await verge('/run/reviews', { inputs: 'A waste of an evening.' })
    expect(await binding('gateway')).toEqual({ answer })
    expect(await binding('own')).toEqual({ answer })
  })

  it('may run what its binding and its key may', async () => {
    const refused = { name: 'AiError', isError: true, code: 'model_not_found', internalCode: 5007 }
    expect((await binding('secret')).thrown).toMatchObject(refused)
    expect((await binding('secretWithKey', { key: 'another-key-0123456789' })).thrown).toMatchObject({
      code: 'unauthorized',
      internalCode: 10000,
    })
    const answer = await verge('/run/reviews', { inputs: 'A waste of an evening.' })
    expect(await binding('secretWithKey', { key: KEY })).toEqual({ answer })
    expect(await binding('secret', {}, 'shop')).toEqual({ answer })
  })

  it.each([
    ['an unknown model', '@cf/meta/absent', { text: 'x' }, 5007, 'model_not_found', /^5007: There is no model/],
    ['no inputs', 'reviews', null, 5006, 'invalid_request', /^5006: /],
    [
      'inputs of another task',
      'reviews',
      { prompt: 'x' },
      5006,
      'invalid_request',
      /"text": nothing was sent, but a string is needed/,
    ],
    ['an empty text', 'vectors', { text: [''] }, 5006, 'empty_input', /The text is empty/],
    ['another pooling', 'vectors', { text: 'x', pooling: 'cls' }, 5006, 'invalid_request', /pools by "mean"/],
    ['a batch', 'vectors', { requests: [{ text: 'x' }] }, 3043, 'not_implemented', /Send the requests one by one/],
    ['a picture of no bytes', 'digits', { image: [] }, 5006, 'empty_input', /no image/],
    ['a picture of words', 'digits', { image: ['a'] }, 5006, 'invalid_request', /"image\[0\]": a byte from 0 to 255/],
    ['a picture that is none', 'digits', { image: [1, 2, 3] }, 5006, 'invalid_image', /5006/],
    [
      'prompt and messages',
      'abacus',
      { prompt: 'x', messages: [{ role: 'user', content: 'x' }] },
      5006,
      'invalid_request',
      /either "prompt" or "messages"/,
    ],
    ['tools', 'abacus', { prompt: 'x', tools: [{ name: 'x' }] }, 5006, 'invalid_request', /"tools": is not supported/],
    ['an adapter', 'abacus', { prompt: 'x', lora: 'x' }, 5006, 'invalid_request', /"lora": is not supported/],
    [
      'a schema of answers',
      'abacus',
      { prompt: 'x', response_format: { type: 'json_schema' } },
      5006,
      'invalid_request',
      /only "text" is supported/,
    ],
    [
      'a text that is too long',
      'abacus',
      { prompt: 'x'.repeat(100_000) },
      5006,
      'context_length_exceeded',
      /context length/,
    ],
  ] as const)('is told of %s by AiError', async (_, model, inputs, internalCode, code, message) => {
    expect((await binding('any', { model, inputs })).thrown).toMatchObject({
      name: 'AiError',
      isError: true,
      internalCode,
      code,
      message: expect.stringMatching(message),
      requestId: expect.stringMatching(/./),
    })
  })

  it.each([
    [{ queueRequest: true }, /"queueRequest": is not supported: send the requests one by one/],
    [{ websocket: true }, /"websocket": is not supported/],
    [{ unheard: 1 }, /there is no field "unheard"/],
  ])('is told that an option is not there: %o', async (options, message) => {
    const { thrown } = await binding('any', { model: 'reviews', inputs: { text: 'x' }, options })
    expect(thrown).toMatchObject({ internalCode: 5006, message: expect.stringMatching(message) })
  })

  it('ends a call by its signal', async () => {
    expect((await binding('ended')).thrown).toMatchObject({ isError: true })
  })
})

describe('the REST paths, by the client of Cloudflare', () => {
  const account_id = '0123456789abcdef0123456789abcdef'

  it('run models by their names', async () => {
    const data = await verge('/run/vectors', { inputs: texts })
    expect(await rest.ai.run('@cf/baai/bge-base-en-v1.5', { account_id, text: texts })).toEqual({
      shape: [2, 32],
      data,
      pooling: 'mean',
    })
    const answer = await verge('/run/reviews', { inputs: 'A waste of an evening.' })
    expect(await rest.ai.run('reviews', { account_id, text: 'A waste of an evening.' })).toEqual(answer)
    const picture = await rest.ai.run('@cf/microsoft/resnet-50', { account_id, image: SEVEN })
    expect(picture).toMatchObject([{ label: '7' }, {}, {}, {}, {}])
    expect(
      await rest.ai.run('@cf/meta/llama-3.2-1b-instruct', {
        account_id,
        prompt: 'What is 27 plus 58?',
        temperature: 0,
        max_tokens: 24,
      }),
    ).toMatchObject({ response: expect.stringContaining('85') })
  })

  it('list models', async () => {
    const names: string[] = []
    for await (const model of rest.ai.models.list({ account_id, search: 'bge', per_page: 1 })) {
      names.push(String((model as { name: string }).name))
    }
    expect(names.sort()).toEqual(['@cf/baai/bge-base-en-v1.5', '@cf/baai/bge-m3', '@cf/baai/bge-reranker-base'])
  })

  it('fail as Cloudflare does', async () => {
    const known = new Cloudflare({ apiToken: KEY, baseURL: rest.baseURL, maxRetries: 0 })
    const absent = await known.ai.run('@cf/meta/absent', { account_id, text: 'x' }).catch((error: unknown) => error)
    expect(absent).toBeInstanceOf(Cloudflare.BadRequestError)
    expect(absent).toMatchObject({
      status: 400,
      errors: [{ code: 5007, message: expect.stringContaining('no model') }],
    })
    const wrong = await rest.ai.run('reviews', { account_id, prompt: 'x' }).catch((error: unknown) => error)
    expect(wrong).toMatchObject({ status: 400, errors: [{ code: 5006 }] })
    const secret = await rest.ai.run('secret', { account_id, text: 'x' }).catch((error: unknown) => error)
    expect(secret).toBeInstanceOf(Cloudflare.AuthenticationError)
    expect(secret).toMatchObject({ errors: [{ code: 10000 }] })
  })

  it('take the bytes of a picture, and stream', async () => {
    const at = `${docs.worker.url}/client/v4/accounts/${account_id}/ai/run`
    const seven = await fetch(`${at}/@cf/microsoft/resnet-50`, {
      method: 'POST',
      body: Uint8Array.from(SEVEN),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect(await seven.json()).toMatchObject({
      result: [{ label: '7' }, {}, {}, {}, {}],
      success: true,
      errors: [],
      messages: [],
    })
    const stream = await fetch(`${at}/@cf/meta/llama-3.2-1b-instruct`, {
      method: 'POST',
      body: JSON.stringify({ prompt: 'What is 27 plus 58?', stream: true }),
      headers: { 'content-type': 'application/json' },
    })
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(await stream.text()).toMatch(/^data: \{"response":"[\s\S]*data: \[DONE\]\n\n$/)
  })

  it("answer OpenAI's client", async () => {
    const baseURL = `${docs.worker.url}/workers-ai/client/v4/accounts/${account_id}/ai/v1`
    const openai = new OpenAI({ apiKey: KEY, baseURL, maxRetries: 0 })
    const { data } = await openai.embeddings.create({
      model: '@cf/baai/bge-m3',
      input: texts,
      encoding_format: 'float',
    })
    expect(data.map(({ embedding }) => embedding)).toEqual(await verge('/run/vectors', { inputs: texts }))
    const chat = await openai.chat.completions.create({
      model: '@cf/meta/llama-3.2-1b-instruct',
      messages: [{ role: 'user', content: 'What is 27 plus 58?' }],
      temperature: 0,
    })
    expect(chat.choices[0]?.message.content).toContain('85')
    const wrong = await openai.embeddings.create({ model: '@cf/absent', input: 'x' }).catch((error: unknown) => error)
    expect(wrong).toMatchObject({ status: 404, code: 'model_not_found' })
  })
})
