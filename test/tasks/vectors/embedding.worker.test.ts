import { describe, expect, it, vi } from 'vitest'
import type { EmbeddingSettings } from '../../../src/catalog/settings/embedding.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { batchesOf } from '../../../src/tasks/text/batches.ts'
import { cosine, normalizeVector, poolTokens } from '../../../src/tasks/vectors/pooling.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'
import { bareTokenizer, bertTokenizer, VOCABULARY } from '../../fixtures/http-tokenizer.ts'

const { a, good, bad, film } = VOCABULARY
const CLS = VOCABULARY['[CLS]']
const SEP = VOCABULARY['[SEP]']
const ids = ['input_ids', 'attention_mask', 'token_type_ids']
const rank2 = (names: readonly string[]) =>
  names.map((name) => ({ name, datatype: 'INT64' as const, shape: ['batch', 'length'] }))

/** Token vectors [id, -id, id squared / 10]; those of masked places are large, so that none may slip in. */
function hidden(inputs: Tensors): Tensors {
  const tokens = inputs.get('input_ids')
  const mask = inputs.get('attention_mask')
  if (tokens?.datatype !== 'INT64') throw new Error('no ids')
  const vectors = Float32Array.from(
    [...tokens.data].flatMap((id, i) => vectorOf(mask?.data[i] === 0n ? 1e6 : Number(id))),
  )
  return new Map([['last_hidden_state', tensor('FP32', [...tokens.shape, 3], vectors)]])
}
const vectorOf = (id: number): number[] => [id, -id, id ** 2 / 10]

const embedder = (name: string, embedding?: Partial<EmbeddingSettings>, more = {}, file = bertTokenizer()) =>
  testModel(
    name,
    'public',
    {
      task: 'feature-extraction',
      text: { maxTokens: 8 },
      ...(embedding && { embedding: { pooling: 'mean', normalize: false, ...embedding } }),
      inputs: rank2(ids),
      outputs: [{ name: 'last_hidden_state', datatype: 'FP32', shape: ['batch', 'length', 3] }],
      ...more,
    },
    { compute: hidden, files: { 'tokenizer.json': file } },
  )

/** A tokenizer that knows small letters alone, and makes none. */
function casedTokenizer(): Uint8Array {
  const file = JSON.parse(new TextDecoder().decode(bertTokenizer()))
  return new TextEncoder().encode(JSON.stringify({ ...file, normalizer: null }))
}

/** A cross-encoder: a pair's score is how many more "good" than "bad" its second text has. */
function agreement(inputs: Tensors): Tensors {
  const tokens = inputs.get('input_ids')
  const types = inputs.get('token_type_ids')
  if (tokens?.datatype !== 'INT64' || types?.datatype !== 'INT64') throw new Error('no ids')
  const [rows = 0, length = 0] = tokens.shape
  const scores = new Float32Array(rows)
  for (const [i, id] of tokens.data.entries()) {
    const row = Math.floor(i / length)
    if (types.data[i] === 1n)
      scores[row] = (scores[row] ?? 0) + Number(id === BigInt(good)) - Number(id === BigInt(bad))
  }
  return new Map([['logits', tensor('FP32', [rows, 1], scores)]])
}

/** One vector a text, as sentence-transformers' exports have it: the number of its tokens, and their sum. */
function sums(inputs: Tensors): Tensors {
  const tokens = inputs.get('input_ids')
  if (tokens?.datatype !== 'INT64') throw new Error('no ids')
  const [rows = 0, length = 0] = tokens.shape
  const vectors = new Float32Array(2 * rows)
  for (const [i, id] of tokens.data.entries()) {
    const row = Math.floor(i / length)
    vectors[2 * row] = (vectors[2 * row] ?? 0) + Number(id > 0n)
    vectors[2 * row + 1] = (vectors[2 * row + 1] ?? 0) + Number(id)
  }
  return new Map([['sentence_embedding', tensor('FP32', [rows, 2], vectors)]])
}

