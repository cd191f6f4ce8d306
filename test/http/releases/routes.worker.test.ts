import { describe, expect, it } from 'vitest'
import { DEFAULT_CANARY_RULES } from '../../../src/catalog/canary-rules.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { type ReleaseBody, releaseBodySchema } from '../../../src/protocols/verge/releases.ts'
import { NO_COUNTS } from '../../../src/releases/watch/judge.ts'
import type { CanaryReader } from '../../../src/releases/watch/reader.ts'
import type { CanaryWatchState, WatchReport } from '../../../src/releases/watch/report.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'

const canary = { version: '2', against: '1', shadow: 0.1, guarded: true }
const state: CanaryWatchState = {
  model: 'm',
  generation: 1,
  canary,
  rules: DEFAULT_CANARY_RULES,
  verdict: 'watching',
  counts: NO_COUNTS,
  evidence: { errors: 1, disagreement: 1, cost: 1, latency: 1 },
  together: 1,
  since: 0,
  lastReportAt: 1_000,
  failedStops: 0,
}

function setUp(reader: Partial<CanaryReader> | null = {}, onTrial = true) {
  const spec = { name: 'x', datatype: 'FP32' as const, shape: [1] }
  const model = testModel('m', 'private', { inputs: [spec], outputs: [spec] })
  const reports: WatchReport[] = []
  const canaries: CanaryReader = {
    state: async () => state,
    report: async (_, report) => {
      reports.push(report)
      return { verdict: 'continue' }
    },
    ...reader,
  }
  const app = testApp({
    models: [{ ...model, alias: { ...model.alias, ...(onTrial && { canary }) } }],
    ...(reader && { canaries }),
  })
  const read = async (): Promise<ReleaseBody> => {
    const response = await app.request('/v1/releases/m', { headers: OPERATOR })
    expect(response.status).toBe(200)
    return releaseBodySchema.parse(await response.json())
  }
  const probe = (body: object) => app.post('/v1/releases/m/probes', body, OPERATOR)
  return { ...app, read, probe, reports }
}

const probes = {
  generation: 1,
  source: 'home',
  seq: 1,
  pairs: [
    { canaryMs: 30, stableMs: 10 },
    { canaryMs: 10, stableMs: 10 },
  ],
}

describe('/v1/releases', () => {
  it('tells the operator of a release and its watch', async () => {
    const body = await setUp().read()
    expect(body).toMatchObject({ model: 'm', generation: 1, canary, stopped: null, unreachable: false })
    expect(body.watch).toMatchObject({
      version: '2',
      verdict: 'watching',
      threshold: 100,
      lastReportAt: '1970-01-01T00:00:01.000Z',
    })
  })

  it('tells of the release where its watch does not answer, or there is none', async () => {
    const away = setUp({ state: () => Promise.reject(new VergeError('store_unavailable', 'It does not answer.')) })
    expect(await away.read()).toMatchObject({ generation: 1, watch: null, unreachable: true })
    expect(away.lines.map(({ event }) => event)).toContain('canary_watch_unreachable')
    expect(await setUp(null).read()).toMatchObject({ watch: null, unreachable: false })
  })

  it('tells nobody else', async () => {
    const { request, post } = setUp()
    expect((await request('/v1/releases/m')).status).toBe(401)
    expect((await post('/v1/releases/m/probes', probes)).status).toBe(401)
    expect((await request('/v1/releases/none', { headers: OPERATOR })).status).toBe(404)
  })

  it('counts pairs of times by what the release tolerates', async () => {
    const { probe, reports } = setUp()
    expect(await (await probe(probes)).json()).toEqual({ verdict: 'continue' })
    expect(reports).toEqual([
      {
        source: 'probe:home',
        seq: 1,
        generation: 1,
        canary,
        digest: '0'.repeat(64),
        counts: { ...NO_COUNTS, slower: { count: 1, of: 2 } },
      },
    ])
    expect(await (await probe({ ...probes, generation: 9 })).json()).toEqual({ verdict: 'outdated' })
    expect(reports).toHaveLength(1)
  })

  it('refuses what it cannot count', async () => {
    const { probe } = setUp()
    expect((await probe({ ...probes, pairs: [] })).status).toBe(400)
    expect((await probe({ ...probes, pairs: [{ canaryMs: -1, stableMs: 1 }] })).status).toBe(400)
    const pairs = new Array(LIMITS.probePairs + 1).fill(probes.pairs[0])
    expect((await probe({ ...probes, pairs })).status).toBe(413)
    expect((await setUp({}, false).probe(probes)).status).toBe(409)
    expect((await setUp(null).probe(probes)).status).toBe(501)
  })
})
