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
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
const usage = (tokens: number) => ({
  prompt_tokens: tokens,
  total_tokens: tokens,
  completion_tokens: 0,
  prompt_tokens_details: null,
})
const listOf = (prefix: string, model: string, data: readonly unknown[], tokens: number) => ({
  id: expect.stringMatching(new RegExp(`^${prefix}-`)),
  object: 'list',
  created: expect.any(Number),
  model,
  data,
  usage: usage(tokens),
})

describe('/v1/embeddings', () => {
  it('answers as vLLM writes them', async () => {
    expect(await json('/vllm/v1/embeddings', { model: 'mini', input: ['good'] })).toEqual(
      listOf('embd', 'mini', [{ index: 0, object: 'embedding', embedding: near(meanOf(idsFor('good'))) }], 3),
    )
  })

  it('takes its own fields: cutting, special tokens, length', async () => {
    const vector = async (more: object) => {
      const answer = await json('/vllm/v1/embeddings', { model: 'mini', ...more })
      return (answer as { data: { embedding: number[] }[] }).data[0]?.embedding
    }
    const input = 'good bad film film film film film a'
    const { good, bad, film, a } = VOCABULARY
    expect(await vector({ input, truncate_prompt_tokens: -1 })).toEqual(
      near(meanOf(idsFor('good', 'bad', 'film', 'film', 'film', 'film'))),
    )
    expect(await vector({ input, truncate_prompt_tokens: 4 })).toEqual(near(meanOf(idsFor('good', 'bad'))))
    expect(await vector({ input, truncate_prompt_tokens: 4, truncation_side: 'left' })).toEqual(
      near(meanOf(idsFor('film', 'a'))),
    )
    expect(await vector({ input, add_special_tokens: false, truncate_prompt_tokens: -1 })).toEqual(
      near(meanOf([good, bad, film, film, film, film, film, a])),
    )
    expect(await vector({ input: 'good', normalize: false })).toEqual(near(meanOf(idsFor('good'), false)))
    expect(await refusal('/vllm/v1/embeddings', { model: 'mini', input })).toMatchObject({ status: 400 })
  })
})

describe('/pooling', () => {
  const data = async (body: object) => {
    const answer = (await json('/pooling', body)) as { data: { data: unknown }[] }
    return answer.data.map((each) => each.data)
  }

  it('does the task that is named, or what the model was made for', async () => {
    expect(await json('/pooling', { model: 'mini', input: 'good' })).toEqual(
      listOf('pool', 'mini', [{ index: 0, object: 'pooling', data: near(meanOf(idsFor('good'))) }], 3),
    )
    expect(await data({ model: 'mini', input: 'good', task: 'token_embed' })).toEqual([
      idsFor('good').map((id) => near(vectorOf(id))),
    ])
    expect(await data({ model: 'critic', input: 'good' })).toEqual([near([sigmoid(-1), sigmoid(1)])])
    expect(await data({ model: 'critic', input: 'good', use_activation: false, task: 'classify' })).toEqual([[0, 1]])
    const [other, film] = [near([sigmoid(2), sigmoid(-2)]), near([sigmoid(-2), sigmoid(2)])]
    expect(await data({ model: 'tagger', input: 'film a' })).toEqual([[other, film, other, other]])
    expect(await data({ model: 'tagger', input: 'film', task: 'token_classify', use_activation: false })).toEqual([
      [
        [2, 0],
        [0, 2],
        [2, 0],
      ],
    ])
  })

  it('writes base64 of all floats', async () => {
    const [text] = await data({ model: 'mini', input: 'good', task: 'token_embed', encoding_format: 'base64' })
    const bytes = Uint8Array.from(atob(String(text)), (c) => c.charCodeAt(0))
    expect([...new Float32Array(bytes.buffer)]).toEqual(near(idsFor('good').flatMap((id) => [...vectorOf(id)])))
  })
})

describe('/classify', () => {
  it('answers the probabilities of all labels, and the name of the greatest', async () => {
    expect(await json('/vllm/classify', { model: 'critic', input: ['good', 'bad bad'] })).toEqual(
      listOf(
        'classify',
        'critic',
        [
          { index: 0, label: 'fine', probs: near([sigmoid(-1), sigmoid(1)]), num_classes: 2 },
          { index: 1, label: 'poor', probs: near([sigmoid(2), sigmoid(-2)]), num_classes: 2 },
        ],
        7,
      ),
    )
  })
})

describe('/score', () => {
  const scores = async (body: object) => {
    const answer = (await json('/score', { model: 'cross', ...body })) as { data: { score: number }[] }
    return answer.data.map(({ score }) => score)
  }

  it('takes one text with a list, and two lists', async () => {
    expect(await json('/v1/score', { model: 'cross', text_1: 'film', text_2: 'good' })).toEqual(
      listOf('score', 'cross', [{ index: 0, object: 'score', score: expect.closeTo(sigmoid(1), 5) }], 5),
    )
    expect(await scores({ text_1: 'film', text_2: ['good', 'bad'] })).toEqual(near([sigmoid(1), sigmoid(-1)]))
    expect(await scores({ text_1: ['a', 'film'], text_2: ['good', 'bad bad'] })).toEqual(
      near([sigmoid(1), sigmoid(-2)]),
    )
    expect(await scores({ queries: 'film', documents: ['good'], use_activation: false })).toEqual([1])
  })

  it('compares the vectors of a model that embeds', async () => {
    const [query, text] = [meanOf(idsFor('good', 'film')), meanOf(idsFor('bad', 'a'))]
    expect(await scores({ model: 'mini', text_1: ['film', 'film'], text_2: ['a', 'a'] })).toEqual(
      near([dot(query, text), dot(query, text)]),
    )
  })
})

