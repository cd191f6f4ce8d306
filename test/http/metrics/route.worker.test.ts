import { describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/access/authorize.ts'
import { grantSchema } from '../../../src/access/grant.ts'
import type { ShardReading } from '../../../src/telemetry/metrics/block.ts'
import { mergeReadings } from '../../../src/telemetry/metrics/merge.ts'
import { assertExposition } from '../../fixtures/exposition.ts'
import { type TestAppOptions, testApp } from '../../fixtures/http.ts'

const granted = (actions: readonly string[], models: readonly string[] = ['*']): Caller => ({
  kind: 'granted',
  by: 'key',
  principal: 'key:one',
  name: 'One',
  grant: grantSchema.parse({ models, actions }),
})

const answering: ShardReading = {
  series: [{ name: 'verge_evictions_total', labels: ['digits'], values: [7] }],
  minutes: [],
  isolates: [],
}

const readerOf = (...readings: (ShardReading | undefined)[]): NonNullable<TestAppOptions['metrics']> => ({
  read: async () => mergeReadings(readings, '1.2.3'),
})

const metrics = readerOf(answering, answering)

describe('GET /metrics', () => {
  it('is for the operator and for keys that allow it', async () => {
    const statusFor = async (caller: Caller, options: TestAppOptions = { metrics }) =>
      (await testApp({ ...options, caller }).request('/metrics')).status
    expect(await statusFor({ kind: 'operator' })).toBe(200)
    expect(await statusFor(granted(['metrics']))).toBe(200)
    expect(await statusFor(granted(['infer']))).toBe(403)
    // Its answer names every model, private ones too.
    expect(await statusFor(granted(['metrics'], ['shop-*']))).toBe(403)
    expect(await statusFor({ kind: 'anonymous' })).toBe(401)
    expect(await statusFor({ kind: 'operator' }, {})).toBe(501)
    expect(await statusFor({ kind: 'anonymous' }, {})).toBe(401)
  })

  it('answers what the scraper reads, and is never kept', async () => {
    const { request } = testApp({ metrics, caller: { kind: 'operator' } })
    const plain = await request('/metrics')
    expect(plain.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(plain.headers.get('cache-control')).toBe('no-store')
    const samples = assertExposition(await plain.text(), false)
    expect(samples).toContainEqual({ name: 'verge_evictions_total', labels: { model: 'digits' }, value: 14 })
    expect(samples).toContainEqual({ name: 'verge_metrics_shards_unreachable', labels: {}, value: 0 })
    const open = await request('/verge/metrics', { headers: { accept: 'application/openmetrics-text' } })
    expect(open.headers.get('content-type')).toMatch(/^application\/openmetrics-text; version=1\.0\.0/)
    assertExposition(await open.text(), true)
  })

  it('has a gap while a shard is away, and never sums that fall', async () => {
    for (const readings of [[answering, undefined], [undefined]]) {
      const { request } = testApp({ metrics: readerOf(...readings), caller: { kind: 'operator' } })
      const scrape = await request('/metrics')
      expect(scrape.status).toBe(200)
      expect(assertExposition(await scrape.text(), false)).toEqual([
        { name: 'verge_metrics_shards_unreachable', labels: {}, value: 1 },
        { name: 'verge_info', labels: { version: '1.2.3' }, value: 1 },
      ])
    }
  })
})

describe('the middleware', () => {
  it('counts every request by the pattern of its route and its status, and never by what callers write', async () => {
    const counted: string[] = []
    const countHttp = (route: string, status: number): void => void counted.push(`${route} ${status}`)
    const { request } = testApp({ countHttp, metrics, caller: { kind: 'operator' } })
    for (const path of ['/healthz', '/models/no-such-model', '/verge/explain/secret', '/secret/path', '/metrics']) {
      await request(path)
    }
    await request('/run/secret', { method: 'POST' })
    await request('/run/secret')
    expect(counted).toEqual([
      '/healthz 200',
      '/models/:model 404',
      '/verge/explain/:model 404',
      '/* 404',
      '/metrics 200',
      '/run/:model 404',
      '/run/:model 405',
    ])
  })
})
