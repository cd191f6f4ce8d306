import { describe, expect, it } from 'vitest'
import { encodeVector, VECTOR_ENCODINGS } from '../../../src/protocols/vector-encoding.ts'
import { testApp } from '../../fixtures/http.ts'
import { VOCABULARY } from '../../fixtures/http-tokenizer.ts'
import { M3, M3_OUTPUTS, SPLADE, vectorModel } from '../../fixtures/vector-models.ts'

const { good, bad, film } = VOCABULARY
const SEP = VOCABULARY['[SEP]']
const CLS = VOCABULARY['[CLS]']

const { request, serving } = testApp({
  models: [
    vectorModel('m3', M3_OUTPUTS, M3),
    vectorModel('splade', ['logits'], SPLADE),
    vectorModel('colbert', ['hidden'], { pooling: 'none', tokens: { normalize: true } }),
    vectorModel('mean', ['hidden'], {}),
  ],
})

const post = (path: string, body: unknown) =>
  request(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const answer = async (path: string, body: unknown) => (await post(path, body)).json()
const near = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 6))
const unit = (id: number, other: number) => near([id / Math.hypot(id, other), other / Math.hypot(id, other)])

const goodFilm = {
  dense: near([CLS, good, 0]),
  sparse: { indices: [good, film], values: near([0.2, 0.4]) },
  tokens: { ids: [good, film, SEP], vectors: [unit(good, 3), unit(film, 3), unit(SEP, 3)] },
}

describe('kinds', () => {
  it.each(['/run/m3', '/models/m3', '/models/m3/pipeline/feature-extraction'])(
    'are answered together, from one run: %s',
    async (path) => {
      const kinds = ['dense', 'sparse', 'tokens']
      const before = serving.runs.length
      expect(await answer(path, { inputs: ['good film'], parameters: { kinds } })).toEqual([goodFilm])
      expect(serving.runs.length).toBe(before + 1)
      expect(await answer(path, { inputs: 'good film', kinds: ['sparse'] })).toEqual({ sparse: goodFilm.sparse })
    },
  )

  it('stand beside the embedding at /v1/embeddings', async () => {
    const body = { model: 'm3', input: ['good film', 'bad'], kinds: ['sparse', 'dense', 'tokens'] }
    const { data, usage } = (await answer('/v1/embeddings', body)) as { data: unknown[]; usage: unknown }
    const { dense, ...others } = goodFilm
    expect(data[0]).toEqual({ object: 'embedding', index: 0, embedding: dense, ...others })
    expect(data[1]).toMatchObject({ index: 1, sparse: { indices: [bad] } })
    expect(usage).toEqual({ prompt_tokens: 7, total_tokens: 7 })
  })

  it('are named in the description of a model, where it makes more than one vector a text', async () => {
    const kindsOf = async (model: string) =>
      ((await (await request(`/models/${model}`)).json()) as { kinds?: unknown }).kinds
    expect(await kindsOf('m3')).toEqual(['dense', 'sparse', 'tokens'])
    expect(await kindsOf('splade')).toEqual(['sparse'])
    expect(await kindsOf('colbert')).toEqual(['tokens'])
    expect(await kindsOf('mean')).toBeUndefined()
  })

  it('are those that a model was made for where a request names none', async () => {
    const alone = await answer('/run/splade', { inputs: 'film' })
    expect(alone).toEqual({ indices: expect.arrayContaining([9]), values: expect.any(Array) })
    expect(await answer('/models/splade', { inputs: ['film'] })).toEqual([alone])
    expect(await answer('/run/colbert', { inputs: 'film' })).toEqual([unit(CLS, 1), unit(film, 1), unit(SEP, 1)])
  })

  it.each([
    ['/run/mean', { inputs: 'good', kinds: ['sparse'] }, 'task_mismatch'],
    ['/v1/embeddings', { model: 'splade', input: 'good' }, 'task_mismatch'],
    ['/v1/embeddings', { model: 'm3', input: 'good', kinds: [] }, 'invalid_request'],
    ['/v1/embeddings', { model: 'm3', input: 'good', kinds: ['dense', 'dense'] }, 'invalid_request'],
    ['/run/m3', { inputs: 'good', parameters: { kinds: ['colbert'] } }, 'invalid_request'],
    ['/run/splade', { inputs: 'good', dimensions: 2 }, 'invalid_request'],
    ['/run/m3', { inputs: 'good', prompt: 'x'.repeat(2_001) }, 'invalid_request'],
    ['/v1/embeddings', { model: 'm3', input: ['good', 'bad'], late_chunking: true }, 'invalid_request'],
    ['/v1/embeddings', { model: 'mean', input: [[2, 5, 3]], late_chunking: true }, 'invalid_request'],
  ])('%s refuses %o by %s', async (path, body, code) => {
    const response = await post(path, body)
    const { error } = (await response.json()) as { error: { code: string } }
    expect([response.status, error.code]).toEqual([400, code])
  })
})

