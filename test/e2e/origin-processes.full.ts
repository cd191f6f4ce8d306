import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { lookupRow } from '../../synthetic/onnx-models.ts'
import { engineChildOf } from '../fixtures/node/engine-child.ts'
import { faultModels } from '../fixtures/node/fault-models.ts'
import { passTo } from '../fixtures/node/faulty-origin.ts'
import { healthOf } from '../fixtures/node/origin-models.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { ORIGIN_KEY, type PlacedWorker, publishAs, startPlacedWorker, until } from '../fixtures/node/placed-worker.ts'

const STRANGER = 'another key that the Worker has never been told'
const SKEW_MS = 600_000
/** A model of more than an origin with this much memory can hold. */
const MEMORY_GB = 0.002
const TABLE_BYTES = 4_000_000

/** Each has its own origin, so that no test finds the breaker that another has left behind. */
const NAMES = ['kill', 'child', 'drain', 'memory', 'queue', 'skew', 'stranger', 'replay'] as const
type Name = (typeof NAMES)[number]

const PATIENT = { headersMs: 30_000, idleMs: 30_000, totalMs: 60_000 }

let worker: PlacedWorker
let scratch: string
const running: OriginProcess[] = []

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-processes-'))
  const models = (name: Name) => [
    `${name}-loop`,
    `${name}-sums`,
    `${name}-spare`,
    `${name}-table`,
    `${name}-spare-table`,
  ]
  worker = await startPlacedWorker(NAMES.map((name) => ({ name, models: models(name), timeouts: PATIENT })))
  const [loop, sums, spare, table, spareTable] = [
    await faultModels.loop(),
    await faultModels.sums(),
    await faultModels.spareSums(),
    await faultModels.table(TABLE_BYTES, 'origin', ['origin']),
    await faultModels.table(TABLE_BYTES, 'origin', ['edge', 'origin']),
  ]
  for (const name of NAMES) {
    await publishAs(worker.writer, loop, `${name}-loop`)
    await publishAs(worker.writer, sums, `${name}-sums`)
    await publishAs(worker.writer, spare, `${name}-spare`)
  }
  await publishAs(worker.writer, table, 'memory-table')
  await publishAs(worker.writer, spareTable, 'memory-spare-table')
})
afterEach(async () => {
  for (const origin of running.splice(0)) {
    origin.process.kill('SIGKILL')
    await origin.ended
  }
})
afterAll(async () => {
  await worker?.dispose()
  await rm(scratch, { recursive: true, force: true })
})

/** Starts an origin over the Worker's own catalogue and lets requests through to it. */
async function start(
  name: Name,
  options: Partial<Parameters<typeof startOriginProcess>[0]> = {},
): Promise<OriginProcess> {
  const cache = join(scratch, name)
  const origin = await startOriginProcess({ from: worker.url, cache, keys: [ORIGIN_KEY], ...options })
  running.push(origin)
  worker.front(name).behave(passTo(origin.url))
  return origin
}

type Input = { readonly name: string; readonly shape: number[]; readonly datatype: string; readonly data: number[] }

function infer(model: string, ...inputs: Input[]): Promise<Response> {
  return fetch(`${worker.url}/v2/models/${model}/infer`, { method: 'POST', body: JSON.stringify({ inputs }) })
}
const pair = (name: string): Input => ({ name, shape: [2], datatype: 'FP32', data: [1, 2] })
const add = (model: string): Promise<Response> => infer(model, pair('a'), pair('b'))
const loop = (model: string, times: number): Promise<Response> =>
  infer(
    model,
    { name: 'times', shape: [], datatype: 'INT64', data: [times] },
    { name: 'x', shape: [1, 256], datatype: 'FP32', data: Array(256).fill(0.01) },
  )
const lookup = (model: string): Promise<Response> =>
  infer(model, { name: 'row', shape: [1], datatype: 'INT64', data: [7] })

async function expectSum(response: Response, placement: RegExp): Promise<void> {
  expect(await response.json()).toMatchObject({ outputs: [{ name: 'sum', data: [2, 4] }, {}, {}] })
  expect(response.headers.get('verge-placement')).toMatch(placement)
}

async function expectRefusal(response: Response, status: number, fields: object): Promise<void> {
  expect([response.status, await response.json()]).toMatchObject([status, { error: expect.any(String), ...fields }])
  if (status === 503 || status === 429) expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
}

const atOrigin = /^origin;.*;reason=model-prefers-origin$/
const degraded = /^edge;.*;reason=origin-down;degraded$/

async function atWork(origin: OriginProcess): Promise<void> {
  await until(async () => {
    return (await healthOf(origin)).running === 1
  }, 'a run')
}

/** Steps of `loopModel`: some seconds of work, and some minutes. */
const SECONDS = 300_000
const ENDLESS = 20_000_000

