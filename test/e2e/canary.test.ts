import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { type ReleaseBody, releaseBodySchema } from '../../src/protocols/verge/releases.ts'
import { METRICS, type MetricName } from '../../src/telemetry/metrics/definitions.ts'
import { onnxModel } from '../../synthetic/onnx.ts'
import { assertExposition, type ReadSample } from '../fixtures/exposition.ts'
import {
  checkedDashboard,
  checkedRules,
  definedMetrics,
  type KnownMetrics,
  scrapedMetrics,
} from '../fixtures/node/known-metrics.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { json, type StandIn, startStandIn } from '../fixtures/node/origin-stand-in.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const KEY = 'a-key-for-the-canary-0123456789'
const SPEC = { datatype: 'FP32' as const, shape: ['n'] }
const INPUTS = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] }
const SIGNATURE = { inputs: [{ name: 'x', ...SPEC }], outputs: [{ name: 'y', ...SPEC }] }

/** Metrics that the requests of these tests do not bring forth, and what would. */
const ONLY_WHEN = {
  verge_evictions_total: 'the memory of an isolate is full, and a session leaves it for another',
  verge_spans_dropped_total: 'a collector of traces is away or refuses spans',
  verge_spans_total: 'OTLP_ENDPOINT names a collector of traces: traces.full.ts has one',
  verge_tokens_total: 'a model reads or writes tokens: the models here take numbers',
} as const satisfies Readonly<Partial<Record<MetricName, string>>>

const modelOf = (op: 'Identity' | 'Relu') => onnxModel({ ...SIGNATURE, nodes: [{ op, inputs: ['x'], outputs: ['y'] }] })

