import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { OtlpExporter } from '../../../src/telemetry/traces/exporter.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { exportedSpans } from '../../fixtures/otlp.ts'

const LIMITED = { ...LIMITS, traceQueueSpans: 6, traceBatchSpans: 4 }

/** A collector that answers by a script: with a response, or not at all. */
function collector(...script: (Response | 'hangs' | 'away')[]) {
  const clock = new ManualClock()
  const sent: { readonly names: string[]; readonly init: RequestInit }[] = []
  const warnings: unknown[] = []
  const kept: Promise<unknown>[] = []
  const exporter = new OtlpExporter({
    to: { url: 'https://otlp.example.com/v1/traces', headers: { authorization: 'Bearer secret' } },
    fetch: (_, init) => {
      const names = exportedSpans(JSON.parse(new TextDecoder().decode(init.body as Uint8Array))).map(({ name }) => name)
      sent.push({ names, init })
      const next = script.shift() ?? new Response('{}')
      if (next === 'hangs') return new Promise(() => {})
      return next === 'away' ? Promise.reject(new TypeError('https://otlp.example.com secret')) : Promise.resolve(next)
    },
    clock,
    logger: { info() {}, error() {}, warn: (event, fields) => warnings.push({ event, ...fields }) },
    limits: LIMITED,
  })
  const became: Record<string, number> = {}
  const note = (word: string, spans: number): void => {
    became[word] = (became[word] ?? 0) + spans
  }
  exporter.watch({ counted: note, dropped: note })
  return {
    clock,
    exporter,
    became,
    sent,
    warnings,
    kept,
    add: (...names: string[]) => exporter.add(spansOf(names), (work) => kept.push(work)),
    names: () => sent.map((each) => each.names),
  }
}

function spansOf(names: readonly string[]): ReadableSpan[] {
  const memory = new InMemorySpanExporter()
  const tracer = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: memory })] }).getTracer(
    't',
    '1',
  )
  for (const name of names) tracer.startSpan(name, { startTime: [1_790_000_000, 0] }).end([1_790_000_000, 1])
  return memory.getFinishedSpans()
}

