import { describe, expect, it } from 'vitest'
import { testApp } from '../../fixtures/http.ts'
import { VOCABULARY } from '../../fixtures/http-tokenizer.ts'
import { idsFor, meanOf, PROTOCOL_MODELS, vectorOf } from '../../fixtures/protocol-models.ts'

const { post, request } = testApp({ models: PROTOCOL_MODELS })
const json = async (path: string, body: unknown): Promise<unknown> => {
  const response = await post(path, body)
  const answer: unknown = await response.json()
  expect([response.status, answer]).toEqual([200, answer])
  return answer
}
const refusal = async (path: string, body: unknown) => {
  const response = await post(path, body)
  return { status: response.status, ...((await response.json()) as object) }
}
const near = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 5))
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

describe('/embed', () => {
  it('answers a list of vectors, also for one text', async () => {
    expect(await json('/tei/mini/embed', { inputs: 'good film' })).toEqual([near(meanOf(idsFor('good', 'film')))])
    expect(await json('/tei/mini/embed', { inputs: ['good', [2, 7, 3]] })).toEqual([
      near(meanOf(idsFor('good'))),
      near(meanOf([2, 7, 3])),
    ])
  })

  it('takes null for what is left out, its own names for the end to cut, and a prompt', async () => {
    const body = { inputs: 'film', truncate: null, prompt_name: null, dimensions: null, truncation_direction: 'Right' }
    expect(await json('/tei/mini/embed', body)).toEqual([near(meanOf(idsFor('film')))])
    expect(await json('/tei/mini/embed', { inputs: 'film', prompt_name: 'query', normalize: false })).toEqual([
      near(meanOf(idsFor('good', 'film'), false)),
    ])
  })

  it('cuts texts on either side where it is asked to, and refuses them otherwise', async () => {
    const inputs = 'good bad film film film film film a'
    expect(await json('/tei/mini/embed', { inputs, truncate: true })).toEqual([
      near(meanOf(idsFor('good', 'bad', 'film', 'film', 'film', 'film'))),
    ])
    expect(await json('/tei/mini/embed', { inputs, truncate: true, truncation_direction: 'Left' })).toEqual([
      near(meanOf(idsFor('film', 'film', 'film', 'film', 'film', 'a'))),
    ])
    expect(await refusal('/tei/mini/embed', { inputs })).toMatchObject({ status: 422, error_type: 'Validation' })
  })

  it('cuts vectors', async () => {
    const whole = meanOf(idsFor('good'), false)
    const length = Math.hypot(whole[0] ?? 0, whole[1] ?? 0)
    expect(await json('/tei/mini/embed', { inputs: 'good', dimensions: 2 })).toEqual([
      near([(whole[0] ?? 0) / length, (whole[1] ?? 0) / length]),
    ])
  })
})

describe('other vectors', () => {
  it('are sparse, or one for each token', async () => {
    const sparse = await json('/tei/splade/embed_sparse', { inputs: ['good film'] })
    expect(sparse).toEqual([
      idsFor('good', 'film')
        .sort((a, b) => a - b)
        .map((index) => ({ index, value: expect.closeTo(Math.log(1 + index), 5) })),
    ])
    const all = (await json('/tei/mini/embed_all', { inputs: 'good' })) as number[][][]
    expect(all).toHaveLength(1)
    const lengths = idsFor('good').map((id) => vectorOf(id))
    for (const [i, vector] of (all[0] ?? []).entries()) {
      const own = lengths[i] ?? []
      const scale = Math.hypot(...vector) / Math.hypot(...own)
      expect(vector).toEqual(near(own.map((value) => value * scale)))
    }
  })

  it('are compared', async () => {
    const vectors = [idsFor('good'), idsFor('film'), idsFor('good')].map((ids) => meanOf(ids))
    const cosine = (vectors[0] ?? []).reduce((sum, value, i) => sum + value * (vectors[1]?.[i] ?? 0), 0)
    const inputs = { source_sentence: 'good', sentences: ['film', 'good'] }
    expect(await json('/tei/mini/similarity', { inputs })).toEqual(near([cosine, 1]))
    expect(await json('/tei/mini/similarity', { inputs, parameters: { truncate: true } })).toHaveLength(2)
  })

  it('come as OpenAI has them', async () => {
    const answer = await json('/tei/mini/v1/embeddings', {
      model: 'ignored',
      input: ['good'],
      encoding_format: 'float',
    })
    expect(answer).toEqual({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: near(meanOf(idsFor('good'))) }],
      model: 'mini',
      usage: { prompt_tokens: 3, total_tokens: 3 },
    })
    const base64 = (await json('/tei/mini/embeddings', { input: 'good', encoding_format: 'base64' })) as {
      data: { embedding: string }[]
    }
    const bytes = Uint8Array.from(atob(base64.data[0]?.embedding ?? ''), (c) => c.charCodeAt(0))
    expect([...new Float32Array(bytes.buffer)]).toEqual(near(meanOf(idsFor('good'))))
  })
})