const cross = testModel(
  'cross',
  'public',
  {
    task: 'text-ranking',
    text: { maxTokens: 16 },
    inputs: rank2(ids),
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 1] }],
  },
  { compute: agreement, files: { 'tokenizer.json': bertTokenizer() } },
)
const pooled = testModel(
  'pooled',
  'public',
  {
    task: 'sentence-similarity',
    embedding: { pooling: 'mean', normalize: false, dropUnknown: true },
    inputs: rank2(['input_ids', 'attention_mask']),
    outputs: [{ name: 'sentence_embedding', datatype: 'FP32', shape: ['batch', 2] }],
  },
  { compute: sums, files: { 'tokenizer.json': bareTokenizer() } },
)
const secret = { ...embedder('secret'), alias: { ...embedder('secret').alias, visibility: 'private' as const } }
const prompts = { query: 'good ', passage: 'bad ' }
const critic = testModel(
  'critic',
  'public',
  {
    task: 'text-classification',
    labels: ['low', 'high'],
    activation: 'none',
    inputs: rank2(['input_ids', 'attention_mask']),
    outputs: [{ name: 'scores', datatype: 'FP32', shape: ['batch', 2] }],
  },
  {
    compute: (inputs) => {
      const rows = inputs.get('input_ids')?.shape[0] ?? 0
      return new Map([['scores', tensor('FP32', [rows, 2], new Float32Array(2 * rows).fill(0.5))]])
    },
    files: { 'tokenizer.json': bertTokenizer() },
  },
)
const { post, serving, request } = testApp({
  models: [
    embedder('mean', {}),
    embedder('cls', { pooling: 'cls' }),
    embedder('last', { pooling: 'last' }),
    embedder('max', { pooling: 'max' }),
    embedder('tokens', { pooling: 'none' }),
    embedder('unit'),
    embedder('nested', { dimensions: [2] }),
    embedder('prompted', { prompts, defaultPrompt: 'passage' }),
    embedder('uncounted', { prompts, defaultPrompt: 'passage', includePrompt: false }),
    embedder('uncounted-max', { pooling: 'max', prompts, defaultPrompt: 'passage', includePrompt: false }),
    embedder('lower', { lowercase: true }, {}, casedTokenizer()),
    embedder('unmasked', {}, { inputs: rank2(['input_ids']) }),
    embedder('one', {}, { inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [1, 'length'] }] }),
    embedder('misnamed', { output: 'nothing' }),
    embedder('misprompted', { defaultPrompt: 'query' }),
    cross,
    pooled,
    secret,
    critic,
  ],
})

const meanOf = (...tokens: number[]): number[] =>
  [0, 1, 2].map((i) => tokens.reduce((sum, id) => sum + (vectorOf(id)[i] ?? 0), 0) / tokens.length)
const near = (vector: readonly number[]) => vector.map((value) => expect.closeTo(value, 4))
const vectorsOf = async (response: Promise<Response>): Promise<number[][]> => (await response).json()

describe('pooling', () => {
  // Two tokens of three dimensions, then padding.
  const tokens = Float32Array.of(1, -2, 3, 5, -6, -7, 99, 99, 99)

  it("takes the text's own tokens alone", () => {
    expect([...poolTokens(tokens, 2, 3, 'mean')]).toEqual([3, -4, -2])
    expect([...poolTokens(tokens, 2, 3, 'cls')]).toEqual([1, -2, 3])
    expect([...poolTokens(tokens, 2, 3, 'last')]).toEqual([5, -6, -7])
    expect([...poolTokens(tokens, 2, 3, 'max')]).toEqual([5, -2, 3])
  })

  it('brings vectors to length 1, and leaves the zero vector', () => {
    expect([...normalizeVector(Float32Array.of(3, 4))]).toEqual([Math.fround(0.6), Math.fround(0.8)])
    expect([...normalizeVector(new Float32Array(2))]).toEqual([0, 0])
  })

  it('compares directions', () => {
    expect(cosine(Float32Array.of(1, 2), Float32Array.of(2, 4))).toBeCloseTo(1, 12)
    expect(cosine(Float32Array.of(1, 0), Float32Array.of(0, 5))).toBe(0)
    expect(cosine(Float32Array.of(1, 0), Float32Array.of(-3, 0))).toBe(-1)
    expect(cosine(Float32Array.of(1, 0), Float32Array.of(0, 0))).toBe(0)
  })
})

