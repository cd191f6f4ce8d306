import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { ROOT } from '../../src/cli/files/project.ts'
import { OriginMetrics } from '../../src/origin/metrics.ts'
import { readManifests, readYaml, render } from '../fixtures/node/manifests.ts'
import { family, type Query, readQuery, readVariable } from '../fixtures/node/promql.ts'

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

const alertSchema = z.strictObject({
  alert: z.string(),
  expr: z.string(),
  for: z
    .string()
    .regex(/^\d+[smh]$/)
    .optional(),
  labels: z.strictObject({ severity: z.enum(['info', 'warning', 'critical']) }),
  annotations: z.strictObject({ summary: z.string(), description: z.string() }),
})
const alertsSchema = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(alertSchema) })).length(1),
})

const cellSchema = z.strictObject({ x: z.int(), y: z.int(), w: z.int(), h: z.int() })
const dashboardSchema = z.object({
  panels: z.array(
    z.object({
      id: z.int(),
      title: z.string().min(1),
      gridPos: cellSchema,
      targets: z.array(z.object({ expr: z.string() })).optional(),
    }),
  ),
  templating: z.object({ list: z.array(z.object({ name: z.string(), definition: z.string().optional() })) }),
})

const monitorSchema = z.strictObject({
  selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }),
  podMetricsEndpoints: z.array(z.record(z.string(), z.string())),
})

describe('what refers to metrics', () => {
  /** Metrics of an origin, with the labels that it or the cluster gives them. */
  const known = new Map<string, ReadonlySet<string>>()
  const histograms = new Set<string>()
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
      known.set(metric.name, new Set([...labelNames, 'le', 'namespace', 'pod']))
    }
    for (const { name, type } of await registry.getMetricsAsJSON())
      if (String(type) === 'histogram') histograms.add(name)
    const [rules] = await readYaml(join(ROOT, 'deploy/prometheus/adapter.yaml'))
    const [rule, ...others] = adapterSchema.parse(rules).rules
    if (rule === undefined || others.length > 0) throw new Error('the adapter has another number of rules than one')
    adapter = rule
  })

  /** Faults of a query: metrics and labels that no origin has. */
  function faults({ metrics, labels }: Query): string[] {
    const families = [...metrics].map((metric) => family(metric, histograms))
    const offered = new Set(families.flatMap((name) => [...(known.get(name) ?? [])]))
    return [
      ...families.filter((name) => !known.has(name)).map((name) => `no metric ${name}`),
      ...[...labels].filter((label) => !offered.has(label)).map((label) => `no label ${label}`),
      ...(metrics.size === 0 ? ['no metric at all'] : []),
    ]
  }

  it('is found out where it is misspelt', () => {
    expect(known.size).toBeGreaterThan(20)
    expect(faults(readQuery('sum by (model) (rate(verge_origin_requests_total{status=~"5.."}[5m]))'))).toEqual([])
    expect(faults(readQuery('sum(verge_origin_batch_rows_sum) / sum(verge_origin_batch_rows_count)'))).toEqual([])
    expect(faults(readQuery('sum(rate(verge_origin_request_total[5m]))'))).toEqual([
      'no metric verge_origin_request_total',
    ])
    expect(faults(readQuery('sum(verge_origin_draining_bucket)'))).toEqual(['no metric verge_origin_draining_bucket'])
    expect(faults(readQuery('summ(verge_origin_draining)'))).toEqual(['no metric summ'])
    expect(faults(readQuery('verge_origin_draining{model="a"}'))).toEqual(['no label model'])
    expect(faults(readQuery('sum by (provdier) (verge_origin_info)'))).toEqual(['no label provdier'])
    expect(faults(readQuery('1'))).toEqual(['no metric at all'])
  })

  it('exists: alerts', async () => {
    const [file] = await readYaml(join(ROOT, 'deploy/prometheus/alerts.yaml'))
    const [group] = alertsSchema.parse(file).groups
    expect(group?.rules.length).toBeGreaterThan(5)
    for (const { alert, expr } of group?.rules ?? []) expect(faults(readQuery(expr)), alert).toEqual([])
    const names = group?.rules.map(({ alert }) => alert)
    expect(new Set(names).size).toBe(names?.length)
  })

  it('exists: the dashboard, which fits on its grid', async () => {
    const text = await readFile(join(ROOT, 'deploy/grafana/verge-origin.json'), 'utf8')
    const { panels, templating } = dashboardSchema.parse(JSON.parse(text))
    const queries = panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [title, readQuery(expr)] as const),
    )
    const variables = templating.list.flatMap(({ name, definition }) =>
      definition === undefined ? [] : [[name, readVariable(definition)] as const],
    )
    expect(queries.length).toBeGreaterThan(10)
    expect(variables).toHaveLength(3)
    for (const [title, query] of [...queries, ...variables]) expect(faults(query), title).toEqual([])
    for (const [, name = ''] of text.matchAll(/\$\{?(\w+)/g)) {
      expect(['__rate_interval', '__range', '__all', ...templating.list.map((one) => one.name)]).toContain(name)
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    for (const {
      gridPos: { x, w },
    } of panels)
      expect(x + w).toBeLessThanOrEqual(24)
  })

  it("exists: the adapter's, under the name that the autoscaler asks for", async () => {
    const text = adapter.metricsQuery
      .replaceAll('<<.Series>>', adapter.seriesQuery.replace(/\{.*/, ''))
      .replaceAll('<<.LabelMatchers>>', 'namespace="verge"')
      .replaceAll('<<.GroupBy>>', 'pod')
    expect(faults(readQuery(text))).toEqual([])
    expect(faults(readQuery(adapter.seriesQuery))).toEqual([])
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
