import { describe, expect, it } from 'vitest'
import { testApp } from '../../fixtures/http.ts'
import { idsFor, meanOf, PROTOCOL_MODELS, vectorOf } from '../../fixtures/protocol-models.ts'

const { post } = testApp({ models: PROTOCOL_MODELS })
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

describe('/v1/embeddings', () => {
  const vectors = async (more: object): Promise<unknown[]> => {
    const answer = (await json('/jina/v1/embeddings', { model: 'mini', ...more })) as { data: { embedding: unknown }[] }
    return answer.data.map(({ embedding }) => embedding)
  }

  it('answers vectors with the tokens that they took', async () => {
    expect(await json('/jina/v1/embeddings', { model: 'mini', input: ['good', { text: 'film' }] })).toEqual({
      model: 'mini',
      object: 'list',
      usage: { total_tokens: 6, prompt_tokens: 6 },
      data: [
        { object: 'embedding', index: 0, embedding: near(meanOf(idsFor('good'))) },
        { object: 'embedding', index: 1, embedding: near(meanOf(idsFor('film'))) },
      ],
    })
    expect(await vectors({ input: 'good' })).toEqual([near(meanOf(idsFor('good')))])
  })

  it('takes the prompt that a task means', async () => {
    expect(await vectors({ input: ['film'], task: 'retrieval.query' })).toEqual([near(meanOf(idsFor('good', 'film')))])
    expect(await vectors({ input: ['film'], task: 'retrieval.passage' })).toEqual([near(meanOf(idsFor('bad', 'film')))])
    expect(await vectors({ input: ['film'], task: 'text-matching' })).toEqual([near(meanOf(idsFor('film')))])
  })

  it('writes vectors in one encoding, or in several by their names', async () => {
    const input = ['good']
    expect(await vectors({ input, embedding_type: 'ubinary' })).toEqual([[0b1110_0000]])
    expect(await vectors({ input, embedding_type: ['binary', 'float'] })).toEqual([
      { binary: [0b1110_0000 - 128], float: near(meanOf(idsFor('good'))) },
    ])
    const [base64] = await vectors({ input, encoding_format: 'base64' })
    expect(base64).toEqual(expect.stringMatching(/^[\w+/]{16}$/))
    expect(await vectors({ input, normalized: false })).toEqual([near(meanOf(idsFor('good'), false))])
  })

  it('cuts long texts where it is asked to, and refuses them otherwise', async () => {
    const input = ['good bad film film film film film a']
    expect(await vectors({ input, truncate: true })).toEqual([
      near(meanOf(idsFor('good', 'bad', 'film', 'film', 'film', 'film'))),
    ])
    expect(await refusal('/jina/v1/embeddings', { model: 'mini', input })).toMatchObject({ status: 400 })
  })

  it('reads all texts as one for late chunking, and pools each over its own tokens', async () => {
    const [good = [], film = []] = [vectorOf(5), vectorOf(7)].map((vector) => {
      const length = Math.hypot(...vector)
      return vector.map((value) => value / length)
    })
    expect(await vectors({ input: ['good', 'film'], late_chunking: true })).toEqual([near(good), near(film)])
    const many = { model: 'mini', input: new Array(9).fill('film'), late_chunking: true }
    expect(await refusal('/jina/v1/embeddings', many)).toMatchObject({ status: 400 })
  })
})

describe('/v1/multi-vector', () => {
  it('answers a vector for each token, with the prompt of the type of input', async () => {
    const answer = (await json('/v1/multi-vector', { model: 'mini', input: ['film'], input_type: 'query' })) as {
      data: { object: string; index: number; embeddings: number[][] }[]
      usage: object
    }
    expect(answer.usage).toEqual({ total_tokens: 4, prompt_tokens: 4 })
    expect(answer.data).toEqual([
      { object: 'embeddings', index: 0, embeddings: idsFor('good', 'film').map((id) => near(vectorOf(id))) },
    ])
    expect(await json('/jina/v1/embeddings', { model: 'mini', input: 'film', return_multivector: true })).toMatchObject(
      {
        data: [{ object: 'embeddings', embeddings: idsFor('film').map((id) => near(vectorOf(id))) }],
      },
    )
  })
})

