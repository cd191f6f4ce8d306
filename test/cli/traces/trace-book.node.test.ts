import { expect, it } from 'vitest'
import type { ReceivedSpan } from '../../../src/cli/traces/otlp.ts'
import { TraceBook } from '../../../src/cli/traces/trace-book.ts'

const span = (traceId: string, spanId: string) => ({ traceId, spanId }) as ReceivedSpan

it('gives a trace when it has been quiet, once, and again when more of it has come', () => {
  const book = new TraceBook(3_000)
  book.add([span('t', 'a')], 0)
  book.add([span('t', 'b'), span('t', 'a')], 2_000)
  expect(book.settled(4_999)).toEqual([])
  expect(book.settled(5_000)).toEqual([{ traceId: 't', spans: [span('t', 'a'), span('t', 'b')], again: false }])
  expect(book.settled(9_000)).toEqual([])
  book.add([span('t', 'b')], 9_000)
  expect(book.settled(20_000)).toEqual([])
  book.add([span('t', 'c')], 20_000)
  expect(book.settled(23_000)).toMatchObject([{ again: true, spans: [{}, {}, {}] }])
})

it('bounds what it keeps', () => {
  const book = new TraceBook(0)
  for (let i = 0; i < 300; i++) book.add([span(`t${i}`, 'a')], 0)
  expect(book.settled(0)).toHaveLength(200)
  book.add(
    Array.from({ length: 3_000 }, (_, i) => span('large', `${i}`)),
    0,
  )
  expect(book.settled(0)[0]?.spans).toHaveLength(2_000)
})
