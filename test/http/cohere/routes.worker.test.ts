import { describe, expect, it } from 'vitest'
import { testApp } from '../../fixtures/http.ts'
import { VOCABULARY } from '../../fixtures/http-tokenizer.ts'
import { idsFor, meanOf, PROTOCOL_MODELS } from '../../fixtures/protocol-models.ts'

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
const meta = (version: string, units: object) => ({ api_version: { version }, billed_units: units })

describe('/v2/embed', () => {
  it('answers each type, with the prompt of the type of input', async () => {
    const texts = ['film', 'a film']
    const body = { model: 'mini', texts, input_type: 'search_query' }
    expect(await json('/v2/embed', body)).toEqual({
      id: expect.any(String),
      response_type: 'embeddings_by_type',
      embeddings: {
        float: [near(meanOf(idsFor('good', 'film'))), near(meanOf(idsFor('good', 'a', 'film')))],
      },
      texts,
      meta: meta('2', { input_tokens: 9 }),
    })
    const documents = {
      ...body,
      input_type: 'search_document',
      embedding_types: ['binary', 'ubinary', 'base64', 'float'],
    }
    expect(await json('/cohere/v2/embed', documents)).toMatchObject({
      embeddings: {
        float: [near(meanOf(idsFor('bad', 'film'))), near(meanOf(idsFor('bad', 'a', 'film')))],
        ubinary: [[0b1110_0000], [0b1110_0000]],
        binary: [[0b1110_0000 - 128], [0b1110_0000 - 128]],
        base64: [expect.stringMatching(/^[\w+/]{16}$/), expect.stringMatching(/^[\w+/]{16}$/)],
      },
    })
    const plain = { ...body, input_type: 'clustering' }
    expect(await json('/v2/embed', plain)).toMatchObject({
      embeddings: { float: [near(meanOf(idsFor('film'))), near(meanOf(idsFor('a', 'film')))] },
    })
  })

  it('cuts as it is told, by default the end', async () => {
    const body = { model: 'mini', texts: ['good bad film film film film film a'], input_type: 'classification' }
    const float = async (more: object) =>
      ((await json('/v2/embed', { ...body, ...more })) as { embeddings: { float: number[][] } }).embeddings.float
    const end = near(meanOf(idsFor('good', 'bad', 'film', 'film', 'film', 'film')))
    expect(await float({})).toEqual([end])
    expect(await float({ truncate: 'END' })).toEqual([end])
    expect(await float({ truncate: 'START' })).toEqual([
      near(meanOf(idsFor('film', 'film', 'film', 'film', 'film', 'a'))),
    ])
    expect(await float({ max_tokens: 4 })).toEqual([near(meanOf(idsFor('good', 'bad')))])
    expect(await refusal('/v2/embed', { ...body, truncate: 'NONE' })).toMatchObject({ status: 413 })
    const [cut = []] = await float({ output_dimension: 2 })
    expect(cut).toHaveLength(2)
  })

  it('takes texts as parts of inputs', async () => {
    const inputs = [
      {
        content: [
          { type: 'text', text: 'good' },
          { type: 'text', text: 'film' },
        ],
      },
    ]
    expect(await json('/v2/embed', { model: 'mini', inputs, input_type: 'clustering' })).toMatchObject({
      texts: ['good\nfilm'],
      embeddings: { float: [near(meanOf(idsFor('good', 'film')))] },
    })
  })
})

it('counts the numbers of an answer once for each type', async () => {
  const small = testApp({ models: PROTOCOL_MODELS, limits: { jsonOutputElements: 6 } })
  const body = { model: 'mini', texts: ['good', 'film'], input_type: 'clustering' }
  const status = async (more: object) => (await small.post('/v2/embed', { ...body, ...more })).status
  expect(await status({})).toBe(200)
  expect(await status({ embedding_types: ['float', 'int8'] })).toBe(413)
  expect(await status({ embedding_types: ['float', 'int8'], texts: ['good'] })).toBe(200)
})

describe('/v1/embed', () => {
  it('answers plain lists, or by type where types are named', async () => {
    expect(await json('/v1/embed', { model: 'mini', texts: ['good'] })).toEqual({
      id: expect.any(String),
      response_type: 'embeddings_floats',
      embeddings: [near(meanOf(idsFor('good')))],
      texts: ['good'],
      meta: meta('1', { input_tokens: 3 }),
    })
    expect(await json('/v1/embed', { model: 'mini', texts: ['good'], embedding_types: ['ubinary'] })).toMatchObject({
      response_type: 'embeddings_by_type',
      embeddings: { ubinary: [[0b1110_0000]] },
    })
  })
})

