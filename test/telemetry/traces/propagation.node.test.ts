import { ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { isSampled, parentHeaders, readParent } from '../../../src/telemetry/traces/propagation.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const SAMPLED = `00-${TRACE}-${SPAN}-01`

describe('readParent', () => {
  it('reads the trace, the span and the flag', () => {
    const parent = readParent(SAMPLED, 'vendor=1,other=2')
    expect(parent).toMatchObject({
      context: { traceId: TRACE, spanId: SPAN, isRemote: true },
      state: 'vendor=1,other=2',
    })
    expect(parent && isSampled(parent.context)).toBe(true)
    expect(isSampled(readParent(`00-${TRACE}-${SPAN}-00`, undefined)?.context ?? ({ traceFlags: 1 } as never))).toBe(
      false,
    )
  })

  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['no trace', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['no span', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['a version that is not allowed', `ff-${TRACE}-${SPAN}-01`],
    ['upper case', SAMPLED.toUpperCase()],
    ['more than version 00 has', `${SAMPLED}-more`],
    ['other text', 'Bearer verge_sk_1'],
    ['too long', `01-${TRACE}-${SPAN}-01-${'x'.repeat(300)}`],
  ])('ignores a header that is %s', (_, header) => {
    expect(readParent(header, 'vendor=1')).toBeUndefined()
  })

  it('keeps the trace where its state is invalid or too long', () => {
    for (const state of ['no state', `a=${'x'.repeat(4_000)}`, '=', ''])
      expect(readParent(SAMPLED, state)).toEqual({
        context: expect.objectContaining({ traceId: TRACE }),
        state: undefined,
      })
  })

  it('bounds the state that is passed on', () => {
    const state = Array.from({ length: 64 }, (_, i) => `k${i}=v`).join(',')
    expect((readParent(SAMPLED, state)?.state ?? '').split(',')).toHaveLength(32)
  })

  it('leaves the state out of what spans are made of', () => {
    expect(readParent(SAMPLED, 'vendor=1')?.context.traceState).toBeUndefined()
  })
})

describe('parentHeaders', () => {
  it('writes what it has read', () => {
    const parent = readParent(SAMPLED, 'vendor=1')
    if (parent === undefined) throw new Error('there is no parent')
    const context = trace.setSpanContext(ROOT_CONTEXT, parent.context)
    expect(parentHeaders(context, parent.state)).toEqual({ traceparent: SAMPLED, tracestate: 'vendor=1' })
  })

  it('writes nothing without a trace', () => {
    expect(parentHeaders(ROOT_CONTEXT, 'vendor=1')).toEqual({})
  })
})
