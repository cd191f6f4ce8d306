import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { seededFloats } from '../../synthetic/onnx.ts'
import { faultModels } from '../fixtures/node/fault-models.ts'
import {
  always,
  type Behaviour,
  cutInBody,
  drip,
  either,
  first,
  hang,
  passTo,
  raw,
} from '../fixtures/node/faulty-origin.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { ORIGIN_KEY, type PlacedWorker, publishAs, startPlacedWorker, until } from '../fixtures/node/placed-worker.ts'

interface Fault {
  readonly what: string
  readonly behaviour: Behaviour | 'refuse'
  readonly status: number
  readonly code: string
  readonly reason: string
  /** Requests that reach it for one of the caller's. */
  readonly asked: number
  readonly retryAfter?: string
}

const unavailable = { status: 503, code: 'origin_unavailable' } as const
const failed = { status: 502, code: 'origin_failed' } as const
const overloaded = { status: 429, code: 'overloaded' } as const

/** A single origin is asked again only where a moment can help. */
const FAULTS: readonly Fault[] = [
  { what: 'refuses connections', behaviour: 'refuse', ...unavailable, reason: 'cut', asked: 0 },
  { what: 'accepts and never answers', behaviour: hang, ...unavailable, reason: 'headers-timeout', asked: 1 },
  { what: 'answers 500', behaviour: always(500, '{"error":"no"}'), ...unavailable, reason: 'error-status', asked: 2 },
  {
    what: 'answers with the page of a proxy',
    behaviour: always(200, '<html>Bad gateway</html>'),
    ...failed,
    reason: 'garbage',
    asked: 1,
  },
  { what: 'answers half of some JSON', behaviour: always(200, '{"outputs":['), ...failed, reason: 'garbage', asked: 1 },
  {
    what: 'leads elsewhere',
    behaviour: always(302, '', { location: 'https://elsewhere.example/' }),
    ...failed,
    reason: 'garbage',
    asked: 1,
  },
  {
    what: 'speaks no HTTP',
    behaviour: raw('\0\x01\x02 garbage \xff\r\n\r\n'),
    ...unavailable,
    reason: 'cut',
    asked: 2,
  },
  {
    what: 'breaks off in the headers',
    behaviour: raw('HTTP/1.1 200 OK\r\nConte'),
    ...unavailable,
    reason: 'cut',
    asked: 2,
  },
  { what: 'breaks off in the body', behaviour: cutInBody, ...unavailable, reason: 'cut', asked: 2 },
  { what: 'never comes to an end', behaviour: drip(100), ...unavailable, reason: 'idle-timeout', asked: 1 },
  {
    what: 'is full',
    behaviour: always(429, '{"error":"full","code":"overloaded"}', { 'retry-after': '7' }),
    ...overloaded,
    reason: 'overloaded',
    asked: 1,
    retryAfter: '7',
  },
  {
    what: 'is shutting down',
    behaviour: always(503, '{"error":"ending","code":"origin_unavailable"}', { 'retry-after': '3' }),
    ...unavailable,
    reason: 'refused',
    asked: 2,
  },
  {
    what: 'has no time',
    behaviour: always(503, '{"error":"busy"}', { 'retry-after': '3' }),
    ...overloaded,
    reason: 'overloaded',
    asked: 1,
    retryAfter: '3',
  },
  {
    what: 'lacks the model',
    behaviour: always(404, '{"error":"none","code":"model_not_found"}'),
    ...failed,
    reason: 'unable',
    asked: 1,
  },
  {
    what: 'does not believe the Worker',
    behaviour: always(401, '{"error":"who?","code":"unauthorized"}'),
    ...unavailable,
    reason: 'unauthorized',
    asked: 1,
  },
  {
    what: 'says that the request ended its engine',
    behaviour: always(500, '{"error":"gone","code":"engine_aborted"}'),
    ...failed,
    reason: 'engine-crash',
    asked: 1,
  },
]

const ORIGINS = [
  ...FAULTS.map((_, i) => ({ name: `fault-${i}`, models: [`fault-${i}`] })),
  { name: 'random', models: ['random'] },
  { name: 'shapes', kind: 'oip', auth: { type: 'none' }, models: { shapes: 'theirs' } },
]

let worker: PlacedWorker
let origin: OriginProcess
let scratch: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-faults-'))
  worker = await startPlacedWorker(ORIGINS)
  const sums = await faultModels.sums()
  for (const { models } of ORIGINS) {
    const name = Array.isArray(models) ? String(models[0]) : 'shapes'
    if (name !== 'shapes') await publishAs(worker.writer, sums, name)
  }
  // A task, whose tensors alone an origin of the Open Inference Protocol is given.
  const { manifest, ...packed } = await packFolder(join(ROOT, 'models/reviews'))
  await publishAs(worker.writer, { ...packed, manifest: { ...manifest, artifacts: [] } }, 'shapes', {
    placement: 'origin',
  })
  origin = await startOriginProcess({ from: worker.url, cache: join(scratch, 'cache'), keys: [ORIGIN_KEY] })
  await origin.logged('origin_ready')
})
afterAll(async () => {
  await worker?.dispose()
  await origin?.stop()
  await rm(scratch, { recursive: true, force: true })
})

const tensor = (name: string, data: readonly number[]) => ({ name, shape: [data.length], datatype: 'FP32', data })
const inputs = (a: readonly number[], b: readonly number[]) =>
  JSON.stringify({ inputs: [tensor('a', a), tensor('b', b)], outputs: [{ name: 'sum' }] })

