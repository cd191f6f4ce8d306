import { expect, it } from 'vitest'
import { testApp } from '../../fixtures/http.ts'
import { idsFor, meanOf, PROTOCOL_MODELS } from '../../fixtures/protocol-models.ts'

const { post } = testApp({ models: PROTOCOL_MODELS })
const json = async (path: string, body: unknown) => {
  const response = await post(path, body)
  return { status: response.status, ...((await response.json()) as object) }
}
const near = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 5))

it('answers a vector for each text, cut unless the request says otherwise', async () => {
  const long = 'good bad film film film film film a'
  expect(await json('/api/embed', { model: 'mini:latest', input: ['good', long] })).toEqual({
    status: 200,
    model: 'mini:latest',
    embeddings: [near(meanOf(idsFor('good'))), near(meanOf(idsFor('good', 'bad', 'film', 'film', 'film', 'film')))],
    total_duration: expect.any(Number),
    load_duration: 0,
    prompt_eval_count: 11,
  })
  expect(await json('/api/embed', { model: 'mini', input: long, truncate: false })).toMatchObject({ status: 413 })
  expect(await json('/api/embeddings', { model: 'mini', prompt: 'good' })).toEqual({
    status: 200,
    embedding: near(meanOf(idsFor('good'))),
  })
})

it('loads the model where there is no text', async () => {
  for (const input of [undefined, null, '', []]) {
    expect(await json('/api/embed', { model: 'mini', input })).toMatchObject({ status: 200, embeddings: [] })
  }
  expect(await json('/api/embeddings', { model: 'mini' })).toEqual({ status: 200, embedding: [] })
})

it.each([
  ['a wrong type', { input: 5 }, 400],
  ['an empty text among others', { input: ['good', ''] }, 400],
  ['an unknown field', { input: 'good', pooling: 'mean' }, 400],
  ['more dimensions than there are', { input: 'good', dimensions: 99 }, 400],
  ['a model of another task', { model: 'critic', input: 'good' }, 400],
  ['an unknown model', { model: 'absent', input: 'good' }, 404],
])('refuses %s', async (_, body, status) => {
  expect(await json('/api/embed', { model: 'mini', ...body })).toMatchObject({
    status,
    error: expect.stringMatching(/\.$/),
  })
})
