import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import type { Residence } from '../../../src/serving/serving.ts'
import { RunStatistics } from '../../../src/serving/statistics.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'

const TENSORS = {
  task: 'feature-extraction' as const,
  inputs: [
    { name: 'ids', datatype: 'INT64' as const, shape: ['batch', 4] },
    { name: 'words', datatype: 'BYTES' as const, shape: [1] },
    { name: 'odd', datatype: null, shape: [] },
  ],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: ['batch', 2] }],
}

function setup() {
  const done: string[] = []
  const counted = new RunStatistics()
  counted.succeeded('open@2', { start: 'warm', timings: { loadMs: 0, queueMs: 1, runMs: 2.5 } }, 3, 1234)
  const residence: Residence = {
    async pin({ manifest }) {
      if (manifest.model === 'large') throw new VergeError('model_too_large', 'The model needs too much memory.')
      done.push(`pin ${manifest.model}@${manifest.version}`)
    },
    evict: ({ manifest }) => void done.push(`evict ${manifest.model}@${manifest.version}`),
    statistics: ({ manifest }) => counted.of(`${manifest.model}@${manifest.version}`),
  }
  const models = [
    testModel('open', 'public', TENSORS),
    testModel('secret', 'private', TENSORS),
    testModel('large', 'public', TENSORS),
  ]
  const app = testApp({ models, residence, addressing: { modelNames: new Map([['Open AI', 'open']]) } })
  return { done, ...app }
}

describe('the configuration of a model', () => {
  it("is Triton's, with whole shapes and without what is no tensor", async () => {
    const { request } = setup()
    const config = {
      name: 'open',
      platform: 'onnxruntime_onnx',
      backend: 'onnxruntime',
      version_policy: { specific: { versions: ['2'] } },
      max_batch_size: 0,
      input: [
        { name: 'ids', data_type: 'TYPE_INT64', dims: [-1, 4] },
        { name: 'words', data_type: 'TYPE_STRING', dims: [1] },
      ],
      output: [{ name: 'y', data_type: 'TYPE_FP32', dims: [-1, 2] }],
      parameters: { task: { string_value: 'feature-extraction' } },
    }
    expect(await (await request('/v2/models/open/config')).json()).toEqual(config)
    expect(await (await request('/oip/v2/models/open/versions/2/config')).json()).toEqual(config)
    expect(await (await request('/v2/models/Open%20AI/config')).json()).toMatchObject({ name: 'Open AI' })
  })

  it('is shown to whoever may run the model', async () => {
    const { request } = setup()
    expect((await request('/v2/models/secret/config')).status).toBe(404)
    expect((await request('/v2/models/secret/config', { headers: OPERATOR })).status).toBe(200)
    expect((await request('/v2/models/open/versions/1/config')).status).toBe(404)
  })
})

describe('statistics', () => {
  it("are Triton's, in nanoseconds, of each live version or of the one named", async () => {
    const { request } = setup()
    const stats = {
      model_stats: [
        {
          name: 'open',
          version: '2',
          last_inference: 1234,
          inference_count: 3,
          execution_count: 1,
          inference_stats: {
            success: { count: 1, ns: 3_500_000 },
            fail: { count: 0, ns: 0 },
            queue: { count: 1, ns: 1_000_000 },
            compute_infer: { count: 1, ns: 2_500_000 },
            cache_hit: { count: 0, ns: 0 },
            cache_miss: { count: 1, ns: 0 },
          },
        },
      ],
    }
    expect(await (await request('/v2/models/open/stats', { headers: OPERATOR })).json()).toEqual(stats)
    expect(await (await request('/v2/models/open/versions/1/stats', { headers: OPERATOR })).json()).toMatchObject({
      model_stats: [{ version: '1', inference_count: 0 }],
    })
  })
})

describe('a model loaded and unloaded by hand', () => {
  it('is pinned, and let go', async () => {
    const { done, post } = setup()
    const loaded = await post('/v2/repository/models/open/load', '', OPERATOR)
    expect([loaded.status, await loaded.text()]).toEqual([200, ''])
    const body = { parameters: { unload_dependents: false } }
    expect((await post('/v2/repository/models/secret/unload', body, OPERATOR)).status).toBe(200)
    expect(done).toEqual(['pin open@2', 'evict secret@2'])
  })

  it('is refused if it does not fit, or if what was pushed would have to change', async () => {
    const { done, post } = setup()
    expect((await post('/v2/repository/models/large/load', '', OPERATOR)).status).toBe(501)
    const changed = { parameters: { config: '{}' } }
    const refused = await post('/v2/repository/models/open/load', changed, OPERATOR)
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ code: 'invalid_request', error: expect.stringContaining('config') })
    expect(done).toEqual([])
  })
})

describe('what is the operator’s alone', () => {
  const calls = [
    ['GET', '/v2/models/open/stats'],
    ['POST', '/v2/repository/models/open/load'],
    ['POST', '/v2/repository/models/open/unload'],
  ] as const

  it.each(calls)('is refused to others: %s %s', async (method, path) => {
    const { done, request } = setup()
    expect((await request(path, { method })).status).toBe(401)
    expect((await request(path, { method, headers: { authorization: 'Bearer no' } })).status).toBe(401)
    expect((await request(path.replace('open', 'secret'), { method })).status).toBe(404)
    expect((await request(path.replace('open', 'absent'), { method, headers: OPERATOR })).status).toBe(404)
    expect(done).toEqual([])
  })

  it.each(calls)('is refused where nobody keeps models: %s %s', async (method, path) => {
    const { request } = testApp({ models: [testModel('open', 'public', TENSORS)] })
    expect((await request(path, { method, headers: OPERATOR })).status).toBe(403)
  })
})