describe('/rerank', () => {
  it('answers documents with their texts', async () => {
    const body = { model: 'cross', query: 'film', documents: ['bad', 'good'], top_n: 1 }
    for (const path of ['/vllm/rerank', '/vllm/v1/rerank', '/vllm/v2/rerank']) {
      expect(await json(path, body)).toEqual({
        id: expect.stringMatching(/^rerank-/),
        model: 'cross',
        usage: { prompt_tokens: 10, total_tokens: 10 },
        results: [
          { index: 1, document: { text: 'good', multi_modal: null }, relevance_score: expect.closeTo(sigmoid(1), 5) },
        ],
      })
    }
    expect(await json('/vllm/rerank', { ...body, top_n: 0 })).toMatchObject({ results: [{ index: 1 }, { index: 0 }] })
  })
})

describe('tokens', () => {
  it('are ids, with their texts where they are wanted, and become a text again', async () => {
    const tokens = idsFor('good', 'film', '##s')
    const answer = { count: 5, max_model_len: 8, tokens, token_strs: null }
    expect(await json('/vllm/tokenize', { model: 'mini', prompt: 'good films' })).toEqual(answer)
    const bare = { model: 'mini', prompt: 'films', add_special_tokens: false, return_token_strs: true }
    expect(await json('/vllm/tokenize', bare)).toEqual({
      count: 2,
      max_model_len: 8,
      tokens: tokens.slice(2, 4),
      token_strs: ['film', '##s'],
    })
    expect(await json('/detokenize', { model: 'mini', tokens: tokens.slice(1, 4) })).toEqual({ prompt: 'good films' })
  })
})

describe('without a model', () => {
  it('means the default one, also where the body says null', async () => {
    const configured = testApp({ models: PROTOCOL_MODELS, addressing: { defaultModel: 'mini' } })
    for (const body of [{ input: 'good' }, { input: 'good', model: null }]) {
      expect(await (await configured.post('/pooling', body)).json()).toMatchObject({
        model: 'mini',
        data: [{ data: near(meanOf(idsFor('good'))) }],
      })
    }
  })
})

describe('what is asked without a body', () => {
  it('models, health and version', async () => {
    const { data } = (await (await request('/vllm/v1/models')).json()) as { data: { id: string }[] }
    expect(data.find(({ id }) => id === 'mini')).toEqual({
      id: 'mini',
      object: 'model',
      created: 0,
      owned_by: 'vllm',
      root: 'mini',
      parent: null,
      max_model_len: 8,
      permission: [],
    })
    for (const [path, method] of [
      ['/health', 'GET'],
      ['/ping', 'GET'],
      ['/ping', 'POST'],
    ] as const) {
      const response = await request(`/vllm${path}`, { method })
      expect([response.status, await response.text()]).toEqual([200, ''])
    }
    expect(await (await request('/vllm/version')).json()).toEqual({ version: '0.0.0-test' })
  })
})

describe('refusals', () => {
  it.each([
    ['an unknown model', '/pooling', { model: 'absent', input: 'a' }, 404],
    ['no model', '/pooling', { input: 'a' }, 400],
    ['a wrong type', '/pooling', { model: 'mini', input: 5 }, 400],
    ['no texts', '/pooling', { model: 'mini', input: [] }, 400],
    ['an empty text', '/pooling', { model: 'mini', input: '' }, 400],
    [
      'a text without tokens of its own among others',
      '/pooling',
      { model: 'mini', input: ['good', '\u0001'], add_special_tokens: false },
      400,
    ],
    [
      'no more tokens than the special ones',
      '/pooling',
      { model: 'mini', input: 'good', truncate_prompt_tokens: 2 },
      400,
    ],
    [
      'no more tokens than the special ones of a pair',
      '/score',
      { model: 'cross', text_1: 'good', text_2: 'good', truncate_prompt_tokens: 3 },
      400,
    ],
    [
      'no more tokens than the special ones of a text to classify',
      '/classify',
      { model: 'critic', input: 'good', truncate_prompt_tokens: 2 },
      400,
    ],
    ['too many texts', '/pooling', { model: 'mini', input: new Array(2_049).fill('a') }, 400],
    ['an unknown field', '/pooling', { model: 'mini', input: 'a', messages: [] }, 400],
    ['an unknown task', '/pooling', { model: 'mini', input: 'a', task: 'plugin' }, 400],
    ['no tokens', '/pooling', { model: 'mini', input: 'a', truncate_prompt_tokens: 0 }, 400],
    ['a model that does not embed', '/pooling', { model: 'critic', input: 'a', task: 'embed' }, 400],
    ['a model that does not classify', '/classify', { model: 'mini', input: 'a' }, 400],
    ['token ids to classify', '/classify', { model: 'critic', input: [5] }, 501],
    ['lists of different lengths', '/score', { model: 'cross', text_1: ['a', 'a'], text_2: ['a'] }, 400],
    ['an empty list', '/score', { model: 'cross', text_1: 'a', text_2: [] }, 400],
    ['one list alone', '/score', { model: 'cross', text_1: 'a' }, 400],
    ['fields of another protocol', '/rerank', { model: 'cross', query: 'a', texts: ['a'] }, 400],
    ['an id that is no token', '/detokenize', { model: 'mini', tokens: [99] }, 400],
    ['speech', '/v1/audio/transcriptions', {}, 501],
  ])('%s', async (_, path, body, status) => {
    expect(await refusal(`/vllm${path}`, body)).toMatchObject({
      status,
      error: { message: expect.stringMatching(/\.$/), type: expect.any(String), code: status },
    })
  })
})
