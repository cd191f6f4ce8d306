import { describe, expect, it } from 'vitest'
import type { ShardReading } from '../../../src/telemetry/metrics/block.ts'
import { METRICS } from '../../../src/telemetry/metrics/definitions.ts'
import { asksForOpenMetrics, exposition } from '../../../src/telemetry/metrics/exposition.ts'
import { mergeReadings } from '../../../src/telemetry/metrics/merge.ts'
import { assertExposition } from '../../fixtures/exposition.ts'

const NASTY = 'a "quoted" \\ back\nslash'

function shard(source: string, requests: number, heap: readonly [number, number]): ShardReading {
  const seconds = new Array<number>(METRICS.verge_request_seconds.buckets.length + 2).fill(0).with(2, requests)
  return {
    series: [
      { name: 'verge_requests_total', labels: ['digits', '2', 'edge', 'ok'], values: [requests] },
      { name: 'verge_evictions_total', labels: [NASTY], values: [1] },
      { name: 'verge_request_seconds', labels: ['digits', '2', 'edge'], values: seconds.with(-1, requests / 100) },
      { name: 'verge_of_another_version', labels: [], values: [1] },
      { name: 'verge_step_seconds', labels: ['digits', 'run'], values: [1, 2] },
      { name: 'verge_metrics_lost_total', labels: [], values: [1] },
    ],
    minutes: [
      { minute: 9, model: 'digits', version: '2', place: 'edge', requests, errors: 1, units: 2, tokens: 3 },
      { minute: 8, model: 'digits', version: '2', place: 'edge', requests: 1, errors: 0, units: 0, tokens: 0 },
    ],
    isolates: [
      {
        isolate: source,
        gauges: [
          { name: 'verge_origin_up', labels: ['fra'], value: heap[0] > 10 ? 1 : 0 },
          { name: 'verge_heap_bytes', labels: ['used'], value: heap[0] },
          { name: 'verge_utilization_ratio', labels: ['heap', ''], value: heap[0], of: heap[1] },
        ],
      },
    ],
  }
}

const snapshot = mergeReadings([shard('a', 5, [10, 40]), shard('b', 7, [20, 40]), undefined], '1.2.3')

describe('shards together', () => {
  it('are one snapshot, which says what is missing from it', () => {
    expect(snapshot).toMatchObject({ isolates: 2, lost: 2, unreachable: 1 })
    expect(snapshot.minutes).toEqual([
      { minute: 8, model: 'digits', version: '2', place: 'edge', requests: 2, errors: 0, units: 0, tokens: 0 },
      { minute: 9, model: 'digits', version: '2', place: 'edge', requests: 12, errors: 2, units: 4, tokens: 6 },
    ])
    const figuresOf = (name: string) =>
      snapshot.families.find((family) => family.name === name)?.samples.map(({ value }) => value)
    expect(figuresOf('verge_requests_total')).toEqual([12])
    expect(figuresOf('verge_origin_up')).toEqual([0.5])
    expect(figuresOf('verge_heap_bytes')).toEqual([30])
    expect(figuresOf('verge_utilization_ratio')).toEqual([0.375])
    expect(figuresOf('verge_isolate_utilization_ratio')).toEqual([0.25, 0.25, 0.5])
    expect(figuresOf('verge_step_seconds')).toBeUndefined()
  })
})

describe('the text', () => {
  it('is Prometheus text: escaped labels, cumulative buckets, a sum and a count', () => {
    const text = exposition(snapshot.families, false)
    assertExposition(text, false)
    const lines = text.split('\n')
    expect(lines).toContain('# TYPE verge_requests_total counter')
    expect(lines).toContain('verge_requests_total{model="digits",version="2",place="edge",code="ok"} 12')
    expect(lines).toContain('verge_evictions_total{model="a \\"quoted\\" \\\\ back\\nslash"} 2')
    expect(lines).toContain('verge_request_seconds_bucket{model="digits",version="2",place="edge",le="0.005"} 0')
    expect(lines).toContain('verge_request_seconds_bucket{model="digits",version="2",place="edge",le="0.01"} 12')
    expect(lines).toContain('verge_request_seconds_bucket{model="digits",version="2",place="edge",le="+Inf"} 12')
    expect(lines).toContain('verge_request_seconds_count{model="digits",version="2",place="edge"} 12')
    expect(lines).toContain('verge_info{version="1.2.3"} 1')
    expect(lines).toContain('verge_metrics_shards_unreachable 1')
  })

  it('is OpenMetrics where that is asked for: families without _total, and an end', () => {
    const text = exposition(snapshot.families, true)
    assertExposition(text, true)
    expect(text).toContain('# TYPE verge_requests counter\nverge_requests_total{')
    expect(text.endsWith('\n# EOF\n')).toBe(true)
    const accept = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1'
    expect([asksForOpenMetrics(accept), asksForOpenMetrics('text/plain'), asksForOpenMetrics(undefined)]).toEqual([
      true,
      false,
      false,
    ])
  })

  it('has a grammar that is strict enough to notice mistakes', () => {
    const wrong = [
      'verge_x{a="b"} 1',
      '# TYPE verge_x counter\nverge_x{a="b} 1\n',
      '# TYPE verge_x counter\nverge_x{a="b"} one\n',
      '# TYPE verge_x counter\nverge_y 1\n',
      '# TYPE verge_x counter\nverge_x 1\nverge_x 1\n',
      '# TYPE verge_x counter\n# TYPE verge_x counter\n',
      '# TYPE verge_x histogram\nverge_x_bucket{le="1"} 2\nverge_x_bucket{le="+Inf"} 1\nverge_x_sum 1\nverge_x_count 1\n',
      '# TYPE verge_x histogram\nverge_x_bucket{le="1"} 1\nverge_x_sum 1\nverge_x_count 1\n',
    ]
    for (const text of wrong) expect(() => assertExposition(text, false), text).toThrow()
    expect(() => assertExposition('# TYPE verge_x gauge\nverge_x 1\n', true)).toThrow()
  })
})