describe('/v1/rerank', () => {
  it('answers documents unless they are not wanted', async () => {
    const body = { model: 'cross', query: 'film', documents: ['bad', { text: 'good' }], top_n: 1 }
    expect(await json('/jina/v1/rerank', body)).toEqual({
      model: 'cross',
      object: 'list',
      usage: { total_tokens: 10 },
      results: [{ index: 1, relevance_score: expect.closeTo(sigmoid(1), 5), document: { text: 'good' } }],
    })
    expect(await json('/jina/v1/rerank', { ...body, return_documents: false })).toMatchObject({
      results: [{ index: 1, relevance_score: expect.closeTo(sigmoid(1), 5) }],
    })
  })
})

describe('/v1/classify', () => {
  it('takes the label whose vector is nearest', async () => {
    const input = ['good', 'bad']
    const labels = ['good', 'film']
    const answer = (await json('/jina/v1/classify', { model: 'mini', input, labels })) as {
      data: { prediction: string; score: number; predictions: { label: string; score: number }[] }[]
      usage: { total_tokens: number }
    }
    expect(answer.usage.total_tokens).toBe(12)
    const dot = (a: readonly number[], b: readonly number[]) =>
      a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
    for (const [i, text] of (['good', 'bad'] as const).entries()) {
      const cosines = [5, 7].map((id) => dot(meanOf(idsFor(text)), meanOf([2, id, 3])))
      const sum = cosines.reduce((total, cosine) => total + Math.exp(cosine), 0)
      const scores = cosines.map((cosine) => Math.exp(cosine) / sum)
      expect(answer.data[i]).toEqual({
        object: 'classification',
        index: i,
        prediction: scores[0] === Math.max(...scores) ? 'good' : 'film',
        score: expect.closeTo(Math.max(...scores), 5),
        predictions: labels.map((label, at) => ({ label, score: expect.closeTo(scores[at] ?? 0, 5) })),
      })
    }
  })
})

describe('refusals', () => {
  it.each([
    ['an unknown model', '/v1/embeddings', { model: 'absent', input: ['a'] }, 404],
    ['a wrong type', '/v1/embeddings', { model: 'mini', input: 5 }, 422],
    ['token ids', '/v1/embeddings', { model: 'mini', input: [[5]] }, 422],
    ['no texts', '/v1/embeddings', { model: 'mini', input: [] }, 422],
    ['an empty text', '/v1/embeddings', { model: 'mini', input: [''] }, 422],
    ['too many texts', '/v1/embeddings', { model: 'mini', input: new Array(2_049).fill('a') }, 400],
    ['an unknown field', '/v1/embeddings', { model: 'mini', input: ['a'], tasks: 'x' }, 422],
    ['an unknown task', '/v1/embeddings', { model: 'mini', input: ['a'], task: 'absent' }, 422],
    [
      'a task for code of a model without its prompt',
      '/v1/embeddings',
      { model: 'mini', input: ['a'], task: 'qa.query' },
      422,
    ],
    ['pictures', '/v1/embeddings', { model: 'mini', input: [{ image: 'AA==' }] }, 501],
    ['a model of another task', '/v1/embeddings', { model: 'critic', input: ['a'] }, 422],
    ['no documents', '/v1/rerank', { model: 'cross', query: 'a', documents: [] }, 422],
    ['one label', '/v1/classify', { model: 'mini', input: ['a'], labels: ['a'] }, 422],
    [
      'more labels than there is room for',
      '/v1/classify',
      { model: 'mini', input: new Array(512).fill('a'), labels: new Array(512).fill('a') },
      400,
    ],
    [
      'long labels that the answer would repeat for each text',
      '/v1/classify',
      { model: 'mini', input: new Array(100).fill('a'), labels: ['a', `good${' a'.repeat(50_000)}`] },
      400,
    ],
    ['an encoding twice', '/v1/embeddings', { model: 'mini', input: ['a'], embedding_type: ['float', 'float'] }, 422],
    ['training', '/v1/train', {}, 501],
  ])('%s', async (_, path, body, status) => {
    expect(await refusal(`/jina${path}`, body)).toMatchObject({ status, detail: expect.stringMatching(/\.$/) })
  })
})