describe('an origin', () => {
  it('that is killed at work is missed at once, replaced by the edge where that can, and found again', async () => {
    const origin = await start('kill')
    await expectSum(await add('kill-spare'), atOrigin)
    const lost = loop('kill-loop', ENDLESS)
    await atWork(origin)
    origin.process.kill('SIGKILL')
    await origin.ended
    await expectRefusal(await lost, 503, { code: 'origin_unavailable', reason: 'cut', origins: ['kill'] })
    // The first of these finds out for itself; then the breaker is open, and nothing is asked in vain.
    for (let i = 0; i < 4; i++) await expectSum(await add('kill-spare'), degraded)
    const asked = worker.front('kill').seen.length
    await expectSum(await add('kill-spare'), degraded)
    await expectRefusal(await add('kill-sums'), 503, { code: 'origin_unavailable' })
    expect(worker.front('kill').seen).toHaveLength(asked)

    await start('kill')
    await until(async () => (await worker.stateOf('kill-spare', 'kill')) !== 'origin-down', 'a half-open breaker')
    await expectSum(await add('kill-spare'), atOrigin)
    expect(await worker.stateOf('kill-spare', 'kill')).toBe('up')
  })

  it('whose engine is killed at work does not try the same again, and has another for the next', async () => {
    const origin = await start('child')
    await expectSum(await add('child-sums'), atOrigin)
    const lost = loop('child-loop', ENDLESS)
    await atWork(origin)
    // It waits behind that, and is none of what the engine died of.
    const waiting = add('child-sums')
    await until(() => worker.front('child').seen.length === 3, 'the third request')
    const asked = worker.front('child').seen.length
    const engine = engineChildOf(origin.process.pid ?? 0)
    process.kill(engine, 'SIGKILL')
    await expectRefusal(await lost, 502, { code: 'origin_failed', reason: 'engine-crash' })
    await expectSum(await waiting, atOrigin)
    expect(worker.front('child').seen).toHaveLength(asked)
    await expectSum(await add('child-sums'), atOrigin)
    expect(engineChildOf(origin.process.pid ?? 0)).not.toBe(engine)
    expect(await worker.stateOf('child-sums', 'child')).toBe('up')
  })

  it('that is told to end finishes what it has, and whoever comes then is answered elsewhere', async () => {
    const origin = await start('drain')
    await expectSum(await add('drain-spare'), atOrigin)
    const last = loop('drain-loop', SECONDS)
    await atWork(origin)
    origin.process.kill('SIGTERM')
    await origin.logged('origin_draining')
    await expectSum(await add('drain-spare'), degraded)
    expect((await last).status).toBe(200)
    expect(await origin.ended).toBe(0)
    await expectSum(await add('drain-spare'), degraded)
  })

  it('without the memory for a model says so; the edge answers where it can, and the origin stays in use', async () => {
    await start('memory', { args: ['--memory-gb', String(MEMORY_GB)] })
    await expectRefusal(await lookup('memory-table'), 502, { code: 'origin_failed', reason: 'unable' })
    const instead = await lookup('memory-spare-table')
    expect(await instead.json()).toMatchObject({ outputs: [{ data: Array.from(lookupRow(7)) }] })
    expect(instead.headers.get('verge-placement')).toMatch(degraded)
    for (let i = 0; i < 4; i++) await lookup('memory-table')
    await expectSum(await add('memory-sums'), atOrigin)
  })

  it('whose queue is full refuses at once, and what it has taken is answered', async () => {
    const origin = await start('queue', { args: ['--max-queue', '1', '--max-batch', '1'] })
    await loop('queue-loop', 1)
    const taken = loop('queue-loop', SECONDS)
    await atWork(origin)
    const others = await Promise.all(Array.from({ length: 5 }, () => loop('queue-loop', 10)))
    const refused = others.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(4)
    for (const response of refused) await expectRefusal(response, 429, { code: 'overloaded', origins: ['queue'] })
    expect(others.filter(({ status }) => status === 200)).toHaveLength(1)
    expect((await taken).status).toBe(200)
    // To be full is no fault.
    expect(await worker.stateOf('queue-loop', 'queue')).toBe('up')
  })
})

describe('an origin that does not believe its Worker', () => {
  it('for its clock is off tells the time, and is believed from then on', async () => {
    const clock = pathToFileURL(join(ROOT, 'test/fixtures/node/shifted-clock.mjs')).href
    const env = { NODE_OPTIONS: `--import=${clock}`, VERGE_TEST_CLOCK_MS: String(SKEW_MS) }
    const origin = await start('skew', { env })
    await origin.logged('origin_ready')
    const { seen } = worker.front('skew')
    await expectSum(await add('skew-sums'), atOrigin)
    expect(seen.map(({ status }) => status)).toEqual([401, 200])
    const stampOf = (i: number) => 1000 * Number(/created=(\d+)/.exec(String(seen[i]?.headers['signature-input']))?.[1])
    expect(Math.abs(stampOf(0) - Date.now())).toBeLessThan(SKEW_MS / 2)
    expect(Math.abs(stampOf(1) - Date.now() - SKEW_MS)).toBeLessThan(SKEW_MS / 2)
    await expectSum(await add('skew-sums'), atOrigin)
    expect(seen.map(({ status }) => status)).toEqual([401, 200, 200])
  })

  it('for it has another key is replaced by the edge, or refused for', async () => {
    await start('stranger', { keys: [STRANGER] })
    await expectSum(await add('stranger-spare'), degraded)
    const refused = await add('stranger-sums')
    const text = await refused.clone().text()
    await expectRefusal(refused, 503, { code: 'origin_unavailable', reason: 'unauthorized' })
    for (const secret of [ORIGIN_KEY, STRANGER, 'hmac-sha256']) expect(text).not.toContain(secret)
  })

  it('answers no request twice, and none that was changed on the way', async () => {
    const origin = await start('replay')
    const front = worker.front('replay')
    await expectSum(await add('replay-spare'), atOrigin)
    const [taken] = front.seen
    if (taken === undefined) throw new Error('Nothing was taken.')
    const again = await fetch(origin.url + taken.path, {
      method: taken.method,
      headers: taken.headers as Record<string, string>,
      body: Buffer.concat(taken.pieces),
    })
    expect([again.status, await again.json()]).toMatchObject([401, { code: 'unauthorized', reason: 'replayed' }])

    const changed = Buffer.concat(taken.pieces).toString().replace('[1,2]', '[9,2]')
    front.behave(passTo(origin.url, { body: changed }))
    await expectSum(await add('replay-spare'), degraded)
    expect(front.seen.at(-1)?.status).toBe(401)
  })
})