describe('a prompt that does not count', () => {
  it('is read with the text, and takes no part in the mean or in the greatest values', async () => {
    // "bad " stands in front of each text; sentence-transformers leaves out its tokens and the special one before them.
    expect(await vectorsOf(post('/run/uncounted', { inputs: ['a film', 'good'] }))).toEqual([
      near(meanOf(a, film, SEP)),
      near(meanOf(good, SEP)),
    ])
    expect(await vectorsOf(post('/run/uncounted-max', { inputs: 'a' }))).toEqual(near([a, -SEP, a ** 2 / 10]))
    expect(await vectorsOf(post('/run/prompted', { inputs: 'a film' }))).toEqual(near(meanOf(CLS, bad, a, film, SEP)))
  })

  it('leaves zeros where it fills the whole text', () => {
    expect([...poolTokens(Float32Array.of(1, 2, 3, 4), 2, 2, 'mean', 2)]).toEqual([0, 0])
    expect([...poolTokens(Float32Array.of(1, 2, 3, 4), 2, 2, 'max', 2)]).toEqual([3, 4])
  })
})

it('makes texts lower case where the model was trained so', async () => {
  expect(await vectorsOf(post('/run/lower', { inputs: 'A GOOD Film' }))).toEqual(near(meanOf(CLS, a, good, film, SEP)))
})

it('cuts the end that a request asks for', async () => {
  const inputs = 'good good good good good good a film bad'
  expect(await vectorsOf(post('/run/mean', { inputs }))).toEqual(
    near(meanOf(CLS, good, good, good, good, good, good, SEP)),
  )
  expect(await vectorsOf(post('/run/mean', { inputs, truncation_direction: 'Left' }))).toEqual(
    near(meanOf(CLS, good, good, good, a, film, bad, SEP)),
  )
})

it('names a token id that the model does not have', async () => {
  for (const input of [[[2, 4, 99_999]], [2, 4, 10]]) {
    const response = await post('/v1/embeddings', { model: 'mean', input })
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: expect.objectContaining({ message: expect.stringContaining('not a token id of this model') }) },
    ])
  }
})

describe('batches', () => {
  const manifest = embedder('x').manifest
  const text = (length: number) => ({ ids: new Array<number>(length).fill(1), typeIds: [] })
  const lengths = (...each: number[]) => batchesOf(each.map(text), manifest, LIMITS)

  it('are of similar length, and bounded', () => {
    expect(lengths(3, 1, 2)).toEqual([[1, 2, 0]])
    expect(lengths(512, 512, 3)).toEqual([[2], [0], [1]])
    expect(lengths(...new Array<number>(64).fill(8)).map((batch) => batch.length)).toEqual([32, 32])
    expect(lengths(...new Array<number>(16).fill(128)).map((batch) => batch.length)).toEqual([8, 8])
  })

  it('are single texts where the artifact would take one scale for all of them', () => {
    const [artifact] = manifest.artifacts
    if (artifact === undefined) throw new Error('no artifact')
    const small = { ...manifest, artifacts: [{ ...artifact, dtype: 'int8' }] }
    expect(batchesOf([text(2), text(1)], small, LIMITS)).toEqual([[1], [0]])
    const both = {
      ...manifest,
      artifacts: [...small.artifacts, { ...artifact, places: ['origin' as const], dtype: 'fp32' }],
    }
    expect(batchesOf([text(2), text(1)], both, LIMITS)).toEqual([[1], [0]])
    expect(batchesOf([text(2), text(1)], both, LIMITS, 'origin')).toEqual([[1, 0]])
    expect(batchesOf([text(2), text(1)], small, LIMITS, 'origin')).toEqual([[1], [0]])
  })
})

