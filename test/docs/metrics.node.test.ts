import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { METRIC_NAMES } from '../../src/origin/metrics.ts'
import { METRICS, type MetricDefinition } from '../../src/telemetry/metrics/definitions.ts'

const DEFINITIONS: readonly (readonly [string, MetricDefinition])[] = Object.entries(METRICS)

describe('docs/metrics.md', () => {
  it('has every metric as it is defined, in the same order, and no other', () => {
    const rows = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `verge_'))
    expect(rows).toEqual(
      DEFINITIONS.map(([name, { help, labels, source, type }]) => {
        const quoted = labels.map((label) => `\`${label}\``).join(', ')
        return `| \`${name}\` | ${type} | ${quoted === '' ? 'none' : quoted} | ${source} | ${help} |`
      }),
    )
  })
})

describe('the metrics', () => {
  it('have names by the conventions of Prometheus, and none that origins have', () => {
    for (const [name, { buckets, help, labels, merge, type }] of DEFINITIONS) {
      expect(name.endsWith('_total'), name).toBe(type === 'counter')
      expect(buckets !== undefined, name).toBe(type === 'histogram')
      if (type === 'histogram') expect(name).toMatch(/_seconds$/)
      if (merge !== undefined) expect(type, name).toBe('gauge')
      expect(help, name).toMatch(/^[A-Z].*\.$/)
      expect([...(buckets ?? [])].sort((a, b) => a - b)).toEqual(buckets ?? [])
      for (const label of labels) expect(label).toMatch(/^[a-z]+$/)
      expect(METRIC_NAMES).not.toContain(name)
    }
  })
})
