import { expect, it } from 'vitest'
import type { GaugeReading } from '../../../src/telemetry/metrics/block.ts'
import { spreadOf, spreadSeries, usesOf } from '../../../src/telemetry/metrics/isolates.ts'
import { ratio } from '../../../src/telemetry/metrics/utilization.ts'

const heard = (isolate: string, ...gauges: readonly GaugeReading[]) => ({ isolate, gauges, silentMs: 7 })

it('each isolate has what it uses of what it is granted, and what it does not say is absent', () => {
  const uses = usesOf([
    heard('a', ratio('heap', '', 30, 120), ratio('heap', 'digits', 30, 40), ratio('cpu', '', 1, 4)),
    heard('b', ratio('heap', '', 60, 120), ratio('cpu', '', 0, 0)),
    { isolate: 'c', gauges: [] },
  ])
  expect(uses).toEqual([
    { isolate: 'a', heap: 0.25, cpu: 0.25, silentMs: 7 },
    { isolate: 'b', heap: 0.5, silentMs: 7 },
    { isolate: 'c', silentMs: 0 },
  ])
})

it('the distribution over isolates is six series, however many isolates there are', () => {
  const uses = Array.from({ length: 1_000 }, (_, index) => ({ isolate: `${index}`, heap: index / 1_000, silentMs: 0 }))
  expect(spreadOf(uses.toReversed(), 'heap')).toEqual({ least: 0, median: 0.499, most: 0.999 })
  expect(spreadOf(uses.slice(7, 8), 'heap')).toEqual({ least: 0.007, median: 0.007, most: 0.007 })
  expect(spreadOf(uses, 'cpu')).toBeUndefined()
  const series = spreadSeries(uses.map((use) => ({ ...use, cpu: 0 })))
  expect(series.map(({ labels }) => labels.join(' '))).toEqual([
    'heap least',
    'heap median',
    'heap most',
    'cpu least',
    'cpu median',
    'cpu most',
  ])
})
