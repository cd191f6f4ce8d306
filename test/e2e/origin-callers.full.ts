import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seededFloats } from '../../synthetic/onnx.ts'
import { faultModels } from '../fixtures/node/fault-models.ts'
import { type Behaviour, drip, hang, passTo } from '../fixtures/node/faulty-origin.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import {
  call,
  ORIGIN_KEY,
  type PlacedWorker,
  publishAs,
  startPlacedWorker,
  until,
} from '../fixtures/node/placed-worker.ts'

/** So that an origin that is left is left because of its caller, and not because it was too slow. */
const PATIENT = { headersMs: 60_000, idleMs: 60_000, totalMs: 60_000 }

const ORIGINS = [
  { name: 'late', timeouts: PATIENT },
  { name: 'stalled', timeouts: PATIENT },
  { name: 'upload', timeouts: PATIENT },
  { name: 'bodies' },
  { name: 'answers' },
  { name: 'instead' },
] as const

let worker: PlacedWorker
let origin: OriginProcess
let scratch: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-callers-'))
  worker = await startPlacedWorker(ORIGINS.map((sketch) => ({ ...sketch, models: [sketch.name] })))
  const sums = await faultModels.sums()
  for (const name of ['late', 'upload', 'bodies', 'answers']) await publishAs(worker.writer, sums, name)
  await publishAs(worker.writer, await faultModels.spareSums(), 'instead')
  await publishAs(worker.writer, await faultModels.writer(), 'stalled')
  origin = await startOriginProcess({ from: worker.url, cache: join(scratch, 'cache'), keys: [ORIGIN_KEY] })
  await origin.logged('origin_ready')
  for (const { name } of ORIGINS) worker.front(name).behave(passTo(origin.url))
})
afterAll(async () => {
  await worker?.dispose()
  await origin?.stop()
  await rm(scratch, { recursive: true, force: true })
})

const tensor = (name: string, data: readonly number[]) => ({ name, shape: [data.length], datatype: 'FP32', data })
const inputs = (a: readonly number[], b: readonly number[]) =>
  JSON.stringify({ inputs: [tensor('a', a), tensor('b', b)], outputs: [{ name: 'sum' }] })
const pathOf = (model: string): string => `${worker.url}/v2/models/${model}/infer`
const add = (model: string, a: number[], b: number[], headers: Readonly<Record<string, string>> = {}) =>
  fetch(pathOf(model), { method: 'POST', body: inputs(a, b), headers })

const sumOf = async (response: Response): Promise<number[] | undefined> =>
  ((await response.json()) as { outputs: { data: number[] }[] }).outputs[0]?.data

/** Bodies and answers of a few megabytes, beyond what is kept to be sent again or read whole. */
const MANY = Array.from(seededFloats(120_000, 5))
const DOUBLED = MANY.map((value) => Math.fround(value + value))

describe('a caller', () => {
  it('is answered within its deadline, and no request outlives it', async () => {
    const front = worker.front('late')
    front.behave(hang)
    const response = await add('late', [1], [2], { 'verge-timeout-ms': '400' })
    expect(response.status).toBe(504)
    expect(await response.json()).toMatchObject({ error: expect.any(String), code: 'deadline_exceeded' })
    // The origin is told how long it has.
    const told = Number(front.seen.at(-1)?.headers['verge-timeout-ms'])
    expect(told).toBeGreaterThan(0)
    expect(told).toBeLessThanOrEqual(400)
    await until(() => front.open === 0, 'an end of what is in work')
    expect(front.abandoned).toBe(1)
  })

  it.each<[string, Behaviour]>([
    ['before the answer', hang],
    ['within the answer', drip(100)],
  ])('that leaves %s takes its request along', async (_, behaviour) => {
    const front = worker.front('late')
    front.behave(behaviour)
    const [before, asked] = [front.abandoned, front.seen.length]
    const caller = call(pathOf('late'), inputs([1], [2]))
    const refused = expect(caller.answer).rejects.toThrow()
    await until(() => front.seen.length > asked, 'the request')
    caller.hangUp()
    await refused
    await until(() => front.open === 0, 'an end of what is in work')
    expect(front.abandoned).toBe(before + 1)
    // Who leaves says nothing of the origin.
    expect(await worker.stateOf('late', 'late')).toBe('untried')
  })

  it('that leaves within its own body takes its request along', async () => {
    const front = worker.front('upload')
    const caller = call(pathOf('upload'), inputs(MANY, MANY).slice(0, 1_500_000), 3_000_000)
    const refused = expect(caller.answer).rejects.toThrow()
    await until(() => (front.seen[0]?.pieces.length ?? 0) > 0, 'some of the body')
    caller.hangUp()
    await refused
    await until(() => front.open === 0, 'an end of what is in work')
    expect(await worker.stateOf('upload', 'upload')).toBe('untried')
  })

  it('that leaves a stream in which nothing comes any more takes its request along', async () => {
    const front = worker.front('stalled')
    let passed = 0
    front.behave(passTo(origin.url, { piece: (piece) => (passed++ < 3 ? piece : 'hold') }))
    const body = { model: 'stalled', prompt: 'a', max_tokens: 2_000, temperature: 0, stream: true }
    const caller = call(`${worker.url}/v1/completions`, JSON.stringify(body))
    const answer = await caller.answer
    answer.on('error', () => {})
    answer.resume()
    await until(() => passed > 3, 'a stream that stands still')
    caller.hangUp()
    await until(() => front.open === 0, 'an end of what is in work')
    expect(front.abandoned).toBe(1)
  })

  it('whose body was streamed is not asked for it again', async () => {
    const front = worker.front('bodies')
    front.behave((request, response) => {
      request.once('end', () => response.socket?.resetAndDestroy())
    })
    const response = await add('bodies', MANY, MANY)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: 'origin_unavailable', reason: 'cut' })
    expect(front.seen).toHaveLength(1)
    front.behave(passTo(origin.url))
    expect(await sumOf(await add('bodies', MANY, MANY))).toEqual(DOUBLED)
  })

  it('takes no part of an answer for all of it, and the origin is held to account for it', async () => {
    const front = worker.front('answers')
    expect(await sumOf(await add('answers', MANY, MANY))).toEqual(DOUBLED)
    for (let i = 0; i < 3; i++) {
      let bytes = 0
      const piece = (each: Buffer) => {
        bytes += each.length
        return bytes < 1_500_000 ? each : 'break'
      }
      front.behave(passTo(origin.url, { piece }))
      const response = await add('answers', MANY, MANY)
      expect(response.status).toBe(200)
      await expect(response.text()).rejects.toThrow()
    }
    expect(await worker.stateOf('answers', 'answers')).toBe('origin-down')
  })

  it('is answered at the edge where the origin never answers', async () => {
    worker.front('instead').behave(hang)
    const response = await add('instead', [1, 2], [0.5, 0.25])
    expect(await sumOf(response)).toEqual([1.5, 2.25])
    expect(response.headers.get('verge-placement')).toMatch(/^edge;.*;reason=origin-down;degraded$/)
    await until(() => worker.front('instead').open === 0, 'an end of what is in work')
  })
})