describe('feature extraction', () => {
  it.each([
    ['mean', meanOf(CLS, a, good, film, SEP)],
    ['cls', vectorOf(CLS)],
    ['last', vectorOf(SEP)],
    ['max', [film, -CLS, film ** 2 / 10]],
  ])('pools by %s', async (model, expected) => {
    expect(await vectorsOf(post(`/run/${model}`, { inputs: 'a good film' }))).toEqual(near(expected))
  })

  it.each(['mean', 'unmasked', 'one', 'unit'])('answers a list as it answers its texts: %s', async (model) => {
    const texts = ['bad', 'a good good film', 'film', 'a film']
    const together = await vectorsOf(post(`/run/${model}`, { inputs: texts }))
    const alone = await Promise.all(texts.map((text) => vectorsOf(post(`/run/${model}`, { inputs: text }))))
    expect(together).toEqual(alone)
    expect(new Set(together.map(String)).size).toBe(4)
  })

  it('answers a vector for each token where they are not pooled', async () => {
    const one = await (await post('/run/tokens', { inputs: 'bad' })).json()
    expect(one).toEqual([CLS, bad, SEP].map((id) => near(vectorOf(id))))
    expect(await (await post('/run/tokens', { inputs: ['bad', 'a bad film'] })).json()).toEqual([
      one,
      [CLS, a, bad, film, SEP].map((id) => near(vectorOf(id))),
    ])
  })

  it('normalizes and cuts as the manifest or the request says', async () => {
    const mean = meanOf(CLS, good, SEP)
    const length = Math.hypot(...mean)
    const unit = mean.map((value) => value / length)
    expect(await vectorsOf(post('/run/unit', { inputs: 'good' }))).toEqual(near(unit))
    expect(await vectorsOf(post('/run/mean', { inputs: 'good', normalize: true }))).toEqual(near(unit))
    expect(await vectorsOf(post('/run/unit', { inputs: 'good', parameters: { normalize: false } }))).toEqual(near(mean))
    const half = Math.hypot(mean[0] ?? 0, mean[1] ?? 0)
    expect(await vectorsOf(post('/run/unit', { inputs: 'good', parameters: { dimensions: 2 } }))).toEqual(
      near(mean.slice(0, 2).map((value) => value / half)),
    )
    expect(await vectorsOf(post('/run/nested', { inputs: 'good', dimensions: 2 }))).toHaveLength(2)
  })

  it('puts the prompt before the text', async () => {
    const passage = near(meanOf(CLS, bad, film, SEP))
    expect(await vectorsOf(post('/run/prompted', { inputs: 'film' }))).toEqual(passage)
    expect(await vectorsOf(post('/run/prompted', { inputs: 'film', prompt_name: 'query' }))).toEqual(
      near(meanOf(CLS, good, film, SEP)),
    )
  })

  it('leaves out what the vocabulary lacks where it is to', async () => {
    const similarity = { source_sentence: 'good film', sentences: ['good unheard film', 'good'] }
    const [same, other] = await vectorsOf(post('/run/pooled', { inputs: similarity }))
    expect(same).toBeCloseTo(1, 6)
    expect(other).toBeCloseTo((2 * 1 + 12 * 5) / Math.hypot(2, 12) / Math.hypot(1, 5), 6)
    // The limit counts what is left.
    const many = `${'unheard '.repeat(2_000)}${'good '.repeat(600)}`
    await post('/models/pooled', { inputs: many })
    expect(serving.runs.at(-1)?.inputs.get('input_ids')?.shape).toEqual([1, 512])
  })

  it('takes plain text', async () => {
    const response = post('/run/mean', 'good', { 'content-type': 'text/plain' })
    expect(await vectorsOf(response)).toEqual(near(meanOf(CLS, good, SEP)))
  })

  it.each([
    ['mean', { inputs: [] }, 400, 'invalid_request', 'inputs'],
    ['mean', { inputs: ['good', ' '] }, 400, 'empty_input', 'inputs[1]'],
    [
      'pooled',
      { inputs: { source_sentence: 'unheard', sentences: ['good'] } },
      400,
      'empty_input',
      'inputs.source_sentence',
    ],
    ['mean', { inputs: ['good', '\u0001\u0002'] }, 400, 'empty_input', 'inputs[1]'],
    ['prompted', { inputs: '\u0000\u200b\u0007' }, 400, 'empty_input', 'inputs'],
    ['mean', { inputs: 'good', dimensions: 4 }, 400, 'invalid_request', 'dimensions'],
    ['nested', { inputs: 'good', dimensions: 1 }, 400, 'invalid_request', 'dimensions'],
    ['tokens', { inputs: 'good', dimensions: 1 }, 400, 'invalid_request', 'dimensions'],
    ['mean', { inputs: 'good', dimensions: 0 }, 400, 'invalid_request', 'dimensions'],
    ['prompted', { inputs: 'good', prompt_name: 'toString' }, 400, 'invalid_request', 'prompt_name'],
    ['mean', { inputs: 'good', truncation_direction: 'up' }, 400, 'invalid_request', 'truncation_direction'],
    ['mean', { inputs: 'good '.repeat(9), truncate: false }, 413, 'input_too_large', 'inputs'],
    ['mean', { inputs: new Array(2_049).fill('a') }, 413, 'input_too_large', undefined],
    ['mean', { inputs: new Array(2_048).fill('a '.repeat(8)) }, 200, undefined, undefined],
    ['mean', { inputs: new Array(LIMITS.requestItems).fill(null) }, 413, 'input_too_large', undefined],
    ['mean', { inputs: ['good', 5] }, 400, 'invalid_request', undefined],
    ['misprompted', { inputs: 'good' }, 500, 'manifest_invalid', 'prompt_name'],
    ['misnamed', { inputs: 'good' }, 500, 'manifest_invalid', undefined],
  ])('%s answers %j by %i %s', async (model, body, status, code, field) => {
    const response = await post(`/run/${model}`, body)
    expect(response.status).toBe(status)
    if (code === undefined) return
    const { error } = await response.json<{ error: { code: string; field?: string } }>()
    expect(error.code).toBe(code)
    if (field !== undefined) expect(error.field).toBe(field)
  })

  it('refuses more tokens than a request may have, before it runs anything', async () => {
    const app = testApp({ models: [embedder('mean')], limits: { embeddingTokens: 20 } })
    const texts = ['a', 'a a a a a a', 'a a a a a a']
    expect((await app.post('/run/mean', { inputs: texts })).status).toBe(200)
    const before = app.serving.runs.length
    const response = await app.post('/run/mean', { inputs: [...texts, 'a'] })
    expect(response.status).toBe(413)
    expect(await response.text()).toContain('20 tokens')
    expect(app.serving.runs.length).toBe(before)
  })
})

