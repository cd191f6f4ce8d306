import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { identityModel, MATMUL_INNER, matmulModel } from '../fixtures/onnx-models.ts'

const CALLERS = 64

/** Work for some tens of milliseconds in one run: 200 rows times 2 Mi weights. */
const ROWS = 200
const SLOW = {
  inputs: [{ name: 'x', shape: [ROWS, MATMUL_INNER], datatype: 'FP32', data: Array(ROWS * MATMUL_INNER).fill(0.1) }],
}

describe('a Worker with more callers than places', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    await publishModel(writer, 'slow', matmulModel(8 * 1024 * 1024), {
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', MATMUL_INNER] }],
      outputs: [{ name: 'mean', datatype: 'FP32', shape: ['n', 1] }],
    })
    const value = { datatype: 'FP32', shape: ['n'] } as const
    await publishModel(writer, 'echo', identityModel('FP32', ['n']), {
      inputs: [{ name: 'input', ...value }],
      outputs: [{ name: 'output', ...value }],
    })
  })
  afterAll(() => worker.dispose())

  const infer = (model: string, body: unknown, init: RequestInit = {}): Promise<Response> =>
    fetch(`${worker.url}/v2/models/${model}/infer`, { method: 'POST', body: JSON.stringify(body), ...init })

  it(`answers ${CALLERS} concurrent callers: as many as there are places, and 429 at once to the rest`, async () => {
    expect((await infer('slow', SLOW)).status).toBe(200)
    const order: number[] = []
    const answers = await Promise.all(
      Array.from({ length: CALLERS }, async () => {
        const response = await infer('slow', SLOW)
        order.push(response.status)
        return { status: response.status, retryAfter: response.headers.get('retry-after'), body: await response.json() }
      }),
    )
    const served = answers.filter(({ status }) => status === 200)
    const refused = answers.filter(({ status }) => status === 429)
    expect(served.length + refused.length).toBe(CALLERS)
    expect(served.length).toBeGreaterThanOrEqual(LIMITS.admittedRequests)
    expect(refused.length).toBeGreaterThan(0)
    for (const { retryAfter, body } of refused) {
      expect(Number(retryAfter)).toBeGreaterThan(0)
      expect(body).toMatchObject({ error: expect.stringContaining('Too many requests'), code: 'overloaded' })
    }
    // "At once": those refused have their answer before even half of those admitted have theirs.
    const lastRefusal = order.lastIndexOf(429)
    const servedBefore = order.slice(0, lastRefusal).filter((status) => status === 200).length
    expect(servedBefore).toBeLessThan(served.length / 2)
    expect((await infer('slow', SLOW)).status).toBe(200)
  })

  it('stays open to what needs no model while a queue is worked off', async () => {
    const queue = Array.from({ length: LIMITS.admittedRequests }, () => infer('slow', SLOW).then((r) => r.status))
    const order: string[] = []
    for (const answer of queue) void answer.then(() => order.push('run'))
    const health = await fetch(`${worker.url}/healthz`)
    order.push('health')
    expect(health.status).toBe(200)
    expect(await Promise.all(queue)).not.toContain(500)
    expect(order.indexOf('health')).toBeLessThan(order.length / 2)
  })

  it('gives the places of callers who left to others', async () => {
    const leaving = Array.from({ length: LIMITS.admittedRequests }, () => {
      const controller = new AbortController()
      setTimeout(() => controller.abort(), 60)
      return infer('slow', SLOW, { signal: controller.signal }).then(
        () => 'answered',
        () => 'left',
      )
    })
    expect(await Promise.all(leaving)).toContain('left')
    // One run may still be on; the others must have given up their places without running.
    let status = 429
    for (let attempt = 0; attempt < 20 && status === 429; attempt++) {
      const response = await infer('echo', { inputs: [{ name: 'input', shape: [1], datatype: 'FP32', data: [7] }] })
      status = response.status
      if (status === 200) expect(await response.json()).toMatchObject({ outputs: [{ data: [7] }] })
      else await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(status).toBe(200)
  })

  it('honours a deadline while waiting for a turn', async () => {
    const queue = Array.from({ length: LIMITS.admittedRequests - 1 }, () => infer('slow', SLOW))
    // The queue takes over half a second; by now it is there.
    await new Promise((resolve) => setTimeout(resolve, 60))
    const late = await infer('slow', SLOW, { headers: { 'verge-timeout-ms': '40' } })
    expect([504, 429]).toContain(late.status)
    const body = await late.json()
    if (late.status === 504) expect(body).toMatchObject({ code: 'deadline_exceeded' })
    await Promise.all(queue)
    expect((await infer('slow', SLOW)).status).toBe(200)
  })
})