function add(model: string, a = [1, 2], b = [10, 20]): Promise<Response> {
  return fetch(`${worker.url}/v2/models/${model}/infer`, { method: 'POST', body: inputs(a, b) })
}

async function expectSum(model: string): Promise<void> {
  const response = await add(model, [1, 2, 3], [0.5, 0.25, -3])
  expect(await response.json()).toMatchObject({ outputs: [{ name: 'sum', data: [1.5, 2.25, 0] }] })
  expect(response.headers.get('verge-placement')).toMatch(/^origin;.*reason=model-prefers-origin/)
}

describe('an origin that', () => {
  it.each(FAULTS.map((fault, i) => [fault.what, fault, `fault-${i}`] as const))('%s', async (_, fault, name) => {
    const front = worker.front(name)
    if (fault.behaviour === 'refuse') await front.refuse()
    else front.behave(fault.behaviour)
    const response = await add(name)
    const body = await response.json()
    expect(response.status).toBe(fault.status)
    expect(body).toMatchObject({ error: expect.any(String), code: fault.code, reason: fault.reason, origins: [name] })
    const text = JSON.stringify(body)
    for (const secret of [ORIGIN_KEY, front.url, 'signature']) expect(text).not.toContain(secret)
    const wait = response.headers.get('retry-after')
    if (fault.retryAfter !== undefined) expect(wait).toBe(fault.retryAfter)
    else if (fault.status === 503) expect(Number(wait)).toBeGreaterThanOrEqual(1)
    expect(front.seen).toHaveLength(fault.asked)
    await until(() => front.open === 0, 'an end of what is in work')

    // A failure or two are no reason to leave it alone, and none has to be forgiven.
    if (fault.behaviour === 'refuse') await front.accept()
    front.behave(passTo(origin.url))
    await expectSum(name)
  })

  it('answers 500 at random is asked once more each time', async () => {
    // Never three in a row, which would open the breaker.
    const draws: boolean[] = []
    for (const value of seededFloats(200, 3)) draws.push(value > 0.4 && !(draws.at(-1) && draws.at(-2)))
    let drawn = 0
    const front = worker.front('random')
    front.behave(either(() => draws[drawn++] ?? false, always(500, '{}'), passTo(origin.url)))
    let next = 0
    const statuses: Record<number, number> = {}
    for (let i = 0; i < 40; i++) {
      const bad = draws[next++] && draws[next++]
      const response = await add('random', [i], [0.5])
      const body = (await response.json()) as { outputs: unknown[] }
      expect(response.status, `request ${i}`).toBe(bad ? 503 : 200)
      statuses[response.status] = (statuses[response.status] ?? 0) + 1
      if (!bad) expect(body.outputs).toMatchObject([{ data: [i + 0.5] }])
    }
    expect(front.seen.length).toBeGreaterThan(45)
    expect(statuses[200]).toBeGreaterThan(30)
  })

  it('breaks off once is asked again, and the answer says so', async () => {
    const front = worker.front('random')
    front.behave(first(1, cutInBody, passTo(origin.url)))
    const response = await add('random')
    expect(response.status).toBe(200)
    expect(response.headers.get('verge-placement')).toMatch(/;attempts=2$/)
  })
})

describe('an origin of another protocol that answers', () => {
  const outputs = (fields: object) => JSON.stringify({ model_name: 'theirs', outputs: [{ name: 'logits', ...fields }] })
  const answering = (body: string): Behaviour => {
    const metadata = always(200, '{"name":"triton","version":"1","extensions":[]}')
    return (request, ...rest) => (request.method === 'GET' ? metadata : always(200, body))(request, ...rest)
  }
  const well = outputs({ datatype: 'FP32', shape: [1, 2], data: [2, -2] })
  const review = () =>
    fetch(`${worker.url}/run/shapes`, { method: 'POST', body: '{"inputs":"A dull film."}', headers: JSON_TYPE })

  it.each([
    ['a shape that is not the model’s', outputs({ datatype: 'FP32', shape: [2, 1], data: [1, 2] })],
    ['fewer elements than its shape says', outputs({ datatype: 'FP32', shape: [1, 2], data: [1] })],
    ['more elements than anybody has', outputs({ datatype: 'FP32', shape: [1e9, 2], data: [] })],
    ['another type', outputs({ datatype: 'INT64', shape: [1, 2], data: [1, 2] })],
    ['words for numbers', outputs({ datatype: 'FP32', shape: [1, 2], data: ['x', 'y'] })],
    ['another output', JSON.stringify({ outputs: [{ name: 'other', datatype: 'FP32', shape: [1], data: [1] }] })],
    ['nothing', '{}'],
  ])('%s', async (_, body) => {
    const front = worker.front('shapes')
    front.behave(answering(well))
    // More than what fails, or the breaker would open.
    for (let i = 0; i < 2; i++) {
      const answer = await review()
      expect([answer.status, await answer.json()]).toMatchObject([200, [{ label: 'negative' }, { label: 'positive' }]])
    }
    front.behave(answering(body))
    const response = await review()
    expect(response.status).toBe(502)
    expect(await response.json()).toMatchObject({ error: { code: 'origin_failed', reason: 'garbage' } })
  })
})

const JSON_TYPE = { 'content-type': 'application/json' } as const
