import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { settle } from '../../fixtures/clock.ts'
import { pathsOf, tracing } from '../../fixtures/traces.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const SAMPLED = `00-${TRACE}-${SPAN}-01`

describe('a tracer', () => {
  it('records what a request waits for, as a tree, with its times', async () => {
    const { arrival, clock, exported, tracer } = tracing()
    await tracer.request({ ...arrival, attributes: { 'http.request.method': 'POST' } }, async (span) => {
      await clock.advance(5)
      await tracer.span('alias', { 'verge.model': 'digits' }, async () => {
        await tracer.span('kv', {}, () => clock.advance(20))
      })
      await Promise.all([tracer.span('run', {}, () => settle()), tracer.span('r2', {}, () => settle())])
      span?.part('queue', {}, tracer.now() - 3, tracer.now())
      span?.rename('POST /run/:model')
    })
    const spans = await exported()
    expect(pathsOf(spans).sort()).toEqual([
      'POST /run/:model',
      'POST /run/:model > alias',
      'POST /run/:model > alias > kv',
      'POST /run/:model > queue',
      'POST /run/:model > r2',
      'POST /run/:model > run',
    ])
    const kv = spans.find(({ name }) => name === 'kv')
    expect(kv).toMatchObject({
      startTimeUnixNano: '1790000000005000000',
      endTimeUnixNano: '1790000000025000000',
      kind: 3,
    })
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
    const request = spans.find(({ parentSpanId }) => parentSpanId === undefined)
    expect(request).toMatchObject({
      kind: 2,
      attributes: { 'http.request.method': 'POST' },
      resource: { 'service.name': 'verge', 'service.version': '1.2.3', 'verge.place': 'edge' },
    })
  })

  it('records nothing of requests that are not drawn, and asks others for nothing', async () => {
    const { arrival, exported, tracer } = tracing(0)
    const headers = await tracer.request(arrival, async (span) => {
      expect(span).toBeUndefined()
      return tracer.span('run', {}, async (inner) => {
        expect(inner).toBeUndefined()
        return tracer.headers()
      })
    })
    expect(headers).toEqual({})
    expect(await exported()).toEqual([])
  })

  it('continues the trace of a caller who is trusted, and asks others to', async () => {
    const { arrival, exported, tracer } = tracing(0)
    let sent: Readonly<Record<string, string>> = {}
    await tracer.request({ ...arrival, trusted: true, parent: SAMPLED, state: 'vendor=words' }, () =>
      tracer.span('origin', {}, async () => {
        sent = tracer.headers()
      }),
    )
    const spans = await exported()
    const origin = spans.find(({ name }) => name === 'origin')
    expect(spans.map(({ traceId }) => traceId)).toEqual([TRACE, TRACE])
    expect(spans.find(({ name }) => name === 'POST')?.parentSpanId).toBe(SPAN)
    expect(sent).toEqual({ traceparent: `00-${TRACE}-${origin?.spanId}-01`, tracestate: 'vendor=words' })
    // What a caller wrote is passed on, and is in no span.
    expect(JSON.stringify(spans)).not.toContain('words')
  })

  it('passes on the trace of a trusted caller that is not recorded, as it came', async () => {
    const { arrival, exported, tracer } = tracing(1)
    const parent = `00-${TRACE}-${SPAN}-00`
    const headers = await tracer.request({ ...arrival, trusted: true, parent, state: 'a=1' }, async () =>
      tracer.headers(),
    )
    expect(headers).toEqual({ traceparent: parent, tracestate: 'a=1' })
    expect(await exported()).toEqual([])
  })

  it('lets no stranger ask for a record, nor put requests into a trace', async () => {
    const none = tracing(0)
    await none.tracer.request({ ...none.arrival, parent: SAMPLED }, async () => {})
    expect(await none.exported()).toEqual([])
    const { arrival, exported, tracer } = tracing(1)
    await tracer.request({ ...arrival, parent: SAMPLED, state: 'a=words' }, async () => {})
    const [span] = await exported()
    expect(span?.traceId).not.toBe(TRACE)
    expect(span?.parentSpanId).toBeUndefined()
    expect(span?.links).toMatchObject([{ traceId: TRACE, spanId: SPAN }])
    expect(JSON.stringify(span)).not.toContain('words')
  })

  it('names failures by their codes, never by their words', async () => {
    const { arrival, exported, tracer } = tracing()
    const failing = tracer.request(arrival, async (span) => {
      await tracer.span('kv', {}, () => Promise.reject(new VergeError('store_unavailable', 'words'))).catch(() => {})
      await tracer.span('r2', {}, () => Promise.reject(new Error('words'))).catch(() => {})
      span?.failed('overloaded', false)
      throw new Error('words')
    })
    await expect(failing).rejects.toThrow('words')
    const spans = await exported()
    expect(spans.map(({ attributes, name, status }) => [name, attributes['error.type'], status])).toEqual([
      ['kv', 'store_unavailable', { code: 2 }],
      ['r2', 'internal', { code: 2 }],
      ['POST', 'internal', { code: 2 }],
    ])
  })

  it('bounds the spans of a request, and says how many are left out', async () => {
    const { arrival, exported, tracer } = tracing(1, { traceSpans: 3 })
    await tracer.request(arrival, async () => {
      for (let i = 0; i < 5; i++) await tracer.span('kv', {}, async () => {})
    })
    const spans = await exported()
    expect(spans).toHaveLength(4)
    expect(spans.at(-1)?.attributes['verge.trace.spans_left_out']).toBe(2)
  })

  it('bounds attributes and their lengths', async () => {
    const { arrival, exported, tracer } = tracing(1, { traceAttributes: 2, traceAttributeLength: 4 })
    await tracer.request({ ...arrival, attributes: { a: 'long text', b: undefined, c: 1 } }, async (span) => {
      span?.set({ d: true })
    })
    const [span] = await exported()
    expect(span).toMatchObject({ attributes: { a: 'long', c: 1 }, droppedAttributesCount: 1 })
  })

  it('ends the span of an answer that goes on when it is over', async () => {
    const { arrival, clock, exported, tracer } = tracing()
    const end = await tracer.request(arrival, async (span) => span?.keep())
    expect(await exported()).toEqual([])
    await clock.advance(100)
    end?.()
    end?.()
    expect(await exported()).toMatchObject([{ endTimeUnixNano: '1790000000100000000' }])
  })

  it('exports less than once in a hundred requests where one in a hundred is recorded', async () => {
    let draws = 0
    const { arrival, clock, exported, exports, tracer } = tracing(0.01, {}, () => (draws++ % 100) / 100)
    for (let i = 0; i < 3_000; i++) {
      await tracer.request(arrival, async () => {})
      // A busy isolate: two hundred requests in a second.
      if (i % 20 === 0) await clock.advance(100)
    }
    await clock.advance(10_000)
    expect(exports()).toBeLessThanOrEqual(8)
    expect(await exported()).toHaveLength(30)
  })

  it('exports what ends after its request by itself', async () => {
    const { arrival, clock, exported, tracer } = tracing()
    let load: Promise<void> | undefined
    await tracer.request(arrival, async () => {
      load = tracer.span('load', {}, () => clock.sleep(500))
    })
    expect((await exported()).map(({ name }) => name)).toEqual(['POST'])
    await clock.advance(500)
    await load
    expect(pathsOf(await exported())).toEqual(['POST', 'POST > load'])
  })
})
