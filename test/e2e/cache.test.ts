import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const KEY = 'a-key-for-the-cache-0123456789'
const OPERATOR = { authorization: `Bearer ${KEY}` }
/** A million weights: a place of the input costs about a unit. */
const WEIGHTS_BYTES = 4 * 1024 * 1024
const COST_LIMIT = 200
const SIGNATURE = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', MATMUL_INNER] }],
  outputs: [{ name: 'mean', datatype: 'FP32', shape: ['n', 1] }],
} as const

describe('a Worker with a result cache and a limit of cost', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker({
      VERGE_API_KEY: KEY,
      RESULT_CACHE_TTL_SECONDS: '600',
      REQUEST_COST_LIMIT: String(COST_LIMIT),
    })
    const writer = await writerFor(worker)
    const weights = matmulModel(WEIGHTS_BYTES)
    await publishModel(writer, 'open', weights, SIGNATURE)
    await publishModel(writer, 'secret', weights, SIGNATURE, { visibility: 'private' })
    await publishModel(writer, 'never', weights, SIGNATURE, { extra: { cache: false } })
    await publish(writer, await packFolder(join(ROOT, 'models/digits')))
  })
  afterAll(() => worker.dispose())

  const infer = async (model: string, rows: number, value: number, headers: Record<string, string> = {}) => {
    const input = {
      name: 'x',
      shape: [rows, MATMUL_INNER],
      datatype: 'FP32',
      data: Array(rows * MATMUL_INNER).fill(value),
    }
    const response = await fetch(`${worker.url}/v2/models/${model}/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [input] }),
      headers,
    })
    const { status } = response
    return {
      status,
      cache: response.headers.get('verge-cache'),
      headers: response.headers,
      body: await response.json(),
    }
  }
  /** What was kept is there once what follows the answer is done. */
  const untilHit = async (ask: () => Promise<{ cache: string | null; body: unknown }>) => {
    for (let attempt = 0; attempt < 100; attempt++) {
      const answer = await ask()
      if (answer.cache === 'hit') return answer
      expect(answer.cache).toBe('miss')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error('it never hit')
  }

  it('answers tensors from the cache, exactly, and says so', async () => {
    const first = await infer('open', 20, 0.25)
    expect(first).toMatchObject({ status: 200, cache: 'miss' })
    const again = await untilHit(() => infer('open', 20, 0.25))
    expect(again.body).toEqual(first.body)
    expect((await infer('open', 20, 0.25)).headers.get('verge-placement')).toBe(
      'edge;artifact="edge-fp32";start=cached;reason=result-cache',
    )
    expect((await infer('open', 20, 0.26)).cache).toBe('miss')
  })

  it('answers tasks from the cache, whatever form the picture comes in', async () => {
    const picture = readFileSync(join(ROOT, 'models/digits/samples/seven.png'))
    const run = async (body: Uint8Array<ArrayBuffer> | string, type: string) => {
      const response = await fetch(`${worker.url}/run/digits`, {
        method: 'POST',
        body,
        headers: { 'content-type': type },
      })
      return { cache: response.headers.get('verge-cache'), body: await response.json() }
    }
    const first = await run(new Uint8Array(picture), 'image/png')
    expect(first).toMatchObject({ cache: 'miss', body: [{ label: '7' }, {}, {}, {}, {}] })
    expect((await untilHit(() => run(new Uint8Array(picture), 'image/png'))).body).toEqual(first.body)
    // Parameters that act on the outputs act on kept ones too.
    const json = JSON.stringify({ inputs: picture.toString('base64'), parameters: { top_k: 1 } })
    expect(await run(json, 'application/json')).toEqual({ cache: 'hit', body: (first.body as unknown[]).slice(0, 1) })
  })

  it('leaves no trace where the request or the model says so', async () => {
    for (const [model, headers] of [
      ['open', { 'cache-control': 'no-store' }],
      ['never', {}],
    ] as const) {
      for (let i = 0; i < 3; i++) expect((await infer(model, 20, 0.5, headers)).cache).toBe('bypass')
    }
    expect((await infer('open', 20, 0.5)).cache).toBe('miss')
    await untilHit(() => infer('open', 20, 0.5))
    expect((await infer('open', 20, 0.5, { 'cache-control': 'no-cache' })).cache).toBe('bypass')
  })

  it('is asked only after authorization', async () => {
    expect((await infer('secret', 20, 0.75, OPERATOR)).cache).toBe('miss')
    await untilHit(() => infer('secret', 20, 0.75, OPERATOR))
    const stranger = await infer('secret', 20, 0.75)
    expect(stranger).toMatchObject({ status: 404, cache: null, body: { code: 'model_not_found' } })
    // The same weights under a public name do not answer with what a private model's caller asked.
    expect((await infer('open', 20, 0.75)).cache).toBe('miss')
  })

  it('lets a run that is cheaper than a look-up alone', async () => {
    expect((await infer('open', 1, 0.1)).cache).toBe('bypass')
  })

  it('refuses what costs too much before it runs, whatever was kept, and goes on', async () => {
    const rows = COST_LIMIT + 10
    const refused = await infer('open', rows, 0.1)
    expect(refused).toMatchObject({ status: 413, cache: null, body: { code: 'cost_too_high', limit_cost: COST_LIMIT } })
    expect((refused.body as { cost: number }).cost).toBeGreaterThan(COST_LIMIT)
    expect((refused.body as { error: string }).error).toMatch(
      /costs \d+ units; the limit of a request is 200.*fewer or smaller items/,
    )
    expect((await infer('open', 20, 0.1)).status).toBe(200)
  })
})