describe('POST /v1/embeddings', () => {
  interface Embeddings {
    readonly data: { readonly embedding: number[] | string; readonly index: number }[]
    readonly usage: unknown
  }
  const embeddings = async (body: object): Promise<Embeddings> =>
    (await post('/v1/embeddings', body)).json<Embeddings>()

  it('takes a text, texts, ids and lists of ids', async () => {
    const expected = near(meanOf(CLS, good, film, SEP))
    const tokens = [CLS, good, film, SEP]
    expect(await embeddings({ model: 'mean', input: 'good film' })).toEqual({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: expected }],
      model: 'mean',
      usage: { prompt_tokens: 4, total_tokens: 4 },
    })
    expect((await embeddings({ model: 'mean', input: tokens })).data).toMatchObject([{ embedding: expected }])
    const list = await embeddings({ model: 'mean', input: ['good film', 'a'], user: 'somebody' })
    expect(list.data).toMatchObject([{ embedding: expected }, { index: 1, embedding: near(meanOf(CLS, a, SEP)) }])
    expect(list.usage).toEqual({ prompt_tokens: 7, total_tokens: 7 })
    const ids = await embeddings({ model: 'mean', input: [tokens, [CLS, a, SEP]] })
    expect(ids.data).toEqual(list.data)
  })

  it('answers little-endian floats in base64', async () => {
    const input = ['good film', 'bad']
    const { data } = await embeddings({ model: 'mean', input, encoding_format: 'base64' })
    const plain = await embeddings({ model: 'mean', input })
    for (const [i, { embedding }] of data.entries()) {
      const view = new DataView(Uint8Array.from(atob(String(embedding)), (c) => c.charCodeAt(0)).buffer)
      const floats = Array.from({ length: view.byteLength / 4 }, (_, j) => view.getFloat32(4 * j, true))
      expect(floats).toEqual(plain.data[i]?.embedding)
    }
  })

  it('cuts to `dimensions`, and knows prompts', async () => {
    expect((await embeddings({ model: 'unit', input: 'a', dimensions: 2 })).data[0]?.embedding).toHaveLength(2)
    const { data } = await embeddings({ model: 'prompted', input: 'film', prompt_name: 'query' })
    expect(data[0]?.embedding).toEqual(near(meanOf(CLS, good, film, SEP)))
  })

  it.each([
    [{ input: 'good' }, 400, 'invalid_request', 'model'],
    [{ model: 'absent', input: 5 }, 404, 'model_not_found', null],
    [{ model: 'secret', input: 5 }, 404, 'model_not_found', null],
    [{ model: 'mean' }, 400, 'invalid_request', 'input'],
    [{ model: 'mean', input: [] }, 400, 'invalid_request', 'input'],
    [{ model: 'mean', input: ['good', 5] }, 400, 'invalid_request', 'input[1]'],
    [{ model: 'mean', input: [[]] }, 400, 'invalid_request', 'input[0]'],
    [{ model: 'mean', input: [1.5] }, 400, 'invalid_request', 'input[0]'],
    [{ model: 'mean', input: [-1] }, 400, 'invalid_request', 'input[0]'],
    [{ model: 'mean', input: new Array(9).fill(a) }, 413, 'input_too_large', 'input'],
    [{ model: 'mean', input: new Array(LIMITS.requestItems).fill(null) }, 413, 'input_too_large', null],
    [{ model: 'secret', input: new Array(LIMITS.requestItems).fill(null) }, 404, 'model_not_found', null],
    [{ model: 'mean', input: '' }, 400, 'empty_input', 'input'],
    [{ model: 'mean', input: 'good', encoding_format: 'hex' }, 400, 'invalid_request', 'encoding_format'],
    [{ model: 'mean', input: 'good', dimensions: 9 }, 400, 'invalid_request', 'dimensions'],
    [{ model: 'mean', input: 'good', temperature: 1 }, 400, 'invalid_request', null],
    [{ model: 'tokens', input: 'good' }, 400, 'task_mismatch', null],
    [{ model: 'critic', input: 'good' }, 400, 'task_mismatch', 'model'],
    [[], 400, 'invalid_request', 'model'],
  ])('refuses %j by %i %s, in the shape of OpenAI', async (body, status, code, param) => {
    const response = await post('/v1/embeddings', body)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { code, param, type: 'invalid_request_error' } })
  })

  it('lets those who may', async () => {
    expect((await post('/v1/embeddings', { model: 'secret', input: 'good' }, OPERATOR)).status).toBe(200)
  })

  it('refuses a body that is too long, and one that is no JSON', async () => {
    const long = { model: 'mean', input: 'x'.repeat(LIMITS.textBodyBytes) }
    expect((await post('/v1/embeddings', long)).status).toBe(413)
    expect((await post('/v1/embeddings', '{')).status).toBe(400)
    expect((await post('/v1/embeddings', '{}', { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await request('/v1/embeddings')).status).toBe(405)
    expect((await post('/v1/embeddings', { model: 'mean', input: 'good' })).status).toBe(200)
  })

  it('takes a slot before it reads, and gives it back', async () => {
    let places = 0
    const admission = {
      enter: () => {
        places++
        return { hold() {}, reading() {}, renew() {}, leave: () => void places-- }
      },
    }
    const app = testApp({ models: [embedder('mean')], admission })
    expect((await app.post('/v1/embeddings', { model: 'mean', input: 'good' })).status).toBe(200)
    expect((await app.post('/v1/embeddings', { model: 'absent' })).status).toBe(404)
    expect(places).toBe(0)
  })
})