describe('encodings', () => {
  const vector = Float32Array.of(CLS, good, 0)

  it.each(VECTOR_ENCODINGS)('write vectors the same way everywhere: %s', async (encoding) => {
    const expected = encodeVector(vector, encoding)
    const { data } = (await answer('/v1/embeddings', { model: 'm3', input: 'good', encoding_format: encoding })) as {
      data: { embedding: unknown }[]
    }
    expect(data[0]?.embedding).toEqual(expected)
    for (const path of ['/run/m3', '/models/m3']) {
      expect(await answer(path, { inputs: ['good'], parameters: { encoding_format: encoding } })).toEqual([expected])
    }
  })

  it('write vectors of tokens too, and leave weights as they are', async () => {
    const body = { inputs: 'good', kinds: ['sparse', 'tokens'], encoding_format: 'ubinary' }
    expect(await answer('/run/m3', body)).toEqual({
      sparse: { indices: [good], values: near([0.2]) },
      tokens: { ids: [good, SEP], vectors: [[0b1100_0000], [0b1100_0000]] },
    })
  })

  it('follow a cut to fewer dimensions', async () => {
    const body = { inputs: 'good film', dimensions: 1, encoding_format: 'int8', kinds: ['dense', 'tokens'] }
    expect(await answer('/run/m3', body)).toMatchObject({ dense: [127], tokens: { vectors: [[127], [127], [127]] } })
  })
})

describe('late chunking', () => {
  it.each([
    ['/v1/embeddings', { model: 'mean', input: ['good film', 'bad'], late_chunking: true }],
    ['/run/mean', { inputs: ['good film', 'bad'], parameters: { late_chunking: true } }],
  ])('reads the texts of one request as one: %s', async (path, body) => {
    const made = (await answer(path, body)) as { data?: { embedding: number[] }[] } & number[][]
    const vectors = made.data?.map(({ embedding }) => embedding) ?? made
    expect(vectors).toEqual([
      [(good + film) / 2, 1],
      [bad, 1],
    ])
  })
})

describe('ranks', () => {
  const documents = ['bad', 'good film', 'film']
  const rank = async (model: string, query: string) => {
    const { results } = (await answer('/rerank', { model, query, documents })) as {
      results: { index: number; relevance_score: number }[]
    }
    return results
  }

  it('by the dot product of sparse vectors', async () => {
    const weight = (ids: readonly number[], w: number) => Math.max(...ids.map((id) => Math.log1p(Math.max(0, w - id))))
    const words = Array.from({ length: 10 }, (_, w) => w)
    const dot = (a: readonly number[], b: readonly number[]) =>
      words.reduce((sum, w) => sum + weight([CLS, ...a, SEP], w) * weight([CLS, ...b, SEP], w), 0)
    for (const { index, relevance_score: score } of await rank('splade', 'good')) {
      expect(score).toBeCloseTo(dot([good], [[bad], [good, film], [film]][index] ?? []), 4)
    }
  })

  it('by MaxSim of token vectors', async () => {
    const vectors = (ids: readonly number[]) =>
      [CLS, ...ids, SEP].map((id) => [id / Math.hypot(id, 1), 1 / Math.hypot(id, 1)])
    const maxSim = (query: readonly number[], text: readonly number[]) =>
      vectors(query).reduce(
        (sum, [x = 0, y = 0]) => sum + Math.max(...vectors(text).map(([u = 0, v = 0]) => x * u + y * v)),
        0,
      )
    const ranked = await rank('colbert', 'good')
    expect(ranked.map(({ index }) => index)).toEqual([1, 0, 2])
    for (const { index, relevance_score: score } of ranked) {
      expect(score).toBeCloseTo(maxSim([good], [[bad], [good, film], [film]][index] ?? []), 5)
    }
    const similar = await answer('/models/colbert/pipeline/sentence-similarity', {
      inputs: { source_sentence: 'good', sentences: documents },
    })
    expect(similar).toEqual(near([[bad], [good, film], [film]].map((ids) => maxSim([good], ids))))
  })

  it('refuse more comparisons than a request may have', async () => {
    const app = testApp({
      models: [vectorModel('colbert', ['hidden'], { pooling: 'none' })],
      limits: { decodeSteps: 20 },
    })
    const body = JSON.stringify({ model: 'colbert', query: 'good', documents: ['good film'] })
    const response = await app.request('/rerank', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect([response.status, await response.json()]).toMatchObject([413, { error: { code: 'input_too_large' } }])
  })
})
