import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { startWorkerd, WORKER_NAME } from '../../src/cli/local/workerd.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { localStores } from '../../src/cli/target/local.ts'
import { HEALTH_KEY } from '../../src/placement/health.ts'
import { lookupRow } from '../../synthetic/onnx-models.ts'
import { faultModels, publishTooLarge } from '../fixtures/node/fault-models.ts'
import { always, either, hang, passTo, raw, startFaultyOrigin } from '../fixtures/node/faulty-origin.ts'
import { bundleWorker } from '../fixtures/node/live-worker.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { ORIGIN_KEY, type PlacedWorker, publishAs, startPlacedWorker, until } from '../fixtures/node/placed-worker.ts'

/** Each has its own origins, so that no test finds the breaker that another has left behind. */
const NAMES = ['dark', 'full', 'flap', 'away', 'breaker', 'large'] as const
type Name = (typeof NAMES)[number]

const FRANKFURT = { latitude: 50.1, longitude: 8.7 }
const VIRGINIA = { latitude: 38.9, longitude: -77.4 }
const BERLIN = { latitude: '52.5', longitude: '13.4' }

let worker: PlacedWorker
let origin: OriginProcess
let scratch: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-regions-'))
  const models = (name: Name) => ['sums', 'spare', 'table', 'reviews', 'writer'].map((model) => `${name}-${model}`)
  worker = await startPlacedWorker(
    NAMES.flatMap((name) => [
      { name: `${name}-near`, models: models(name), ...FRANKFURT },
      ...(name === 'breaker' ? [] : [{ name: `${name}-far`, models: models(name), ...VIRGINIA }]),
    ]),
  )
  const [sums, spare] = [await faultModels.sums(), await faultModels.spareSums()]
  for (const name of NAMES) {
    await publishAs(worker.writer, sums, `${name}-sums`)
    await publishAs(worker.writer, spare, `${name}-spare`)
  }
  const { manifest, ...reviews } = await packFolder(join(ROOT, 'models/reviews'))
  const without = { ...manifest, artifacts: [], placement: 'origin' as const }
  await publishAs(worker.writer, { ...reviews, manifest: without }, 'away-reviews')
  await publishAs(worker.writer, await faultModels.writer(), 'away-writer')
  origin = await startOriginProcess({ from: worker.url, cache: join(scratch, 'cache'), keys: [ORIGIN_KEY] })
  await origin.logged('origin_ready')
  for (const name of NAMES) {
    near(name).behave(passTo(origin.url))
    if (name !== 'breaker') far(name).behave(passTo(origin.url))
  }
})
afterAll(async () => {
  await worker?.dispose()
  await origin?.stop()
  await rm(scratch, { recursive: true, force: true })
})

const near = (name: Name) => worker.front(`${name}-near`)
const far = (name: Name) => worker.front(`${name}-far`)

const pair = (name: string) => ({ name, shape: [2], datatype: 'FP32', data: [1, 2] })
const SUM = JSON.stringify({ inputs: [pair('a'), pair('b')] })

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly placement: string
  readonly retryAfter: number
}

/** Asks from Berlin. */
async function ask(model: string, headers: Readonly<Record<string, string>> = {}, body = SUM): Promise<Answer> {
  const url = `${worker.url}/v2/models/${model}/infer`
  const response = await worker.miniflare.dispatchFetch(url, { method: 'POST', body, headers, cf: BERLIN as never })
  return {
    status: response.status,
    body: await response.json(),
    placement: response.headers.get('verge-placement') ?? '',
    retryAfter: Number(response.headers.get('retry-after') ?? Number.NaN),
  }
}

async function askWell(model: string): Promise<string> {
  const { body, placement, status } = await ask(model)
  expect([status, body]).toMatchObject([200, { outputs: [{ name: 'sum', data: [2, 4] }, {}, {}] }])
  return placement
}

const at = (name: string): RegExp => new RegExp(`^origin;origin="${name}";`)

