import { describe, expect, it } from 'vitest'
import { modelNamed } from '../../src/http/model-names.ts'
import { TASK_CASES } from '../contract/task-cases.ts'
import { OPERATOR, testApp, testModel } from '../fixtures/http.ts'

const { compute, files, manifest } = TASK_CASES['feature-extraction']
const mini = (visibility: 'public' | 'private') =>
  testModel(
    'mini',
    visibility,
    { ...manifest, model: 'mini' },
    { ...(files && { files }), ...(compute && { compute }) },
  )
const names = new Map([
  ['@cf/baai/bge-m3', 'mini'],
  ['text-embedding-3-small', 'mini'],
  ['absent', 'gone'],
])
const app = (visibility: 'public' | 'private' = 'public') =>
  testApp({ models: [mini(visibility)], addressing: { modelNames: names } })

it('a name that the table has not means itself', () => {
  expect(modelNamed('mini', names)).toBe('mini')
  expect(modelNamed('mini', undefined)).toBe('mini')
  expect(modelNamed('@cf/baai/bge-m3', names)).toBe('mini')
})

describe('a name of the operator', () => {
  it('finds the model in a body, and is echoed', async () => {
    const answer = await app().post('/v1/embeddings', { model: '@cf/baai/bge-m3', input: 'the' })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ model: '@cf/baai/bge-m3' })
    expect(answer.headers.get('verge-model')).toMatch(/^mini@/)
    const own = await app().post('/v1/embeddings', { model: 'mini', input: 'the' })
    expect(await own.json()).toMatchObject({ model: 'mini' })
  })

  it('finds the model in a path, and is echoed', async () => {
    const { post, request } = app()
    const run = await post('/run/text-embedding-3-small', { inputs: 'the' })
    expect(run.status).toBe(200)
    expect(await (await request('/v1/models/text-embedding-3-small')).json()).toMatchObject({
      id: 'text-embedding-3-small',
    })
    expect(await (await request('/v2/models/%40cf%2Fbaai%2Fbge-m3')).json()).toMatchObject({ name: '@cf/baai/bge-m3' })
  })

  it('gives no more access than the model’s own', async () => {
    const { post } = app('private')
    const body = { model: 'text-embedding-3-small', input: 'the' }
    expect((await post('/v1/embeddings', body)).status).toBe(404)
    expect((await post('/v1/embeddings', body, OPERATOR)).status).toBe(200)
  })

  it('may mean a model that is gone', async () => {
    expect((await app().post('/v1/embeddings', { model: 'absent', input: 'the' })).status).toBe(404)
  })
})