describe('reranking', () => {
  const query = 'a film'
  const documents = ['bad bad film', 'film', 'good film', 'film.']

  it.each(['/rerank', '/v1/rerank'])('orders documents by a cross-encoder: %s', async (path) => {
    const response = await post(path, { model: 'cross', query, documents, top_n: 3, return_documents: true })
    const sigmoid = (x: number) => expect.closeTo(1 / (1 + Math.exp(-x)), 6)
    expect(await response.json()).toEqual({
      model: 'cross',
      results: [
        { index: 2, relevance_score: sigmoid(1), document: { text: 'good film' } },
        { index: 1, relevance_score: sigmoid(0), document: { text: 'film' } },
        { index: 3, relevance_score: sigmoid(0), document: { text: 'film.' } },
      ],
      usage: { total_tokens: 8 + 6 + 7 + 7 },
    })
    expect(response.headers.get('verge-placement')).toContain('edge')
  })

  it('reads a query once, however many texts it is compared with', async () => {
    const tokens = vi.spyOn(TextTokenizer.prototype, 'read')
    const long = 'x'.repeat(1_000)
    const response = await post('/rerank', { model: 'cross', query: long, documents: new Array(200).fill('film') })
    const reads = tokens.mock.calls.filter(([text]) => text === long).length
    tokens.mockRestore()
    expect([response.status, reads]).toEqual([200, 1])
  })

  it('refuses a text of control characters for a classifier, too', async () => {
    const response = await post('/run/critic', { inputs: ['good', '\u0001'] })
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('inputs[1]')])
  })

  it('orders texts as text-embeddings-inference does', async () => {
    const response = await post('/rerank', {
      model: 'cross',
      query,
      texts: documents,
      raw_scores: true,
      return_text: true,
    })
    expect(await response.json()).toEqual([
      { index: 2, score: 1, text: 'good film' },
      { index: 1, score: 0, text: 'film' },
      { index: 3, score: 0, text: 'film.' },
      { index: 0, score: -2, text: 'bad bad film' },
    ])
  })

  it('orders by cosine with a model that embeds, each side with its prompt', async () => {
    const response = await post('/rerank', {
      model: 'prompted',
      query: 'film',
      documents: [{ text: 'a' }, { text: 'film' }],
    })
    const { results } = await response.json<{ results: { index: number; relevance_score: number }[] }>()
    const cos = (id: number) =>
      cosine(Float32Array.from(meanOf(CLS, good, film, SEP)), Float32Array.from(meanOf(CLS, bad, id, SEP)))
    expect(results).toEqual([
      { index: 1, relevance_score: expect.closeTo(cos(film), 5) },
      { index: 0, relevance_score: expect.closeTo(cos(a), 5) },
    ])
  })

  it('is a task of /run as well', async () => {
    const response = await post('/run/cross', { inputs: { query, texts: documents }, parameters: { top_n: 1 } })
    expect(await response.json()).toEqual([{ index: 2, score: expect.closeTo(1 / (1 + Math.exp(-1)), 6) }])
  })

  it('scores a batch as it scores each text', async () => {
    const scores = async (documents: string[]) =>
      (
        await (
          await post('/rerank', { model: 'cross', query, documents })
        ).json<{
          results: { relevance_score: number }[]
        }>()
      ).results.map(({ relevance_score }) => relevance_score)
    const alone = await Promise.all(documents.map(async (text) => (await scores([text]))[0] ?? 0))
    expect(await scores(documents)).toEqual(alone.sort((x, y) => y - x))
  })

  it.each([
    [{ model: 'cross', query, documents: [] }, 400, 'documents'],
    [{ model: 'cross', query, documents: ['good', ''] }, 400, 'documents[1]'],
    [{ model: 'cross', query: ' ', documents: ['good'] }, 400, 'query'],
    [{ model: 'cross', documents: ['good'] }, 400, 'query'],
    [{ model: 'cross', query: '\u0001', documents: ['good'] }, 400, 'query'],
    [{ model: 'cross', query, documents: ['good', '\u0001'] }, 400, 'documents[1]'],
    [{ model: 'cross', query, texts: ['good'], top_n: 1 }, 400, undefined],
    [{ model: 'cross', query, documents: ['good'], top_n: 0 }, 400, 'top_n'],
    [{ model: 'critic', query, documents: ['good'] }, 400, 'model'],
    [{ model: 'secret', query, documents: ['good'] }, 404, undefined],
    [{ query, documents: ['good'] }, 400, 'model'],
  ])('refuses %j by %i', async (body, status, field) => {
    const response = await post('/rerank', body)
    expect(response.status).toBe(status)
    const { error } = await response.json<{ error: { field?: string } }>()
    if (field !== undefined) expect(error.field).toBe(field)
  })
})

