import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { ROOT } from '../../src/cli/files/project.ts'
import { OriginMetrics } from '../../src/origin/metrics.ts'
import { checkedDashboard, checkedRules, faults, type KnownMetrics } from '../fixtures/node/known-metrics.ts'
import { readManifests, readYaml, render } from '../fixtures/node/manifests.ts'
import { readQuery } from '../fixtures/node/promql.ts'

const adapterSchema = z.strictObject({
  rules: z.array(
    z.strictObject({
      seriesQuery: z.string(),
      resources: z.strictObject({ overrides: z.record(z.string(), z.strictObject({ resource: z.string() })) }),
      name: z.strictObject({ matches: z.string(), as: z.string() }),
      metricsQuery: z.string(),
    }),
  ),
})

const monitorSchema = z.strictObject({
  selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }),
  podMetricsEndpoints: z.array(z.record(z.string(), z.string())),
})

describe('what refers to metrics', () => {
  const labels = new Map<string, ReadonlySet<string>>()
  const histograms = new Set<string>()
  /** Metrics of an origin, with the labels that it or the cluster gives them. */
  const known: KnownMetrics = { labels, histograms }
  let adapter: z.infer<typeof adapterSchema>['rules'][number]

  beforeAll(async () => {
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    const { registry } = new OriginMetrics(
      {
        queued: () => new Map(),
        sessions: () => ({ count: 0, bytes: 0 }),
        cacheBytes: () => 0,
        draining: () => false,
        health: async () => ({ ok: true, engine: 'native', version: '1' }),
      },
      logger,
    )
    for (const metric of registry.getMetricsAsArray()) {
      const { labelNames = [] } = metric as { labelNames?: string[] }
      labels.set(metric.name, new Set([...labelNames, 'le', 'namespace', 'pod']))
    }
    for (const { name, type } of await registry.getMetricsAsJSON())
      if (String(type) === 'histogram') histograms.add(name)
    const [rules] = await readYaml(join(ROOT, 'deploy/prometheus/adapter.yaml'))
    const [rule, ...others] = adapterSchema.parse(rules).rules
    if (rule === undefined || others.length > 0) throw new Error('the adapter has another number of rules than one')
    adapter = rule
  })

  it('is found out where it is misspelt', () => {
    expect(labels.size).toBeGreaterThan(20)
    expect(faults(readQuery('sum by (model) (rate(verge_origin_requests_total{status=~"5.."}[5m]))'), known)).toEqual(
      [],
    )
    expect(faults(readQuery('sum(verge_origin_batch_rows_sum) / sum(verge_origin_batch_rows_count)'), known)).toEqual(
      [],
    )
    expect(faults(readQuery('sum(rate(verge_origin_request_total[5m]))'), known)).toEqual([
      'no metric verge_origin_request_total',
    ])
    expect(faults(readQuery('sum(verge_origin_draining_bucket)'), known)).toEqual([
      'no metric verge_origin_draining_bucket',
    ])
    expect(() => readQuery('summ(verge_origin_draining)')).toThrow('not PromQL at character 4')
    expect(faults(readQuery('verge_origin_draining{model="a"}'), known)).toEqual(['no label model'])
    expect(faults(readQuery('sum by (provdier) (verge_origin_info)'), known)).toEqual(['no label provdier'])
    expect(faults(readQuery('1'), known)).toEqual(['no metric at all'])
  })

  it('exists: alerts', async () => {
    expect((await checkedRules(join(ROOT, 'deploy/prometheus/alerts.yaml'), known)).length).toBeGreaterThan(5)
  })

  it('exists: the dashboard, which fits on its grid', async () => {
    expect((await checkedDashboard(join(ROOT, 'deploy/grafana/verge-origin.json'), known)).length).toBeGreaterThan(10)
  })

  it("exists: the adapter's, under the name that the autoscaler asks for", async () => {
    const text = adapter.metricsQuery
      .replaceAll('<<.Series>>', adapter.seriesQuery.replace(/\{.*/, ''))
      .replaceAll('<<.LabelMatchers>>', 'namespace="verge"')
      .replaceAll('<<.GroupBy>>', 'pod')
    expect(faults(readQuery(text), known)).toEqual([])
    expect(faults(readQuery(adapter.seriesQuery), known)).toEqual([])
    expect(adapter.name.matches).toBe(`^${adapter.seriesQuery.replace(/\{.*/, '')}$`)
    const autoscalers = (await render(join(ROOT, 'deploy/kubernetes/gpu'))).filter(
      ({ kind }) => kind === 'HorizontalPodAutoscaler',
    )
    const asked = autoscalers.map((one) => JSON.stringify(one).match(/"metric":\{"name":"(\w+)"\}/)?.[1])
    expect(asked).toEqual([adapter.name.as])
  })

  it('scrapes the port that has them', async () => {
    const [monitor] = await readManifests(join(ROOT, 'deploy/kubernetes/monitoring/podmonitor.yaml'))
    const endpoints = monitorSchema.parse(monitor?.spec).podMetricsEndpoints
    expect(endpoints).toEqual([{ port: 'admin', path: '/metrics', interval: '10s' }])
    const [scrape] = await readYaml(join(ROOT, 'deploy/prometheus/scrape.yaml'))
    expect(JSON.stringify(scrape)).toContain('verge-origin;admin')
  })
})
