import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { identityModel, MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

/** Work for some ten milliseconds in one run: 100 rows times a million weights. */
const ROWS = 100
const SLOW = {
  inputs: [{ name: 'x', shape: [ROWS, MATMUL_INNER], datatype: 'FP32', data: Array(ROWS * MATMUL_INNER).fill(0.1) }],
}
const ECHO = { inputs: [{ name: 'input', shape: [1], datatype: 'FP32', data: [7] }] }

describe('a Worker with many callers', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker({ RESULT_CACHE_TTL_SECONDS: '600' })
    const writer = await writerFor(worker)
    const slow = {
      inputs: [{ name: 'x', datatype: 'FP32' as const, shape: ['n', MATMUL_INNER] }],
      outputs: [{ name: 'mean', datatype: 'FP32' as const, shape: ['n', 1] }],
    }
    const model = matmulModel(4 * 1024 * 1024)
    const uncached = { extra: { cache: false } } as const
    await publishModel(writer, 'slow', model, slow, uncached)
    // Five of these are more than callers wait for.
    await publishModel(writer, 'heavy', model, slow, {
      ...uncached,
      artifact: { cost: { base: 45_000, perElement: 0 } },
    })
    const value = { datatype: 'FP32', shape: ['n'] } as const
    const echo = { inputs: [{ name: 'input', ...value }], outputs: [{ name: 'output', ...value }] }
    await publishModel(writer, 'echo', identityModel('FP32', ['n']), echo, uncached)
    await publishModel(writer, 'kept', identityModel('FP32', ['n']), echo, { extra: { cache: { ttlSeconds: 600 } } })
  })
  afterAll(() => worker.dispose())

  const infer = (model: string, body: unknown, init: RequestInit = {}): Promise<Response> =>
    fetch(`${worker.url}/v2/models/${model}/infer`, { method: 'POST', body: JSON.stringify(body), ...init })
  const statusOf = async (answer: Promise<Response>): Promise<number> => {
    const response = await answer
    await response.arrayBuffer()
    return response.status
  }

  it('answers 64 of them at once, as long as all of it is done before they would leave', async () => {
    const statuses = await Promise.all(Array.from({ length: 64 }, () => statusOf(infer('slow', SLOW))))
    expect(statuses).toEqual(new Array(64).fill(200))
  })

  it('answers thirty calls at once for a small model, and for a kept answer', async () => {
    const small = await Promise.all(Array.from({ length: 30 }, () => statusOf(infer('echo', ECHO))))
    expect(small).toEqual(new Array(30).fill(200))
    expect(await statusOf(infer('kept', ECHO))).toBe(200)
    await expect
      .poll(async () => (await infer('kept', ECHO)).headers.get('verge-placement'), { timeout: 10_000 })
      .toContain('start=cached')
    const kept = await Promise.all(Array.from({ length: 30 }, () => statusOf(infer('kept', ECHO))))
    expect(kept).toEqual(new Array(30).fill(200))
  })

  it('refuses with 429 and a time to come back what would wait for longer, and nothing else', async () => {
    const answers = await Promise.all(
      Array.from({ length: 32 }, async () => {
        const response = await infer('heavy', SLOW)
        return { status: response.status, retryAfter: response.headers.get('retry-after'), body: await response.json() }
      }),
    )
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
    for (const { status, retryAfter, body } of answers) {
      if (status === 200) continue
      expect(status).toBe(429)
      expect(Number(retryAfter)).toBeGreaterThan(0)
      expect(body).toMatchObject({ error: expect.stringContaining('too many requests'), code: 'overloaded' })
    }
    expect(await statusOf(infer('heavy', SLOW))).toBe(200)
  })

  it('stays open to what needs no model while a queue is worked off', async () => {
    const order: string[] = []
    const queue = Array.from({ length: 32 }, () => statusOf(infer('slow', SLOW)).then(() => order.push('run')))
    await Promise.race(queue)
    const health = await fetch(`${worker.url}/healthz`)
    order.push('health')
    expect(health.status).toBe(200)
    await Promise.all(queue)
    expect(order.indexOf('health')).toBeLessThan(order.length - 1)
  })

  it('goes on at once when callers leave', async () => {
    const controller = new AbortController()
    const answers = Array.from({ length: 32 }, () => statusOf(infer('slow', SLOW, { signal: controller.signal })))
    const outcomes = answers.map((answer) =>
      answer.then(
        () => 'answered',
        () => 'left',
      ),
    )
    await Promise.race(answers)
    controller.abort()
    expect(await Promise.all(outcomes)).toContain('left')
    const response = await infer('echo', ECHO)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ outputs: [{ data: [7] }] })
  })

  it('honours a deadline while waiting for a turn', async () => {
    let busy = true
    const loops = Array.from({ length: 8 }, async () => {
      while (busy) await statusOf(infer('slow', SLOW))
    })
    const late = await infer('slow', SLOW, { headers: { 'verge-timeout-ms': '1' } })
    busy = false
    expect(late.status).toBe(504)
    expect(await late.json()).toMatchObject({ code: 'deadline_exceeded' })
    await Promise.all(loops)
    expect(await statusOf(infer('slow', SLOW))).toBe(200)
  })

  it('answers others while a hundred callers send their bodies slowly, and ends those', async () => {
    const { hostname, port } = new URL(worker.url)
    const slow = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket: Socket = connect(Number(port), hostname)
        await once(socket, 'connect')
        socket.on('error', () => {})
        socket.write(`POST /v2/models/echo/infer HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 1000\r\n\r\n{`)
        return socket
      }),
    )
    try {
      const statuses = await Promise.all(Array.from({ length: 20 }, () => statusOf(infer('echo', ECHO))))
      expect(statuses).toEqual(new Array(20).fill(200))
      const [first] = slow
      const [answer] = (await once(first as Socket, 'data')) as [Buffer]
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"body_too_slow"/)
    } finally {
      for (const socket of slow) socket.destroy()
    }
    expect(await statusOf(infer('echo', ECHO))).toBe(200)
  })
})
