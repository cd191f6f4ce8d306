import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { ROOT } from '../../src/cli/files/project.ts'
import { ALERTS, type AlertRule } from '../../src/operations/alerts.ts'
import { STATUS } from '../../src/protocols/status.ts'
import { METRICS } from '../../src/telemetry/metrics/definitions.ts'
import { checkedDashboard, checkedRules, definedMetrics, faults } from '../fixtures/node/known-metrics.ts'
import { readYaml } from '../fixtures/node/manifests.ts'
import { readQuery } from '../fixtures/node/promql.ts'

const RULES = join(ROOT, 'deploy/prometheus/verge-edge-alerts.yml')
const DASHBOARD = join(ROOT, 'deploy/grafana/verge-edge.json')

/** Metrics of a Worker, with the labels that it or Prometheus gives them. */
const KNOWN = definedMetrics(METRICS)
/** What the Worker counts as its own errors, for Prometheus. */
const FAULTS = Object.entries(STATUS)
  .filter(([, status]) => status >= 500)
  .map(([code]) => code)
  .join('|')

/** Lists of codes that queries match. */
function codesIn(queries: readonly string[]): string[] {
  return queries.flatMap((query) => [...query.matchAll(/code=~"([^"]*)"/g)].map(([, codes = '']) => codes))
}

// test/e2e/canary.test.ts holds the same files against what a Worker answers.
describe('what refers to metrics of the Worker', () => {
  it('is found out where it is misspelt', () => {
    const found = (query: string) => faults(readQuery(query), KNOWN)
    expect(found('sum by (model) (rate(verge_requests_total{code!="ok"}[5m]))')).toEqual([])
    expect(found('histogram_quantile(0.9, sum by (le) (rate(verge_request_seconds_bucket[5m])))')).toEqual([])
    expect(found('sum(verge_request_total)')).toEqual(['no metric verge_request_total'])
    expect(found('verge_isolates{model="a"}')).toEqual(['no label model'])
    expect(found('sum by (le) (verge_requests_total)')).toEqual(['no label le'])
    expect(() => found('summ(verge_isolates)')).toThrow('not PromQL at character 4')
    expect(() => found('sum(verge_isolates))')).toThrow('not PromQL')
  })

  it('exists: alerts, with the thresholds that GET /v1/operations has', async () => {
    const rules = new Map((await checkedRules(RULES, KNOWN)).map((rule) => [rule.alert, rule]))
    expect(rules.size).toBeGreaterThan(10)
    for (const [name, { above, leastRequests, severity }] of Object.entries<AlertRule>(ALERTS)) {
      // Prometheus does not know budgets.
      if (name === 'VergeBudgetLow') continue
      const { expr = '', labels } = rules.get(name) ?? {}
      expect([name, labels?.severity]).toEqual([name, severity])
      const thresholds = [...expr.matchAll(/(>=?) ([\d.]+)(?=\s|$)/g)].map(([, sign, value]) => `${sign} ${value}`)
      const wanted = [`> ${above}`, ...(leastRequests === undefined ? [] : [`>= ${leastRequests}`])]
      expect([name, [...new Set(thresholds)]]).toEqual([name, wanted])
    }
    // one name, one alert, over all files
    const [origins] = await readYaml(join(ROOT, 'deploy/prometheus/alerts.yaml'))
    for (const name of rules.keys()) expect(JSON.stringify(origins)).not.toContain(`"alert":"${name}"`)
  })

  it('exists: the dashboard, which fits on its grid', async () => {
    expect((await checkedDashboard(DASHBOARD, KNOWN)).length).toBeGreaterThan(30)
  })

  it('shows every metric, and names codes that there are', async () => {
    const queries = await checkedDashboard(DASHBOARD, KNOWN)
    for (const name of Object.keys(METRICS)) expect(queries.join('\n')).toContain(name)
    const alerts = (await checkedRules(RULES, KNOWN)).map(({ expr }) => expr)
    for (const codes of codesIn(queries)) expect(codes).toBe(FAULTS)
    const lists = codesIn(alerts)
    expect(lists.filter((codes) => codes === FAULTS)).toHaveLength(2)
    for (const code of lists.flatMap((codes) => codes.split('|'))) expect(STATUS).toHaveProperty(code)
  })

  it('is scraped with a key that may read metrics', async () => {
    const [file] = await readYaml(join(ROOT, 'deploy/prometheus/verge-edge-scrape.yml'))
    const [job] = z
      .object({ scrape_configs: z.array(z.record(z.string(), z.unknown())).length(1) })
      .parse(file).scrape_configs
    expect(job).toMatchObject({ metrics_path: '/metrics', scheme: 'https', authorization: { type: 'Bearer' } })
  })
})

it('docs/dashboards.md has every alert, and what to do', async () => {
  const text = await readFile(join(ROOT, 'docs/dashboards.md'), 'utf8')
  const named = text
    .split('\n')
    .filter((line) => line.startsWith('| `Verge'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`(Verge\w+)`/g)].map(([, name]) => name))
  const rules = await checkedRules(RULES, KNOWN)
  expect(named.sort()).toEqual([...rules.map(({ alert }) => alert), 'VergeBudgetLow'].sort())
})