describe('a canary in a Worker', () => {
  let worker: LiveWorker
  let origin: StandIn

  beforeAll(async () => {
    origin = await startStandIn(() => json(500, { error: 'this origin is broken' }))
    worker = await startLiveWorker({
      VERGE_API_KEY: KEY,
      RESULT_CACHE_TTL_SECONDS: '600',
      ORIGINS: JSON.stringify([{ name: 'fra', url: origin.url, auth: { type: 'hmac', key: 'ORIGIN_KEY' } }]),
      ORIGIN_KEY: 'the key that Worker and origin share in this test',
    })
    const writer = await writerFor(worker)
    // Runs are too cheap to be kept unless the model says so.
    await publishModel(writer, 'tried', modelOf('Identity'), SIGNATURE, { extra: { cache: { ttlSeconds: 600 } } })
    await publishModel(writer, 'tried', modelOf('Relu'), SIGNATURE, { extra: { version: '2' } })
    await writer.updateAlias('tried', (old) => ({
      visibility: 'public',
      versions: old?.versions ?? {},
      live: [
        { version: '1', weight: 1 },
        { version: '2', weight: 1 },
      ],
      canary: { version: '2', against: '1', shadow: 1, guarded: true },
    }))
  })
  afterAll(async () => {
    await worker?.dispose()
    await origin?.close()
  })

  let callers = 0
  /** As another caller each time. @returns the version that answered */
  async function ask(x: number): Promise<string | undefined> {
    const response = await fetch(`${worker.url}/v2/models/tried/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': `caller ${++callers}`, 'cache-control': 'no-store' },
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [x] }] }),
    })
    expect(response.status).toBe(200)
    return ((await response.json()) as { model_version?: string }).model_version
  }

  async function release(model = 'tried'): Promise<ReleaseBody> {
    const response = await fetch(`${worker.url}/v1/releases/${model}`, { headers: { authorization: `Bearer ${KEY}` } })
    return releaseBodySchema.parse(await response.json())
  }

  it('that is wrong on a fifth of the requests goes back by itself within 200 of its own', async () => {
    let canaries = 0
    // Several callers at once, so that comparisons and requests share the engine.
    const asked = async (x: number): Promise<void> => {
      if ((await ask(x)) === '2') canaries++
    }
    const isWatched = async () => ['watching', undefined].includes((await release()).watch?.verdict)
    // Of what is asked, the two versions differ on every fifth.
    while (canaries < 200 && (await isWatched())) await Promise.all([-1, 1, 1, 1, 1].map(asked))
    expect(canaries).toBeLessThan(200)
    await expect.poll(async () => (await release()).watch?.verdict).toBe('stopped')
    await expect.poll(async () => (await release()).stopped?.version).toBe('2')
    const { live, stopped, watch } = await release()
    expect(live).toEqual([{ version: '1', weight: 1 }])
    expect(stopped?.reason).toMatch(/^disagreement: /)
    expect(watch?.counts.disagreed.of).toBeGreaterThan(0)
    for (let i = 0; i < 10; i++) expect(await ask(1)).toBe('1')
  })

  it('has every metric and label that dashboard and alert rules ask for', async () => {
    const infer = (body: unknown, headers: Record<string, string> = {}) =>
      fetch(`${worker.url}/v2/models/tried/infer`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
    expect((await infer({ inputs: [] })).status).toBe(400)
    expect((await infer(INPUTS, { 'verge-place': 'origin' })).status).toBe(503)
    expect((await fetch(`${worker.url}/v1/models`)).status).toBe(200)
    await expect.poll(async () => (await infer(INPUTS)).headers.get('verge-cache')).toBe('hit')
    // So many are handed over at once.
    for (let i = 0; i < LIMITS.metricFlushRequests; i++) expect((await infer(INPUTS)).status).toBe(200)

    const CACHE: MetricName = 'verge_result_cache_total'
    let scraped: readonly ReadSample[] = []
    const absent = async () => {
      const answer = await fetch(`${worker.url}/metrics`, { headers: { authorization: `Bearer ${KEY}` } })
      scraped = assertExposition(await answer.text(), false)
      const { labels } = scrapedMetrics(scraped)
      const isHit = scraped.some(({ labels: { outcome }, name }) => name === CACHE && outcome === 'hit')
      return [...Object.keys(METRICS).filter((name) => !labels.has(name)), ...(isHit ? [] : ['a hit'])].sort()
    }
    await expect.poll(absent, { timeout: 10_000 }).toEqual(Object.keys(ONLY_WHEN).sort())
    const defined = definedMetrics(METRICS).labels
    const expected = Object.keys(ONLY_WHEN).map((name) => [name, defined.get(name) ?? new Set<string>()] as const)
    const { histograms, labels } = scrapedMetrics(scraped)
    const known: KnownMetrics = { histograms, labels: new Map([...labels, ...expected]) }
    await checkedDashboard(join(ROOT, 'deploy/grafana/verge-edge.json'), known)
    await checkedRules(join(ROOT, 'deploy/prometheus/verge-edge-alerts.yml'), known)
  })

  it('that writes texts goes over those of the stable version, behind the last token of a stream', async () => {
    const writer = await writerFor(worker)
    const { chunks, manifest } = await packFolder(join(ROOT, 'models/abacus'))
    await publish(writer, { chunks, manifest, visibility: 'public', hot: false, notes: [] })
    await writer.publishVersion({ ...manifest, version: 'next' }, { live: false })
    await writer.updateAlias('abacus', (old) => ({
      visibility: 'public',
      versions: old?.versions ?? {},
      live: old?.live ?? [],
      canary: { version: 'next', against: manifest.version, shadow: 1, guarded: true },
    }))
    // Drawn by chance, by another seed each time: what is compared is what the versions hold for the likeliest.
    for (let seed = 0; seed < 10; seed++) {
      const response = await fetch(`${worker.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'abacus',
          messages: [{ role: 'user', content: `What is 1${seed} plus 4?` }],
          temperature: 2,
          seed,
          max_tokens: 4,
          stream: true,
        }),
      })
      expect(await response.text()).toContain('data: [DONE]')
    }
    // As many are reported at once.
    const compared = async () => (await release('abacus')).watch?.counts.disagreed.of
    await expect.poll(compared, { timeout: 15_000 }).toBeGreaterThan(0)
    const { counts } = (await release('abacus')).watch ?? {}
    expect(counts).toMatchObject({ disagreed: { count: 0 }, costlier: { count: 0 }, failed: 0, incomparable: 0 })
    expect(counts?.largest).toBe(0)
  })
})
