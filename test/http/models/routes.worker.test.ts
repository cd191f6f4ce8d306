import { describe, expect, it } from 'vitest'
import { CHAT_TEMPLATE_FILE } from '../../../src/catalog/settings/generation.ts'
import { modelCardListSchema, modelDetailSchema } from '../../../src/protocols/models.ts'
import { OPERATOR, type TestModel, testApp, testModel } from '../../fixtures/http.ts'

const HEX = '0'.repeat(64)
const blob = (bytes: number) => ({ sha256: HEX, bytes, chunks: [] })
const artifact = (id: string, bytes: number, places: ('edge' | 'origin' | 'browser')[]) => ({
  ...blob(bytes),
  id,
  format: 'ort' as const,
  dtype: 'fp32',
  places,
})

const tensors = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: ['batch', 4] }],
  outputs: [
    { name: 'y', datatype: 'FP32' as const, shape: [1, 2] },
    { name: 'map', datatype: null, shape: [] },
  ],
}

const models: readonly TestModel[] = [
  testModel('plain', 'public', {
    ...tensors,
    artifacts: [artifact('a', 900, ['edge']), artifact('b', 400, ['origin'])],
  }),
  testModel('picture', 'public', {
    ...tensors,
    task: 'image-classification',
    description: 'Tells cats from dogs.',
    licence: 'MIT',
    labels: ['cat', 'dog'],
    image: { mode: 'RGB', size: [48, 64], fit: 'crop', rescale: 1, layout: 'NCHW' },
  }),
  testModel('writer', 'private', {
    ...tensors,
    task: 'text-generation',
    placement: 'origin',
    artifacts: [],
    generation: { contextLength: 256, stopTokens: [0] },
    files: { [CHAT_TEMPLATE_FILE]: blob(10) },
  }),
]

const listed = async (headers = {}) => {
  const response = await testApp({ models }).request('/models', { headers })
  return modelCardListSchema.parse(await response.json()).models
}
const detail = async (name: string, headers = {}) => {
  const response = await testApp({ models }).request(`/models/${name}`, { headers })
  expect(response.status).toBe(200)
  return modelDetailSchema.strict().parse(await response.json())
}

describe('GET /models', () => {
  it('lists what a card shows, of the models that the caller may see', async () => {
    expect(await listed()).toEqual([
      {
        name: 'picture',
        version: '2',
        task: 'image-classification',
        description: 'Tells cats from dogs.',
        visibility: 'public',
        bytes: 0,
        places: ['edge'],
      },
      { name: 'plain', version: '2', visibility: 'public', bytes: 400, places: ['edge'] },
    ])
    expect((await listed(OPERATOR)).map(({ name }) => name)).toEqual(['picture', 'plain', 'writer'])
  })

  it('leaves out a model that cannot be read', async () => {
    const [plain] = models as [TestModel]
    const broken = { ...plain, alias: { ...plain.alias, model: 'broken', versions: {} } }
    const { request } = testApp({ models: [broken, plain] })
    const response = await request('/models')
    expect(((await response.json()) as { models: { name: string }[] }).models.map(({ name }) => name)).toEqual([
      'plain',
    ])
  })
})

describe('GET /models/{model}', () => {
  it('has what a person needs to try the model', async () => {
    expect(await detail('picture')).toMatchObject({
      licence: 'MIT',
      labels: ['cat', 'dog'],
      image: { width: 64, height: 48, mode: 'RGB', fit: 'crop' },
      example: { inputs: expect.anything() },
    })
    const plain = await detail('plain')
    expect(plain).toMatchObject({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      // What is no tensor cannot be shown as one.
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2] }],
      artifacts: [
        { id: 'a', format: 'ort', dtype: 'fp32', bytes: 900, places: ['edge'] },
        { id: 'b', format: 'ort', dtype: 'fp32', bytes: 400, places: ['origin'] },
      ],
    })
    expect(plain.example).toBeUndefined()
    expect(await detail('writer', OPERATOR)).toMatchObject({
      visibility: 'private',
      bytes: 0,
      places: [],
      generation: { contextLength: 256, chat: true },
    })
  })

  it('names the live version with the largest weight', async () => {
    const [plain] = models as [TestModel]
    const canary = {
      ...plain,
      alias: {
        ...plain.alias,
        live: [
          { version: '2', weight: 1 },
          { version: '1', weight: 9 },
        ],
      },
    }
    const response = await testApp({ models: [canary] }).request('/models/plain')
    expect(await response.json()).toMatchObject({ version: '1' })
  })

  it('answers for private models as for missing ones', async () => {
    const { request } = testApp({ models })
    for (const name of ['writer', 'missing']) {
      const response = await request(`/models/${name}`)
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({ code: 'model_not_found' })
    }
  })
})
