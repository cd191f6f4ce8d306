import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack, packFolder } from '../../src/cli/pack/packer.ts'
import { expectLike } from '../fixtures/node/docs.ts'
import { passTo } from '../fixtures/node/faulty-origin.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { ORIGIN_KEY, type PlacedWorker, publishAs, startPlacedWorker } from '../fixtures/node/placed-worker.ts'
import { lexical, places, ranker, retriever, topics } from '../fixtures/node/text-protocols.ts'

/** Every protocol of texts over a live origin of our own: the same answers as at the edge, under the name that was asked for. */
const MODELS = { retriever, lexical, ranker, topics, places }

/** The operator's names: some are also words of paths. */
const NAMES: Readonly<Record<string, string>> = {
  model: 'retriever',
  t: 'retriever',
  embed: 'retriever',
  '@cf/baai/bge-m3': 'retriever',
}

let worker: PlacedWorker
let origin: OriginProcess
let scratch: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-protocols-'))
  const vars = {
    MODEL_NAMES: Object.entries(NAMES)
      .map((entry) => entry.join('='))
      .join(','),
    DEFAULT_PROTOCOL: 'tei',
    DEFAULT_MODEL: 'retriever',
  }
  worker = await startPlacedWorker([{ name: 'verge', models: [...Object.keys(MODELS), 'abacus', 'loose'] }], vars)
  for (const [name, make] of Object.entries(MODELS)) {
    const { files, settings } = await make()
    const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
    const common = { name, version: '1', visibility: 'public', licence: 'Apache-2.0', artifacts }
    const packed = await pack(descriptionSchema.parse({ ...common, ...settings }), '.', files)
    await publishAs(worker.writer, packed, name, { placement: 'origin' })
    await publishAs(worker.writer, packed, `here-${name}`)
    if (name !== 'retriever') continue
    const embedding = { pooling: 'mean' as const, normalize: false }
    await publishAs(worker.writer, packed, 'loose', { placement: 'origin', embedding })
    await publishAs(worker.writer, packed, 'here-loose', { embedding })
  }
  const abacus = await packFolder(join(ROOT, 'models/abacus'))
  await publishAs(worker.writer, abacus, 'abacus', { placement: 'origin' })
  await publishAs(worker.writer, abacus, 'here-abacus', { placement: 'edge' })
  origin = await startOriginProcess({ from: worker.url, cache: join(scratch, 'cache'), keys: [ORIGIN_KEY], args: [] })
  await origin.logged('origin_ready')
  worker.front('verge').behave(passTo(origin.url))
})
afterAll(async () => {
  await worker?.dispose()
  await origin?.stop()
  await rm(scratch, { recursive: true, force: true })
})

interface Answer {
  readonly status: number
  readonly place: string
  readonly text: string
}