describe('of two regions', () => {
  it('the nearer answers', async () => {
    for (let i = 0; i < 3; i++) expect(await askWell('dark-sums')).toMatch(at('dark-near'))
    expect(far('dark').seen).toHaveLength(0)
  })

  it('one that goes dark is left alone after three failures, and found again when it is back', async () => {
    near('dark').behave(raw(''))
    const before = near('dark').seen.length
    const placements: string[] = []
    for (let i = 0; i < 10; i++) placements.push(await askWell('dark-sums'))
    for (const placement of placements) expect(placement).toMatch(at('dark-far'))
    expect(placements.map((placement) => placement.includes('attempts=2'))).toEqual([
      ...Array(3).fill(true),
      ...Array(7).fill(false),
    ])
    expect(near('dark').seen.length - before).toBe(3)
    expect(await worker.stateOf('dark-sums', 'dark-near')).toBe('origin-down')
    near('dark').behave(passTo(origin.url))
    await until(async () => (await worker.stateOf('dark-sums', 'dark-near')) === 'half-open', 'a half-open breaker')
    // A probe; nobody has to wait for the other region to fail.
    expect(await askWell('dark-sums')).toMatch(at('dark-near'))
    expect(await worker.stateOf('dark-sums', 'dark-near')).toBe('up')
    expect(await askWell('dark-sums')).toMatch(at('dark-near'))
  })

  it('one that is full is asked last for as long as it says', async () => {
    near('full').behave(always(429, '{"error":"full","code":"overloaded"}', { 'retry-after': '2' }))
    expect(await askWell('full-sums')).toMatch(/^origin;origin="full-far";.*;attempts=2$/)
    for (let i = 0; i < 4; i++) expect(await askWell('full-sums')).not.toContain('attempts')
    expect(near('full').seen).toHaveLength(1)
    expect(await worker.stateOf('full-sums', 'full-near')).toBe('up')
    near('full').behave(passTo(origin.url))
    await until(async () => at('full-near').test(await askWell('full-sums')), 'the nearer')
  })

  it('one that is there every other time fails nobody, and is soon left alone', async () => {
    let turn = 0
    near('flap').behave(either(() => turn++ % 2 === 0, raw(''), passTo(origin.url)))
    for (let i = 0; i < 30; i++) await askWell('flap-sums')
    // Half of the outcomes failed: from ten on the next failure is one too many.
    expect(near('flap').seen).toHaveLength(11)
    expect(await worker.stateOf('flap-sums', 'flap-near')).toBe('origin-down')
  })

  it('neither is there: the edge where it can, else a refusal in the words of each protocol', async () => {
    near('away').behave(raw(''))
    far('away').behave(raw(''))
    const { body, placement } = await ask('away-spare')
    expect(body).toMatchObject({ outputs: [{ name: 'sum', data: [2, 4] }, {}, {}] })
    expect(placement).toMatch(/^edge;artifact="[^"]+";start=cold;reason=origin-down;degraded$/)
    const refused = await ask('away-sums')
    expect(refused).toMatchObject({
      status: 503,
      body: { error: expect.any(String), code: 'origin_unavailable', reason: 'cut' },
    })
    expect(refused.retryAfter).toBeGreaterThanOrEqual(1)
    const said = { code: 'origin_unavailable', message: expect.any(String) }
    const others = [
      ['/run/away-reviews', { inputs: 'A dull film.' }, { error: said }],
      [
        '/v1/completions',
        { model: 'away-writer', prompt: 'a', stream: true },
        { error: { ...said, type: 'server_error', param: null } },
      ],
    ] as const
    for (const [path, request, body] of others) {
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(worker.url + path, { method: 'POST', body: JSON.stringify(request), headers })
      expect([answer.status, await answer.json()], path).toMatchObject([503, body])
      expect(Number(answer.headers.get('retry-after')), path).toBeGreaterThanOrEqual(1)
    }
    expect(await ask('away-spare', { 'verge-place': 'origin' })).toMatchObject({
      status: 503,
      body: { code: 'origin_unavailable' },
    })
    expect(await ask('away-sums', { 'verge-place': 'edge' })).toMatchObject({
      status: 400,
      body: { code: 'placement_impossible' },
    })
    await until(async () => (await ask('away-sums')).body !== undefined && (await allDown()), 'open breakers')
    const asked = near('away').seen.length + far('away').seen.length
    const later = await ask('away-sums')
    expect(later).toMatchObject({ status: 503, body: { code: 'origin_unavailable' } })
    expect(later.retryAfter).toBeGreaterThanOrEqual(1)
    expect(later.retryAfter).toBeLessThanOrEqual(6)
    expect((await ask('away-spare')).placement).toMatch(/;reason=origin-down;degraded$/)
    expect(near('away').seen.length + far('away').seen.length).toBe(asked)
  })

  async function allDown(): Promise<boolean> {
    const { decision } = await worker.explain('away-sums')
    return decision.considered.every(({ reason }) => reason === 'origin-down')
  }
})