describe('an exporter', () => {
  it('sends the spans of several requests together, a while after the first', async () => {
    const { add, clock, kept, names, sent } = collector()
    add('a')
    add('b', 'c')
    expect(kept).toHaveLength(1)
    await clock.advance(LIMITED.traceFlushMs - 1)
    expect(names()).toEqual([])
    await clock.advance(1)
    expect(names()).toEqual([['a', 'b', 'c']])
    expect(sent[0]?.init).toMatchObject({
      method: 'POST',
      redirect: 'manual',
      headers: { authorization: 'Bearer secret', 'content-type': 'application/json' },
    })
    await Promise.all(kept)
    add('d')
    await clock.advance(LIMITED.traceFlushMs)
    expect(names()).toEqual([['a', 'b', 'c'], ['d']])
  })

  it('sends a full batch at once', async () => {
    const { add, clock, names } = collector()
    add('a', 'b', 'c', 'd', 'e')
    await clock.advance(0)
    expect(names()).toEqual([['a', 'b', 'c', 'd'], ['e']])
  })

  it('takes an appointment over that a killed request has left', async () => {
    const { clock, exporter, names } = collector()
    const sleep = clock.sleep.bind(clock)
    clock.sleep = () => new Promise(() => {})
    exporter.add(spansOf(['a']), () => {})
    clock.sleep = sleep
    await clock.advance(LIMITED.traceFlushMs)
    expect(names()).toEqual([])
    exporter.add(spansOf(['b']), () => {})
    await clock.advance(LIMITED.traceFlushMs)
    expect(names().flat()).toEqual(['a', 'b'])
  })

  it('gives up a collector that hangs, keeps the spans, and leaves it alone', async () => {
    const { add, clock, kept, names, sent } = collector('hangs')
    add('a')
    await clock.advance(LIMITED.traceFlushMs + LIMITED.traceExportMs)
    await Promise.all(kept)
    expect(sent[0]?.init.signal?.aborted).toBe(true)
    add('b')
    await clock.advance(LIMITED.traceRestMs - 1)
    expect(names()).toEqual([['a']])
    await clock.advance(1)
    add('c')
    await clock.advance(LIMITED.traceFlushMs)
    expect(names()).toEqual([['a'], ['a', 'b', 'c']])
  })

  it.each([
    ['429', new Response(null, { status: 429, headers: { 'retry-after': '7' } }), 7_000],
    ['503', new Response(null, { status: 503 }), LIMITED.traceRestMs],
    [
      '503 with a date',
      new Response(null, { status: 503, headers: { 'retry-after': 'Thu, 01 Jan 1970 00:00:20 GMT' } }),
      18_000,
    ],
    ['503 with nonsense', new Response(null, { status: 503, headers: { 'retry-after': 'soon' } }), LIMITED.traceRestMs],
    ['an endless wait', new Response(null, { status: 429, headers: { 'retry-after': '999999999' } }), 600_000],
    ['no connection', 'away' as const, LIMITED.traceRestMs],
  ])('sends again after %s, when it may', async (_, answer, restMs) => {
    const { add, clock, names } = collector(answer)
    add('a')
    await clock.advance(LIMITED.traceFlushMs)
    await clock.advance(restMs - 1)
    add('b')
    await clock.advance(0)
    expect(names()).toEqual([['a']])
    await clock.advance(1)
    add('c')
    await clock.advance(LIMITED.traceFlushMs)
    expect(names()).toEqual([['a'], ['a', 'b', 'c']])
  })

  it.each([400, 401, 404, 413, 500, 302])('drops what is answered %i, and counts it', async (status) => {
    const { add, clock, exporter, names, warnings } = collector(new Response(null, { status }))
    add('a', 'b')
    await clock.advance(LIMITED.traceFlushMs)
    add('c')
    await clock.advance(LIMITED.traceFlushMs)
    expect(names()).toEqual([['a', 'b'], ['c']])
    expect(exporter.dropped).toBe(2)
    expect(warnings).toEqual([{ event: 'trace_spans_dropped', spans: 2, reason: `the collector answered ${status}` }])
  })

  it('counts what a collector leaves out of an export', async () => {
    const { add, clock, exporter } = collector(
      Response.json({ partialSuccess: { rejectedSpans: '1', errorMessage: 'words' } }),
      new Response('x'.repeat(5_000)),
      new Response('not JSON'),
      Response.json({ partialSuccess: { rejectedSpans: '-7' } }),
    )
    for (const name of ['a', 'b', 'c', 'd']) {
      add(name)
      await clock.advance(LIMITED.traceFlushMs)
    }
    expect(exporter.dropped).toBe(1)
  })

  it('bounds what waits, drops the newest, and reports it in powers of two', async () => {
    const { add, clock, exporter, names, warnings } = collector('away', 'away')
    add('a')
    await clock.advance(LIMITED.traceFlushMs)
    for (let i = 0; i < 20; i++) add(`b${i}`)
    expect(exporter.dropped).toBe(15)
    expect(warnings.map((each) => (each as { spans: number }).spans)).toEqual([1, 2, 4, 8])
    await clock.advance(LIMITED.traceRestMs)
    expect(await exporter.flush()).toBe(false)
    expect(names()[1]).toEqual(['a', 'b0', 'b1', 'b2'])
  })

  it('tells no secret of why a collector cannot be reached', async () => {
    const { add, clock, exporter, warnings } = collector('away')
    add('a', 'b', 'c')
    await clock.advance(LIMITED.traceFlushMs)
    add('d', 'e', 'f', 'g')
    expect(exporter.dropped).toBe(1)
    expect(JSON.stringify(warnings)).not.toMatch(/secret|otlp\.example/)
  })

  it.each([
    ['hangs', 'hangs' as const],
    ['unreachable', 'away' as const],
    ['busy', new Response(null, { status: 503 })],
  ])('counts what it drops while the collector is away: %s', async (reason, answer) => {
    const { add, became, clock } = collector(answer)
    add('a', 'b')
    await clock.advance(LIMITED.traceFlushMs + LIMITED.traceExportMs)
    add('c', 'd', 'e', 'f', 'g')
    expect(became).toEqual({ recorded: 7, [reason]: 1 })
    await clock.advance(LIMITED.traceRestMs)
    add('h')
    await clock.advance(LIMITED.traceFlushMs)
    // No room was left for the last one either; all that waited have gone.
    expect(became).toEqual({ recorded: 8, [reason]: 2, exported: 6 })
  })

  it.each([
    ['refused', new Response(null, { status: 400 }), { recorded: 2, refused: 2 }],
    [
      'left out',
      Response.json({ partialSuccess: { rejectedSpans: 1, errorMessage: 'words' } }),
      { recorded: 2, exported: 1, left_out: 1 },
    ],
  ])('counts what the collector has %s', async (_, answer, expected) => {
    const { add, became, clock } = collector(answer)
    add('a', 'b')
    await clock.advance(LIMITED.traceFlushMs)
    expect(became).toEqual(expected)
  })

  it('counts what is more than it may hold', async () => {
    const { add, became } = collector()
    add('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
    expect(became).toEqual({ recorded: 8, full: 2 })
  })
})