describe('/predict', () => {
  const [low, high] = [1 / (1 + Math.E), Math.E / (1 + Math.E)]
  const fine = [
    { score: expect.closeTo(high, 5), label: 'fine' },
    { score: expect.closeTo(low, 5), label: 'poor' },
  ]

  it('tells a text, a pair and a batch apart', async () => {
    expect(await json('/tei/critic/predict', { inputs: 'good' })).toEqual(fine)
    expect(await json('/tei/critic/predict', { inputs: ['good', 'film'] })).toEqual(fine)
    expect(await json('/tei/critic/predict', { inputs: [['good'], ['film', 'good']] })).toEqual([fine, fine])
    expect(await json('/tei/critic/predict', { inputs: ['good'] })).toEqual(fine)
  })

  it('answers raw scores, and the one score of a cross-encoder', async () => {
    expect(await json('/tei/critic/predict', { inputs: 'good good bad', raw_scores: true })).toEqual([
      { score: 2, label: 'fine' },
      { score: 1, label: 'poor' },
    ])
    expect(await json('/tei/cross/predict', { inputs: [['film', 'good good']] })).toEqual([
      [{ score: expect.closeTo(sigmoid(2), 5), label: 'LABEL_0' }],
    ])
  })

  it('refuses three texts in one', async () => {
    expect(await refusal('/tei/critic/predict', { inputs: ['a', 'a', 'a'] })).toMatchObject({ status: 422 })
  })
})

describe('/rerank', () => {
  it('sorts by score, with texts where they are wanted', async () => {
    const body = { query: 'film', texts: ['bad', 'good good', 'a'], return_text: true }
    expect(await json('/tei/cross/rerank', body)).toEqual([
      { index: 1, text: 'good good', score: expect.closeTo(sigmoid(2), 5) },
      { index: 2, text: 'a', score: 0.5 },
      { index: 0, text: 'bad', score: expect.closeTo(sigmoid(-1), 5) },
    ])
    expect(await json('/tei/cross/rerank', { query: 'film', texts: ['good'], raw_scores: true })).toEqual([
      { index: 0, score: 1 },
    ])
  })

  it('cuts a pair where it is asked to, on either side', async () => {
    const texts = ['good bad bad bad bad bad bad bad bad bad bad good good']
    const body = { query: 'film', texts, raw_scores: true }
    expect(await refusal('/tei/cross/rerank', body)).toMatchObject({ status: 422, error_type: 'Validation' })
    // Twelve tokens: three special ones, the query's, and eight of the text's.
    expect(await json('/tei/cross/rerank', { ...body, truncate: true })).toEqual([{ index: 0, score: -6 }])
    expect(await json('/tei/cross/rerank', { ...body, truncate: true, truncation_direction: 'left' })).toEqual([
      { index: 0, score: -4 },
    ])
  })
})

describe('tokens', () => {
  const special = (text: '[CLS]' | '[SEP]') => ({ id: VOCABULARY[text], text, special: true, start: null, stop: null })

  it('have their places in bytes', async () => {
    expect(await json('/tei/mini/tokenize', { inputs: 'G\u00f3od films.' })).toEqual([
      [
        special('[CLS]'),
        { id: VOCABULARY.good, text: 'G\u00f3od', special: false, start: 0, stop: 5 },
        { id: VOCABULARY.film, text: 'film', special: false, start: 6, stop: 10 },
        { id: VOCABULARY['##s'], text: 's', special: false, start: 10, stop: 11 },
        { id: VOCABULARY['.'], text: '.', special: false, start: 11, stop: 12 },
        special('[SEP]'),
      ],
    ])
  })

  it('are those of the text and its prompt, also more than the model takes', async () => {
    const answer = await json('/tei/mini/tokenize', {
      inputs: ['film', 'a a a a a a a a a a'],
      add_special_tokens: false,
      prompt_name: 'query',
    })
    expect((answer as { id: number }[][]).map((tokens) => tokens.map(({ id }) => id))).toEqual([
      [VOCABULARY.good, VOCABULARY.film],
      [VOCABULARY.good, ...new Array(10).fill(VOCABULARY.a)],
    ])
  })

  it('become texts again', async () => {
    const ids = idsFor('good', 'film', '##s')
    expect(await json('/tei/mini/decode', { ids })).toEqual(['[CLS] good films [SEP]'])
    expect(await json('/tei/mini/decode', { ids: [[5], [7, 8]], skip_special_tokens: false })).toEqual([
      'good',
      'films',
    ])
    expect(await refusal('/tei/mini/decode', { ids: [99] })).toMatchObject({ status: 422 })
    expect(await refusal('/tei/mini/decode', { ids: [] })).toMatchObject({ status: 400, error_type: 'Empty' })
  })
})