describe('a breaker', () => {
  it('opens after three failures, lets one request through after its wait, doubles that, and closes', async () => {
    const front = near('breaker')
    const state = () => worker.stateOf('breaker-sums', 'breaker-near')
    const down = { status: 503, body: { code: 'origin_unavailable' } }
    expect(await askWell('breaker-sums')).toMatch(at('breaker-near'))
    front.behave(raw(''))
    const before = front.seen.length
    // A single origin is asked twice for a request: three failures are there within the second.
    for (let i = 0; i < 2; i++) expect(await ask('breaker-sums')).toMatchObject(down)
    expect(front.seen.length - before).toBe(3)
    expect(await state()).toBe('origin-down')

    const opened = Date.now()
    const shut = await Promise.all(Array.from({ length: 5 }, () => ask('breaker-sums')))
    for (const answer of shut) {
      expect(answer).toMatchObject(down)
      expect(answer.retryAfter).toBeGreaterThanOrEqual(4)
      expect(answer.retryAfter).toBeLessThanOrEqual(6)
    }
    expect(front.seen.length - before).toBe(3)

    front.behave(hang)
    await until(async () => (await state()) === 'half-open', 'a half-open breaker')
    expect(Date.now() - opened).toBeGreaterThan(4_000)
    const probing = await Promise.all(Array.from({ length: 8 }, () => ask('breaker-sums')))
    for (const answer of probing) expect(answer).toMatchObject(down)
    expect(front.seen.length - before).toBe(4)
    expect(await state()).toBe('origin-down')
    const { retryAfter } = await ask('breaker-sums')
    expect(retryAfter).toBeGreaterThanOrEqual(9)
    expect(retryAfter).toBeLessThanOrEqual(12)

    front.behave(passTo(origin.url))
    await until(async () => (await state()) === 'half-open', 'a half-open breaker')
    expect(await askWell('breaker-sums')).toMatch(at('breaker-near'))
    expect(await state()).toBe('up')
    const well = await Promise.all(Array.from({ length: 5 }, () => ask('breaker-sums')))
    for (const answer of well) expect(answer.status).toBe(200)
  })
})

describe('a model too large for the edge', () => {
  it('is answered by an origin under the same name, and by nothing where there is none', async () => {
    await publishTooLarge(worker.writer, 'large-table')
    const row = 250_000
    const body = JSON.stringify({ inputs: [{ name: 'row', shape: [1], datatype: 'INT64', data: [row] }] })
    // Loading it takes longer than an answer may on a machine that does much else.
    await until(async () => (await ask('large-table', {}, body)).status === 200, 'a loaded model')
    const answer = await ask('large-table', {}, body)
    expect(answer.placement).toMatch(/^origin;origin="large-(near|far)";.*;reason=too-large-for-edge/)
    expect(answer.body).toMatchObject({ outputs: [{ data: Array.from(lookupRow(row)) }] })
    for (const front of [near('large'), far('large')]) front.behave(raw(''))
    const refused = await ask('large-table', {}, body)
    expect(refused).toMatchObject({ status: 503, body: { code: 'origin_unavailable' } })
    expect(refused.retryAfter).toBeGreaterThanOrEqual(1)
  })
})

describe('the cron trigger', () => {
  it('tells an isolate that has asked nobody yet which region is dark', async () => {
    const [dark, light] = [await startFaultyOrigin(raw('')), await startFaultyOrigin(passTo(origin.url))]
    const auth = { type: 'hmac', key: 'ORIGIN_KEY' }
    const ORIGINS = JSON.stringify([
      { name: 'dark', url: dark.url, auth, ...FRANKFURT },
      { name: 'light', url: light.url, auth, ...VIRGINIA },
    ])
    const options = { vars: { ORIGINS, ORIGIN_KEY }, storage: join(scratch, 'storage') }
    const first = await startWorkerd(await bundleWorker(), options)
    try {
      const entry = await first.miniflare.getWorker(WORKER_NAME)
      // One failed probe may be chance.
      for (let i = 0; i < 2; i++) await entry.scheduled({ cron: '* * * * *' })
      const kv = await first.miniflare.getKVNamespace('KV')
      expect(await kv.get(HEALTH_KEY, 'json')).toMatchObject({
        origins: { dark: { ok: false, failures: 2 }, light: { ok: true, failures: 0, provider: 'cpu', queue: 0 } },
      })
      const bucket = await first.miniflare.getR2Bucket('BUCKET')
      const { writer } = localStores({ BUCKET: bucket as never, KV: kv as never })
      await publishAs(writer, await faultModels.sums(), 'dark-sums')
    } finally {
      await first.miniflare.dispose()
    }
    const posts = () => dark.seen.filter(({ method }) => method === 'POST').length
    const second = await startWorkerd(await bundleWorker(), options)
    try {
      const url = `${second.url}/v2/models/dark-sums/infer`
      const response = await second.miniflare.dispatchFetch(url, { method: 'POST', body: SUM, cf: BERLIN as never })
      expect(response.status).toBe(200)
      expect(response.headers.get('verge-placement')).toMatch(/^origin;origin="light";(?!.*attempts)/)
      expect(posts()).toBe(0)
    } finally {
      await second.miniflare.dispose()
      await dark.close()
      await light.close()
    }
  })
})