describe('paths of the Hugging Face inference API', () => {
  const similarity = { inputs: { source_sentence: 'good film', sentences: ['good film', 'a'] } }

  it.each(['/models/critic', '/hf-inference/models/critic', '/pipeline/text-classification/critic'])(
    'wraps the answer for one text: %s',
    async (path) => {
      const one = await (await post('/run/critic', { inputs: 'good' })).json()
      expect(await (await post(path, { inputs: 'good', options: { wait_for_model: true } })).json()).toEqual([one])
      expect(await (await post(path, { inputs: ['good'] })).json()).toEqual([one])
      expect(await (await post(path, 'good', { 'content-type': 'text/plain' })).json()).toEqual([one])
    },
  )

  it('serves both embedding tasks with one model, by the path or by the body', async () => {
    const vector = await (await post('/run/mean', { inputs: 'good film' })).json()
    expect(await (await post('/models/mean', { inputs: 'good film' })).json()).toEqual(vector)
    expect(await (await post('/models/mean/pipeline/feature-extraction', { inputs: ['good film'] })).json()).toEqual([
      vector,
    ])
    for (const path of ['/models/mean', '/models/mean/pipeline/sentence-similarity', '/models/pooled']) {
      const [same, other] = await vectorsOf(post(path, similarity))
      expect(same).toBeCloseTo(1, 6)
      expect(other).toBeLessThan(0.9999)
    }
    expect(await (await post('/models/pooled/pipeline/feature-extraction', { inputs: 'good' })).json()).toEqual([1, 5])
  })

  it('wraps token vectors as transformers does', async () => {
    const tokens = await (await post('/run/tokens', { inputs: 'good' })).json()
    expect(await (await post('/models/tokens', { inputs: 'good' })).json()).toEqual([tokens])
  })

  it('says what is wrong where its clients look', async () => {
    const response = await post('/models/critic/pipeline/telepathy', { inputs: 'good' })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: expect.stringContaining('telepathy'), code: 'task_mismatch' })
    expect(await (await post('/models/absent', {})).json()).toMatchObject({ error: expect.stringContaining('absent') })
    expect((await post('/models/secret', { inputs: 'good' })).status).toBe(404)
    expect((await request('/models/critic', { method: 'PUT' })).status).toBe(405)
  })
})
