/** Limits where nobody holds a key, where streams open, and where bodies go on to an origin: a Worker with its real ledger. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { loudnessModel } from '../fixtures/docs-models.ts'
import { storeKey } from '../fixtures/node/key-record.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import type { StandIn } from '../fixtures/node/origin-stand-in.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { openStream } from '../fixtures/node/streams.ts'
import { startTriton, type TritonModel } from '../fixtures/node/triton-stand-in.ts'
import { SILERO_WINDOW } from '../fixtures/silero.ts'

const SIGNATURE = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', MATMUL_INNER] }],
  outputs: [{ name: 'mean', datatype: 'FP32', shape: ['n', 1] }],
} as const
const SPEECH = {
  inputs: [
    { name: 'input', datatype: 'FP32', shape: ['n', 576] },
    { name: 'state', datatype: 'FP32', shape: [2, 'n', 128] },
    { name: 'sr', datatype: 'INT64', shape: [] },
  ],
  outputs: [
    { name: 'output', datatype: 'FP32', shape: ['n', 1] },
    { name: 'stateN', datatype: 'FP32', shape: [2, 'n', 128] },
  ],
} as const
/** A day, so that no window ends meanwhile unless midnight is met. */
const TWO = '2/86400s'
const PLANS = {
  anonymous: { rate: TWO },
  streams: { rate: TWO },
  single: { batch: 1 },
  small: { bodyBytes: 3_000 },
}

/** Another project's server, which knows nothing of plans. */
const ELSEWHERE: TritonModel = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, MATMUL_INNER] }],
  outputs: [{ name: 'mean', datatype: 'FP32', shape: [-1, 1] }],
  compute: (inputs) => {
    const rows = inputs.get('x')?.shape[0] ?? 0
    return new Map([['mean', { datatype: 'FP32', shape: [rows, 1], bytes: Buffer.alloc(4 * rows) }]])
  },
}

let worker: LiveWorker
let triton: StandIn
const keyOf = (plan: keyof typeof PLANS) => storeKey(worker, plan, { plan })
const bodyOf = (rows: number): string =>
  JSON.stringify({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, MATMUL_INNER], data: Array(rows * MATMUL_INNER).fill(1) }],
  })

beforeAll(async () => {
  triton = await startTriton({ elsewhere: ELSEWHERE })
  worker = await startLiveWorker({
    PLANS: JSON.stringify(PLANS),
    MODEL_LIMITS: JSON.stringify({ busy: { rate: TWO } }),
    ORIGINS: JSON.stringify([
      { name: 'triton', kind: 'oip', url: triton.url, models: ['elsewhere'], auth: { type: 'none' } },
    ]),
  })
  const writer = await writerFor(worker)
  for (const name of ['mean', 'busy']) await publishModel(writer, name, matmulModel(4_096), SIGNATURE)
  await publishModel(writer, 'elsewhere', matmulModel(4_096), SIGNATURE, { artifact: { places: ['origin'] } })
  await publishModel(writer, 'speech', loudnessModel(), SPEECH, {
    extra: { task: 'voice-activity-detection', audio: { sampleRate: 16_000, normalize: false, window: SILERO_WINDOW } },
  })
}, 120_000)
afterAll(async () => {
  await worker?.dispose()
  await triton?.close()
})

async function infer(model: string, options: { address?: string; key?: string; rows?: number } = {}) {
  const { address, key, rows = 1 } = options
  const response = await fetch(`${worker.url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: {
      ...(address !== undefined && { 'cf-connecting-ip': address }),
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    },
    body: bodyOf(rows),
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

describe('callers without a key', () => {
  it('have the plan "anonymous", each address for itself', async () => {
    const from = async (address: string) => {
      const statuses: number[] = []
      for (let i = 0; i < 3; i++) statuses.push((await infer('mean', { address })).status)
      return statuses
    }
    expect(await from('203.0.113.7')).toEqual([200, 200, 429])
    expect(await from('203.0.113.8')).toEqual([200, 200, 429])
    // An IPv6 network is one caller.
    expect((await infer('mean', { address: '2001:db8:0:1::1' })).status).toBe(200)
    expect((await infer('mean', { address: '2001:db8:0:1::2' })).status).toBe(200)
    const refused = await infer('mean', { address: '2001:db8:0:1:ffff::3' })
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(refused.text).toContain('rate_limited')
  })
})

describe('MODEL_LIMITS', () => {
  it('hold for all callers together, and for that model alone', async () => {
    const one = await storeKey(worker, 'one')
    const two = await storeKey(worker, 'two')
    expect((await infer('busy', { key: one })).status).toBe(200)
    expect((await infer('busy', { key: two })).status).toBe(200)
    const refused = await infer('busy', { key: one })
    expect(refused.status).toBe(429)
    expect(refused.text).toContain('rate_limited')
    expect((await infer('mean', { key: one })).status).toBe(200)
  })
})

describe('a stream', () => {
  it('is closed with 4429 when it is opened beyond a rate', async () => {
    const protocols = ['verge-stream', `verge-bearer.${Buffer.from(await keyOf('streams')).toString('base64url')}`]
    for (let i = 0; i < 2; i++) {
      const stream = openStream(worker.url, '/stream/speech', protocols)
      await stream.first('ready')
      stream.socket.close()
      await stream.closed
    }
    const refused = openStream(worker.url, '/stream/speech', protocols)
    expect(await refused.closed).toBe(4429)
    expect(refused.messages).toMatchObject([{ type: 'error', error: { code: 'rate_limited' } }])
  })
})

describe('what goes on to an origin', () => {
  it('has its inputs counted, whoever the origin is', async () => {
    const key = await keyOf('single')
    const before = triton.asked.length
    const answered = await infer('elsewhere', { key })
    expect(answered.status, answered.text).toBe(200)
    expect(answered.headers.get('verge-placement')).toContain('triton')
    expect(triton.asked.length).toBeGreaterThan(before)
    const asked = triton.asked.length
    const refused = await infer('elsewhere', { key, rows: 2 })
    expect(refused.status).toBe(413)
    expect(refused.text).toContain('Your plan allows 1 inputs')
    expect(triton.asked.length).toBe(asked)
    // Nothing of that holds for others.
    expect((await infer('elsewhere', { key: await storeKey(worker, 'free'), rows: 2 })).status).toBe(200)
  })

  it('keeps to the bytes of the plan where its length is not declared', async () => {
    const send = async (key: string, pieces: number) => {
      const response = await fetch(`${worker.url}/v2/models/elsewhere/infer`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: ReadableStream.from(
          (async function* () {
            yield new TextEncoder().encode(bodyOf(1))
            for (let i = 0; i < pieces; i++) yield new Uint8Array(1_000).fill(32)
          })(),
        ),
        duplex: 'half',
      } as RequestInit)
      return { status: response.status, text: await response.text() }
    }
    const key = await keyOf('small')
    expect(bodyOf(1).length).toBeLessThan(2_000)
    expect((await send(key, 0)).status).toBe(200)
    const refused = await send(key, 5)
    expect(refused.status, refused.text).toBe(413)
    expect(refused.text).toContain('Your plan allows bodies of up to 3000 bytes')
    expect((await send(await storeKey(worker, 'free'), 5)).status).toBe(200)
  })
})
