import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { ADDRESSES } from '../../../src/http/addresses.ts'
import { PROTOCOLS } from '../../../src/protocols/names.ts'
import { createTasks } from '../../../src/tasks/index.ts'
import { downloads } from '../../fixtures/downloads.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'
import { bareTokenizer } from '../../fixtures/http-tokenizer.ts'

const eye = testModel(
  'eye',
  'public',
  {
    task: 'image-classification',
    image: { mode: 'L', size: [28, 28], fit: 'mnist', box: 20, rescale: 1, layout: 'NCHW' },
    inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 1, 28, 28] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [1, 2] }],
  },
  { compute: () => new Map([['scores', tensor('FP32', [1, 2], Float32Array.of(1, 2))]]) },
)
const critic = testModel(
  'critic',
  'private',
  {
    task: 'text-classification',
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [1, -1] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [1, 2] }],
  },
  {
    compute: () => new Map([['scores', tensor('FP32', [1, 2], Float32Array.of(1, 2))]]),
    files: { 'tokenizer.json': bareTokenizer() },
  },
)
const raw = testModel('raw', 'public', { inputs: [], outputs: [] })

interface Operation {
  operationId: string
  parameters?: { name: string; in: string }[]
  requestBody?: { content: Record<string, { example?: unknown; examples?: object; schema?: unknown }> }
  responses: Record<string, unknown>
}
interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation> & { parameters?: { name: string; in: string }[] }>
  components: { schemas: Record<string, unknown> }
}

const { request, post } = testApp({ models: [eye, critic, raw], downloads: downloads() })
const document = async (headers: Record<string, string> = {}, query = ''): Promise<Document> =>
  (await request(`/openapi.json${query}`, { headers })).json<Document>()

describe('the OpenAPI document', () => {
  it('has models that are asked for, as far as the caller may see them, and no others', async () => {
    const runs = async (query: string, headers: Record<string, string> = {}) =>
      Object.keys((await document(headers, query)).paths).filter((path) => path.startsWith('/run/'))
    expect(await runs('')).toEqual(['/run/{model}'])
    expect(await runs('?model=eye')).toEqual(['/run/{model}', '/run/eye'])
    expect(await runs('?model=eye&model=critic&model=raw', OPERATOR)).toEqual([
      '/run/{model}',
      '/run/eye',
      '/run/critic',
    ])
    expect((await request('/openapi.json?model=critic')).status).toBe(404)
    const many = Array.from({ length: 17 }, (_, i) => `model=m${i}`).join('&')
    expect((await request(`/openapi.json?${many}`)).status).toBe(400)
    expect(JSON.stringify(await document(OPERATOR))).not.toMatch(/\bcritic\b/)
  })

  it('has the requests of every task, whichever model it is', async () => {
    const content = (await document()).paths['/run/{model}']?.post?.requestBody?.content
    const { examples, schema } = content?.['application/json'] ?? {}
    expect(Object.keys(examples ?? {})).toEqual(Object.keys(createTasks(LIMITS)))
    expect(schema).toMatchObject({
      anyOf: expect.arrayContaining([{ $ref: '#/components/schemas/ObjectDetectionRequest' }]),
    })
    expect(Object.keys(content ?? {})).toEqual(
      expect.arrayContaining(['image/png', 'audio/wav', 'multipart/form-data']),
    )
  })

  it('is whole: references lead somewhere, path parameters are declared, operations have names of their own', async () => {
    const { openapi, paths, components } = await document(OPERATOR)
    expect(openapi).toBe('3.1.0')
    const references = JSON.stringify({ paths, components }).matchAll(/"\$ref":"([^"]+)"/g)
    let count = 0
    for (const [, reference = ''] of references) {
      count++
      expect(Object.keys(components.schemas)).toContain(reference.replace('#/components/schemas/', ''))
    }
    expect(count).toBeGreaterThan(20)
    const ids: string[] = []
    for (const [path, item] of Object.entries(paths)) {
      const { parameters = [], ...operations } = item
      const declared = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
      expect(declared).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))
      for (const operation of Object.values(operations)) {
        ids.push(operation.operationId)
        expect(Object.keys(operation.responses)).toContain(path.startsWith('/stream') ? '101' : '200')
      }
    }
    expect(new Set(ids).size).toBe(ids.length)
    expect(JSON.stringify(components)).not.toMatch(/\$schema|\$defs/)
  })

  it('documents routes that there are', async () => {
    const { paths } = await document(OPERATOR)
    for (const [path, item] of Object.entries(paths)) {
      const real = path
        .replace('{model}', 'eye')
        .replace('{version}', '1')
        .replace('{key}', 'alias/eye')
        .replace('{sha256}', '0'.repeat(64))
      const options = await request(real, { method: 'OPTIONS' })
      const allowed = options.headers.get('allow')?.split(', ')
      for (const method of Object.keys(item)) {
        if (method !== 'parameters') expect(allowed, path).toContain(method.toUpperCase())
      }
    }
  })

  it('documents all routes that there are, but for itself and the page for operators', async () => {
    const documented = Object.keys((await document(OPERATOR)).paths).map((path) => path.replaceAll('/eye', '/{model}'))
    const routes = PROTOCOLS.flatMap((protocol) =>
      ADDRESSES[protocol]
        .filter(({ state }) => state === 'works')
        .map(({ path, root }) =>
          (root === 'always' ? path : `/${protocol}${path === '/' ? '' : path}`).replace('...}', '}'),
        ),
    )
    expect(routes.length).toBeGreaterThan(20)
    for (const path of routes) {
      // The other names of Hugging Face's paths are not repeated.
      if (!/^\/(openapi\.json|operate|hf-inference|pipeline)\b/.test(path)) expect(documented).toContain(path)
    }
  })

  it('has no routes for browsers where they are given nothing', async () => {
    const { request } = testApp({ models: [eye] })
    const { paths } = await (await request('/openapi.json')).json<Document>()
    expect(Object.keys(paths).filter((path) => /^\/(browser|weights)/.test(path))).toEqual([])
    const { links } = await (await request('/')).json<{ links: Record<string, string> }>()
    expect(Object.keys(links)).not.toContain('weights')
  })

  it('says what is accepted: its schemas are those that validate', async () => {
    const { components } = await document(OPERATOR)
    expect(components.schemas.InferRequest).toMatchObject({
      type: 'object',
      required: ['inputs'],
      properties: { inputs: { type: 'array', items: { $ref: '#/components/schemas/InputTensor' } } },
    })
    expect(components.schemas.ImageClassificationRequest).toMatchObject({
      required: ['inputs'],
      additionalProperties: false,
    })
  })

  it('gives examples that work', async () => {
    const { paths } = await document(OPERATOR, '?model=eye&model=critic')
    for (const name of ['eye', 'critic']) {
      const example = paths[`/run/${name}`]?.post?.requestBody?.content['application/json']?.example
      expect(example).toBeDefined()
      const response = await post(`/run/${name}`, example, OPERATOR)
      expect(response.status).toBe(200)
      const task = createTasks(LIMITS)[name === 'eye' ? 'image-classification' : 'text-classification']
      expect(task.response.safeParse(await response.json()).success).toBe(true)
    }
  })
})

describe('the index', () => {
  it('links to what there is', async () => {
    const { links } = await (await request('/')).json<{ links: Record<string, string> }>()
    for (const link of Object.values(links)) {
      if (!link.includes('{')) expect((await request(link)).status).toBe(200)
    }
  })
})
