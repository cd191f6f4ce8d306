import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/core/runtime.ts'
import type { MetricBlock } from '../../../src/telemetry/metrics/block.ts'
import { MetricRegistry } from '../../../src/telemetry/metrics/registry.ts'
import { MetricReporter } from '../../../src/telemetry/metrics/reporter.ts'
import { ManualClock, settle } from '../../fixtures/clock.ts'
import { observationOf } from '../../fixtures/metrics.ts'

const LIMITS = {
  metricSeries: 100,
  metricTraffic: 10,
  metricFlushRequests: 100,
  metricFlushMs: 20_000,
  metricRetryMs: 3_000,
}

function setUp(book: (block: MetricBlock) => Promise<void> = async () => {}) {
  const clock = new ManualClock()
  const sent: MetricBlock[] = []
  const work: Promise<unknown>[] = []
  const registry = new MetricRegistry({ limits: LIMITS, randomId: () => 'isolate', gauges: () => [] })
  const reporter = new MetricReporter({
    registry,
    clock,
    logger: silentLogger,
    limits: LIMITS,
    book: (block) => {
      sent.push(block)
      return book(block)
    },
  })
  const serve = (requests: number): void => {
    for (let i = 0; i < requests; i++) reporter.observed(observationOf(), (each) => work.push(each))
  }
  const counted = (blocks = sent): number =>
    [...new Map(blocks.map((block) => [block.seq, block])).values()]
      .flatMap(({ series }) => series)
      .reduce((sum, { name, values }) => sum + (name === 'verge_requests_total' ? (values[0] ?? 0) : 0), 0)
  return { clock, counted, reporter, sent, serve, work }
}

describe('an isolate', () => {
  it('hands over once in a hundred requests, without a clock that goes on', async () => {
    const { counted, sent, serve } = setUp()
    for (let hundred = 0; hundred < 20; hundred++) {
      serve(100)
      await settle()
    }
    expect(sent).toHaveLength(20)
    expect(counted()).toBe(2_000)
  })

  it('hands over what is less after a while, by one appointment', async () => {
    const { clock, counted, sent, serve, work } = setUp()
    serve(7)
    await clock.advance(19_000)
    expect([sent.length, work.length]).toEqual([0, 1])
    await clock.advance(1_000)
    expect([sent.length, counted()]).toEqual([1, 7])
    await clock.advance(60_000)
    expect(sent).toHaveLength(1)
  })

  it('sends a block that failed again unchanged, with what came meanwhile in the next one', async () => {
    let down = true
    const { clock, counted, sent, serve } = setUp(async () => {
      if (down) throw new Error('reset')
    })
    serve(100)
    await settle()
    serve(250)
    expect(sent).toHaveLength(1)
    down = false
    await clock.advance(3_000)
    expect(sent[1]).toBe(sent[0])
    serve(1)
    await settle()
    expect(sent.map(({ seq }) => seq)).toEqual([1, 1, 2])
    expect(counted()).toBe(351)
  })

  it('asks no shard more than a few times for one request, however long it is away, and loses nothing', async () => {
    const { clock, counted, sent, serve } = setUp(() => Promise.reject(new Error('away')))
    serve(100)
    await clock.advance(600_000)
    // For the hundredth request, and for the first one's appointment.
    expect(sent).toHaveLength(6)
    expect(counted()).toBe(100)
  })

  it('is not held up by a call that was killed with its request, nor by a clock that jumps back', async () => {
    const { clock, sent, serve } = setUp(() => new Promise(() => {}))
    await clock.advance(1_000_000)
    serve(100)
    await settle()
    expect(sent).toHaveLength(1)
    serve(100)
    expect(sent).toHaveLength(1)
    clock.now = () => 5
    serve(100)
    await settle()
    expect(sent).toHaveLength(2)
    expect(sent[1]).toBe(sent[0])
  })
})
