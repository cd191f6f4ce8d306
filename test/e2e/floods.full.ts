/** Floods against a Worker whose limits of the platform are bound: workerd's own, which count as wrangler dev's do. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeKey } from '../../src/access/keys/form.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { storeKey } from '../fixtures/node/key-record.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const PER_MINUTE = 5
/** A minute may end meanwhile, so twice as many come before a refusal, fewer than the isolate itself lets try. */
const MOST = 2 * PER_MINUTE + 1
const SIGNATURE = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', MATMUL_INNER] }],
  outputs: [{ name: 'mean', datatype: 'FP32', shape: ['n', 1] }],
} as const
const BODY = JSON.stringify({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, MATMUL_INNER], data: Array(MATMUL_INNER).fill(1) }],
})

let worker: LiveWorker

beforeAll(async () => {
  worker = await startLiveWorker({}, [], undefined, { ADDRESS_RATE: PER_MINUTE, KEY_RATE: PER_MINUTE })
  await publishModel(await writerFor(worker), 'mean', matmulModel(4_096), SIGNATURE)
})
afterAll(() => worker?.dispose())

const wrongKey = (): string => makeKey((length) => randomBytes(length)).text

/** A list, which nobody is limited for, or a run. @returns the status, and which limit refused it */
async function send(path: '/v1/models' | '/v2/models/mean/infer', address: string, key?: string): Promise<string> {
  const response = await fetch(`${worker.url}${path}`, {
    headers: { 'cf-connecting-ip': address, ...(key !== undefined && { authorization: `Bearer ${key}` }) },
    ...(path === '/v1/models' ? {} : { method: 'POST', body: BODY }),
  })
  const text = await response.text()
  const limit = /"limit": ?"(\w+)"/.exec(text)?.[1]
  if (response.status === 429) expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
  return limit === undefined ? String(response.status) : `${response.status} ${limit}`
}

/** What becomes of requests, one after the other, up to the first that is refused. */
async function untilRefused(request: () => Promise<string>): Promise<string[]> {
  const outcomes: string[] = []
  while (outcomes.length < MOST && !outcomes.at(-1)?.startsWith('429')) outcomes.push(await request())
  return outcomes
}

describe('a flood', () => {
  it('of wrong keys is refused before anything is looked up, and holders of known keys go on', async () => {
    expect(MOST).toBeLessThan(LIMITS.failedAttempts)
    const address = '203.0.113.1'
    const known = await storeKey(worker, 'known')
    expect(await send('/v1/models', address, known)).toBe('200')
    const outcomes = await untilRefused(() => send('/v1/models', address, wrongKey()))
    expect(outcomes.at(-1)).toBe('429 platform')
    expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['200']))
    // from the same address, and beyond what it may have looked up
    for (let i = 0; i < MOST; i++) expect(await send('/v1/models', address, known)).toBe('200')
    expect(await send('/v1/models', '203.0.113.2', wrongKey())).toBe('200')
  })

  it('of browser tokens that name keys nobody has is refused, too', async () => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const forged = (): string => {
      const { id } = makeKey((length) => randomBytes(length))
      const header = { alg: 'EdDSA', typ: 'verge-token+jwt', kid: id }
      return `verge_bt_${part(header)}.${part({})}.${'A'.repeat(86)}`
    }
    const outcomes = await untilRefused(() => send('/v1/models', '203.0.113.3', forged()))
    expect(outcomes.at(-1)).toBe('429 platform')
    expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['401']))
  })

  it('of runs without a key is refused by address, and with one by key', async () => {
    const ofNobody = await untilRefused(() => send('/v2/models/mean/infer', '203.0.113.4'))
    expect(ofNobody.at(-1)).toBe('429 platform')
    expect(ofNobody[0]).toBe('200')
    const key = await storeKey(worker, 'busy')
    let hosts = 10
    const ofKey = await untilRefused(() => send('/v2/models/mean/infer', `198.51.100.${hosts++}`, key))
    expect(ofKey.at(-1)).toBe('429 platform')
    expect(ofKey[0]).toBe('200')
  })
})