describe('/rerank', () => {
  const query = 'film'

  it('of version 2 answers places and scores', async () => {
    const body = { model: 'cross', query, documents: ['bad', 'good good', 'a'], top_n: 2 }
    expect(await json('/v2/rerank', body)).toEqual({
      id: expect.any(String),
      results: [
        { index: 1, relevance_score: expect.closeTo(sigmoid(2), 5) },
        { index: 2, relevance_score: 0.5 },
      ],
      meta: meta('2', { search_units: 1 }),
    })
    const cut = { ...body, documents: ['a good good'], max_tokens_per_doc: 2 }
    expect(await json('/v2/rerank', cut)).toMatchObject({
      results: [{ relevance_score: expect.closeTo(sigmoid(1), 5) }],
    })
  })

  it('of version 1 ranks by the fields named, and answers documents as they came', async () => {
    const documents = [
      { title: 'good', text: 'bad bad' },
      { title: 'bad', text: 'a' },
    ]
    const body = { model: 'cross', query, documents, return_documents: true }
    expect(await json('/cohere/v1/rerank', { ...body, rank_fields: ['title'] })).toMatchObject({
      results: [
        { index: 0, relevance_score: expect.closeTo(sigmoid(1), 5), document: documents[0] },
        { index: 1, relevance_score: expect.closeTo(sigmoid(-1), 5), document: documents[1] },
      ],
    })
    expect(await json('/cohere/v1/rerank', { ...body, rank_fields: ['title', 'text'] })).toMatchObject({
      results: [
        { index: 0, relevance_score: expect.closeTo(sigmoid(-1), 5) },
        { index: 1, relevance_score: expect.closeTo(sigmoid(-1), 5) },
      ],
    })
    expect(await json('/cohere/v1/rerank', body)).toMatchObject({ results: [{ index: 1 }, { index: 0 }] })
    // A field that is named often counts once: the text would be as many times as long.
    const often = { ...body, rank_fields: new Array(64).fill('title') }
    expect(await json('/cohere/v1/rerank', often)).toMatchObject({
      results: [
        { index: 0, relevance_score: expect.closeTo(sigmoid(1), 5) },
        { index: 1, relevance_score: expect.closeTo(sigmoid(-1), 5) },
      ],
    })
    expect(await json('/cohere/v1/rerank', { ...body, documents: ['good'] })).toMatchObject({
      results: [{ document: { text: 'good' } }],
    })
  })
})

describe('tokens', () => {
  it('are those of the text alone, and become it again', async () => {
    const text = 'good films.'
    const { good, film, '##s': s, '.': dot } = VOCABULARY
    const tokens = [good, film, s, dot]
    expect(await json('/v1/tokenize', { model: 'mini', text })).toEqual({
      tokens,
      token_strings: ['good', ' film', 's', '.'],
      meta: { api_version: { version: '1' } },
    })
    expect(await json('/v1/detokenize', { model: 'mini', tokens })).toEqual({
      text,
      meta: { api_version: { version: '1' } },
    })
  })
})

describe('/v1/models', () => {
  it('says which of its addresses answer for a model', async () => {
    const list = (await (await request('/cohere/v1/models')).json()) as { models: { name: string }[] }
    expect(list.models.map(({ name }) => name)).toEqual(['critic', 'cross', 'mini', 'picture', 'splade', 'tagger'])
    const mini = {
      name: 'mini',
      is_deprecated: false,
      endpoints: ['embed', 'rerank'],
      finetuned: false,
      context_length: 8,
    }
    expect(list.models[2]).toEqual(mini)
    expect(await (await request('/cohere/v1/models/mini')).json()).toEqual(mini)
    const ranks = (await (await request('/cohere/v1/models?endpoint=rerank')).json()) as { models: { name: string }[] }
    expect(ranks.models.map(({ name }) => name)).toEqual(['cross', 'mini', 'splade'])
    expect((await request('/cohere/v1/models/absent')).status).toBe(404)
  })
})

describe('refusals', () => {
  const embed = { model: 'mini', input_type: 'search_query' }
  it.each([
    ['an unknown model', '/v2/embed', { ...embed, model: 'absent', texts: ['a'] }, 404],
    ['no model', '/v2/embed', { input_type: 'search_query', texts: ['a'] }, 400],
    ['a wrong type', '/v2/embed', { ...embed, texts: 'a' }, 400],
    ['no texts', '/v2/embed', embed, 400],
    ['an empty list', '/v2/embed', { ...embed, texts: [] }, 400],
    ['an empty text', '/v2/embed', { ...embed, texts: [''] }, 400],
    ['a type twice', '/v2/embed', { ...embed, texts: ['a'], embedding_types: ['float', 'float'] }, 400],
    [
      'more fields than are looked at',
      '/v2/rerank',
      { model: 'cross', query: 'a', documents: ['a'], rank_fields: new Array(65).fill('text') },
      400,
    ],
    ['texts twice', '/v2/embed', { ...embed, texts: ['a'], inputs: [{ content: [{ type: 'text', text: 'a' }] }] }, 400],
    ['too many texts', '/v2/embed', { ...embed, texts: new Array(2_049).fill('a') }, 413],
    ['an unknown field', '/v2/embed', { ...embed, texts: ['a'], normalize: true }, 400],
    ['an unknown type of input', '/v2/embed', { ...embed, texts: ['a'], input_type: 'query' }, 400],
    ['pictures', '/v2/embed', { ...embed, images: ['data:image/png;base64,AA=='] }, 501],
    ['pictures by their type', '/v2/embed', { ...embed, texts: ['a'], input_type: 'image' }, 501],
    ['pictures in inputs', '/v2/embed', { ...embed, inputs: [{ content: [{ type: 'image_url' }] }] }, 501],
    ['a model of another task', '/v2/embed', { ...embed, model: 'critic', texts: ['a'] }, 400],
    ['a model that cannot rank', '/v2/rerank', { model: 'critic', query: 'a', documents: ['a'] }, 400],
    ['no documents', '/v2/rerank', { model: 'cross', query: 'a', documents: [] }, 400],
    ['a document without its field', '/v2/rerank', { model: 'cross', query: 'a', documents: [{ title: 'a' }] }, 400],
    ['an id that is no token', '/v1/detokenize', { model: 'mini', tokens: [99] }, 400],
    ['chats, which come later', '/v2/chat', { model: 'mini', messages: [] }, 501],
  ])('%s', async (_, path, body, status) => {
    expect(await refusal(path, body)).toMatchObject({
      status,
      id: expect.any(String),
      message: expect.stringMatching(/\.$/),
    })
  })
})