async function ask(path: string, body: object): Promise<Answer> {
  const response = await fetch(worker.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const place = /^\w+/.exec(response.headers.get('verge-placement') ?? '')?.[0] ?? ''
  return { status: response.status, place, text: await response.text() }
}

/** Without what each answer has of its own. */
function comparable({ text }: Answer, name: string): unknown {
  const own = ['id', 'created', 'total_duration', 'system_fingerprint']
  return JSON.parse(text.replaceAll(`here-${name}`, name), (key, value: unknown) => (own.includes(key) ? '...' : value))
}

/** How far two engines may be from each other, whose sums have other orders: of vectors of length 1, and of int8 one step. */
const TOLERANCE = 0.001
const ONE_STEP = 1.5

const CHAT = [{ role: 'user', content: 'What is 27 plus 58?' }]
const TEXTS = ['How do I pay?', 'By card.']

describe('an origin of our own answers as the edge does', () => {
  it.each([
    ['tei', 'retriever', '/tei/NAME/embed', { inputs: TEXTS }],
    ['tei', 'retriever', '/tei/NAME/embed_all', { inputs: 'How do I pay?' }],
    ['tei', 'lexical', '/tei/NAME/embed_sparse', { inputs: TEXTS }],
    ['tei', 'ranker', '/tei/NAME/rerank', { query: 'the first program', texts: ['music', 'program'] }],
    ['tei', 'topics', '/tei/NAME/predict', { inputs: 'the first program' }],
    ['tei', 'retriever', '/tei/NAME/similarity', { inputs: { source_sentence: 'a', sentences: TEXTS } }],
    ['tei', 'retriever', '/tei/NAME/tokenize', { inputs: 'How do I pay?' }],
    ['tei', 'retriever', '/tei/NAME/v1/embeddings', { input: TEXTS, model: 'any' }],
    ['cohere', 'retriever', '/cohere/v2/embed', { texts: TEXTS, input_type: 'search_query' }],
    ['cohere', 'retriever', '/cohere/v1/embed', { texts: TEXTS }],
    ['cohere', 'ranker', '/cohere/v2/rerank', { query: 'the first program', documents: ['music', 'program'] }],
    ['cohere', 'retriever', '/cohere/v1/tokenize', { text: 'How do I pay?' }],
    ['jina', 'retriever', '/jina/v1/embeddings', { input: TEXTS, task: 'retrieval.query' }],
    ['jina', 'retriever', '/jina/v1/embeddings', { input: TEXTS, late_chunking: true }],
    ['jina', 'ranker', '/jina/v1/rerank', { query: 'the first program', documents: ['music', 'program'] }],
    ['jina', 'retriever', '/jina/v1/classify', { input: TEXTS, labels: ['money', 'food'] }],
    ['vllm', 'retriever', '/vllm/pooling', { input: TEXTS }],
    ['vllm', 'retriever', '/vllm/v1/embeddings', { input: TEXTS }],
    ['vllm', 'ranker', '/vllm/score', { text_1: 'the first program', text_2: ['music', 'program'] }],
    ['vllm', 'topics', '/vllm/classify', { input: TEXTS }],
    ['ollama', 'retriever', '/ollama/api/embed', { input: TEXTS }],
    ['ollama', 'retriever', '/ollama/api/embed', { input: TEXTS, truncate: false }],
    ['ollama', 'loose', '/ollama/api/embed', { input: TEXTS }],
    ['ollama', 'loose', '/ollama/api/embed', { input: TEXTS, dimensions: 8 }],
    ['openai', 'loose', '/openai/v1/embeddings', { input: TEXTS }],
    ['openai', 'retriever', '/openai/v1/embeddings', { input: TEXTS, kinds: ['dense', 'tokens'] }],
    ['openai', 'retriever', '/openai/v1/embeddings', { input: TEXTS, encoding_format: 'int8' }],
    ['huggingface', 'retriever', '/huggingface/models/NAME', { inputs: TEXTS }],
    ['workers-ai', 'retriever', '/client/v4/accounts/a/ai/run/NAME', { text: TEXTS }],
    ['workers-ai', 'topics', '/client/v4/accounts/a/ai/run/NAME', { text: 'the first program' }],
    [
      'workers-ai',
      'ranker',
      '/workers-ai/client/v4/accounts/a/ai/run/NAME',
      { query: 'the first program', contexts: [{ text: 'music' }, { text: 'program' }] },
    ],
    ['workers-ai', 'abacus', '/client/v4/accounts/a/ai/run/NAME', { messages: CHAT, temperature: 0.01 }],
    ['verge', 'retriever', '/run/NAME', { inputs: TEXTS }],
    ['vllm', 'abacus', '/vllm/v1/chat/completions', { messages: CHAT, temperature: 0 }],
  ] as const)('%s: %s, %s', async (_, name, path, body) => {
    const named = (model: string): [string, object] =>
      path.includes('NAME') ? [path.replace('NAME', model), body] : [path, { ...body, model }]
    const here = await ask(...named(`here-${name}`))
    const there = await ask(...named(name))
    expect([here.status, there.status], `${here.text}\n${there.text}`).toEqual([200, 200])
    // Texts are cut into tokens without a run, of which there is then no place.
    expect(here.place).toBe(path.endsWith('tokenize') ? '' : 'edge')
    expect(there.place).toBe('origin')
    const tolerance = 'encoding_format' in body ? ONE_STEP : TOLERANCE
    expectLike(comparable(there, name), comparable(here, name), tolerance)
  })

  it.each([
    '/tei/NAME/embed',
    '/tei/NAME/v1/embeddings',
    '/models/NAME',
    '/huggingface/models/NAME',
    '/run/NAME',
    '/verge/run/NAME',
  ])('by each of the operator’s names in %s', async (path) => {
    const body = path.endsWith('embeddings') ? { input: TEXTS } : { inputs: TEXTS }
    for (const name of Object.keys(NAMES)) {
      const answer = await ask(path.replace('NAME', encodeURIComponent(name)), body)
      expect([name, answer.status, answer.place], answer.text).toEqual([name, 200, 'origin'])
    }
  })

  it('where the path names no model', async () => {
    const { place, text } = await ask('/embed', { inputs: TEXTS })
    expect([place, (JSON.parse(text) as unknown[]).length]).toEqual(['origin', 2])
  })

  it.each([
    ['/client/v4/accounts/a/ai/run/NAME', { messages: CHAT, temperature: 0.01, stream: true }],
    ['/vllm/v1/chat/completions', { model: 'NAME', messages: CHAT, temperature: 0, stream: true }],
    ['/ollama/api/chat', { model: 'NAME', messages: CHAT, options: { temperature: 0 } }],
    ['/v2/models/NAME/generate_stream', { text_input: '27 plus 58 is', temperature: 0 }],
    ['/v1/responses', { model: 'NAME', input: CHAT, temperature: 0, stream: true }],
    ['/anthropic/v1/messages', { model: 'NAME', max_tokens: 50, messages: CHAT, temperature: 0, stream: true }],
  ] as const)('streams by %s', async (path, body) => {
    const [here, there] = await Promise.all(
      ['here-abacus', 'abacus'].map((name) =>
        ask(path.replace('NAME', name), 'model' in body ? { ...body, model: name } : body),
      ),
    )
    expect([here?.status, there?.status]).toEqual([200, 200])
    expect([here?.place, there?.place]).toEqual(['edge', 'origin'])
    const written = (answer: Answer | undefined) =>
      [...(answer?.text ?? '').matchAll(/"(?:response|content|text_output|delta|text)":"([^"]*)"/g)]
        .map(([, text]) => text)
        .join('')
    expect(written(there)).toMatch(/85/)
    expect(written(there)).toBe(written(here))
  })
})

describe('what an origin refuses', () => {
  it.each([
    ['/tei/retriever/embed', { inputs: 'word '.repeat(400) }, 422, { error_type: 'Validation' }],
    ['/tei/retriever/embed', { inputs: 'a', prompt_name: 'absent' }, 422, { error_type: 'Validation' }],
    [
      '/cohere/v2/embed',
      { model: 'retriever', texts: [], input_type: 'search_query' },
      400,
      { message: expect.any(String) },
    ],
    ['/jina/v1/embeddings', { model: 'retriever', input: 5 }, 422, { detail: expect.any(String) }],
    ['/vllm/pooling', { model: 'retriever', input: 'word '.repeat(400) }, 400, { error: { code: 400 } }],
    ['/ollama/api/embed', { model: 'retriever', input: 'a', dimensions: 100_000 }, 400, { error: expect.any(String) }],
    ['/client/v4/accounts/a/ai/run/retriever', { text: [] }, 400, { success: false }],
  ] as const)('%s has the shape of the protocol', async (path, body, status, shape) => {
    const answer = await ask(path, body)
    expect([answer.status, JSON.parse(answer.text)]).toEqual([status, expect.objectContaining({})])
    expect(JSON.parse(answer.text)).toMatchObject(shape)
  })
})