describe('/info', () => {
  const info = async (model: string) => (await request(`/tei/${model}/info`)).json()

  it('says what a model is', async () => {
    expect(await info('mini')).toEqual({
      model_id: 'mini',
      model_sha: null,
      model_dtype: 'float32',
      served_model_name: 'mini',
      model_type: { embedding: { pooling: 'mean' } },
      max_concurrent_requests: 256,
      max_input_length: 8,
      max_batch_tokens: 16_384,
      max_batch_requests: null,
      max_client_batch_size: 2_048,
      auto_truncate: false,
      tokenization_workers: 1,
      version: '0.0.0-test',
      sha: null,
      docker_label: null,
    })
    expect(await info('splade')).toMatchObject({ model_type: { embedding: { pooling: 'splade' } } })
    expect(await info('critic')).toMatchObject({
      model_type: { classifier: { id2label: { 0: 'poor', 1: 'fine' }, label2id: { poor: 0, fine: 1 } } },
      max_client_batch_size: 32,
    })
    expect(await info('cross')).toMatchObject({ model_type: { reranker: { id2label: { 0: 'LABEL_0' } } } })
  })

  it('is not said of a model that the caller may not see; health is', async () => {
    expect((await request('/tei/absent/info')).status).toBe(404)
    expect((await request('/tei/mini/health')).status).toBe(200)
  })
})

describe('with a default model', () => {
  const modelNames = new Map([['BAAI/bge-small', 'mini']])
  const addressing = { defaultModel: 'BAAI/bge-small', defaultProtocol: 'tei', modelNames } as const
  const configured = testApp({ models: PROTOCOL_MODELS, addressing })
  const asked = async (path: string, body: unknown) => (await configured.post(path, body)).json()

  it('answers at the root, and says the name that was asked for', async () => {
    expect(await asked('/embed', { inputs: 'good' })).toEqual([near(meanOf(idsFor('good')))])
    expect(await asked('/tei/embed', { inputs: 'good' })).toEqual([near(meanOf(idsFor('good')))])
    expect(await asked('/tokenize', { inputs: 'a', add_special_tokens: false })).toMatchObject([[{ id: VOCABULARY.a }]])
    expect(await asked('/rerank', { query: 'a', texts: ['a'] })).toMatchObject([{ index: 0 }])
    expect(await asked('/v1/embeddings', { input: 'a' })).toMatchObject({ model: 'BAAI/bge-small' })
    const info = (await (await configured.request('/info')).json()) as object
    expect(info).toMatchObject({ model_id: 'mini', served_model_name: 'BAAI/bge-small' })
    expect((await configured.request('/health')).status).toBe(200)
  })

  it('says what to set where there is none', async () => {
    const response = await post('/embed', { inputs: 'good' })
    expect(response.status).toBe(404)
    expect(await response.text()).toEqual(expect.stringMatching(/DEFAULT_MODEL/))
  })
})

describe('refusals', () => {
  it.each([
    ['an unknown model', '/tei/absent/embed', { inputs: 'a' }, 404, 'Validation'],
    ['a wrong type', '/tei/mini/embed', { inputs: 5 }, 422, 'Validation'],
    ['no texts', '/tei/mini/embed', { inputs: [] }, 400, 'Empty'],
    ['an empty text', '/tei/mini/embed', { inputs: '' }, 400, 'Empty'],
    ['no texts to rank', '/tei/cross/rerank', { query: 'a', texts: [] }, 400, 'Empty'],
    ['no sentences', '/tei/mini/similarity', { inputs: { source_sentence: 'a', sentences: [] } }, 400, 'Empty'],
    ['too many texts', '/tei/mini/embed', { inputs: new Array(2_049).fill('a') }, 413, 'Validation'],
    ['too many texts to classify', '/tei/critic/predict', { inputs: new Array(33).fill(['a']) }, 413, 'Validation'],
    ['an unknown field', '/tei/mini/embed', { inputs: 'a', prompts: 'query' }, 422, 'Validation'],
    ['an unknown prompt', '/tei/mini/embed', { inputs: 'a', prompt_name: 'absent' }, 422, 'Validation'],
    ['no vectors', '/tei/critic/embed', { inputs: 'a' }, 424, 'Backend'],
    ['no labels', '/tei/mini/predict', { inputs: 'a' }, 424, 'Backend'],
    ['no sparse vectors', '/tei/mini/embed_sparse', { inputs: 'a' }, 424, 'Backend'],
    ['no tokenizer', '/tei/picture/tokenize', { inputs: 'a' }, 424, 'Backend'],
  ])('%s', async (_, path, body, status, type) => {
    expect(await refusal(path, body)).toMatchObject({ status, error: expect.any(String), error_type: type })
  })
})
