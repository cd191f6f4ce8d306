import type { MetricFamily, Sample } from './merge.ts'

/** The Prometheus text format, version 0.0.4. */
export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8'
/** OpenMetrics 1.0, https://prometheus.io/docs/specs/om/open_metrics_spec/ */
export const OPEN_METRICS_TEXT = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Metrics as a scraper reads them: OpenMetrics names a counter's family without `_total`, and says where the text ends. */
export function exposition(families: readonly MetricFamily[], openMetrics: boolean): string {
  const text = families.map((family) => familyText(family, openMetrics)).join('')
  return openMetrics ? `${text}# EOF\n` : text
}

/** Whether a scraper asks for OpenMetrics. @param accept its header */
export function asksForOpenMetrics(accept: string | undefined): boolean {
  return accept?.slice(0, MOST_ACCEPT).includes('application/openmetrics-text') ?? false
}

/** Characters of the header that are looked at; Prometheus sends 200. */
const MOST_ACCEPT = 1_000

function familyText({ help, name, samples, type }: MetricFamily, openMetrics: boolean): string {
  const family = openMetrics && type === 'counter' ? name.replace(/_total$/, '') : name
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  const said = openMetrics ? escaped.replaceAll('"', '\\"') : escaped
  const lines = samples.flatMap((sample) => sampleLines(name, sample))
  return [`# HELP ${family} ${said}`, `# TYPE ${family} ${type}`, ...lines, ''].join('\n')
}

function sampleLines(name: string, { buckets, labels, sum = 0, value }: Sample): string[] {
  const pairs = Object.entries(labels).map(([label, each]) => `${label}="${escapedLabel(each)}"`)
  const line = (suffix: string, figure: number, more: readonly string[] = []): string => {
    const all = [...pairs, ...more]
    return `${name}${suffix}${all.length === 0 ? '' : `{${all.join(',')}}`} ${numberText(figure)}`
  }
  if (buckets === undefined) return [line('', value)]
  return [
    ...buckets.map(({ count, le }) => line('_bucket', count, [`le="${boundText(le)}"`])),
    line('_sum', sum),
    line('_count', value),
  ]
}

function escapedLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/** OpenMetrics writes bounds as floats: `1.0`. Prometheus reads both. */
function boundText(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : numberText(bound)
}
