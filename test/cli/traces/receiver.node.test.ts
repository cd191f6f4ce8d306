import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { ReceivedSpan } from '../../../src/cli/traces/otlp.ts'
import { type Receiver, startReceiver } from '../../../src/cli/traces/receiver.ts'

let receiver: Receiver
let spans: ReceivedSpan[]

beforeEach(async () => {
  spans = []
  receiver = await startReceiver(0, (received) => spans.push(...received))
})
afterEach(() => receiver.close())

const EXPORT = {
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'fra' } }] },
      fieldOfTomorrow: 1,
      scopeSpans: [
        {
          spans: [
            {
              traceId: '4BF92F3577B34DA6A3CE929D0E0E4736',
              spanId: '00f067aa0ba902b7',
              parentSpanId: '',
              name: 'run',
              startTimeUnixNano: '1790000000000000000',
              endTimeUnixNano: '1790000000001000000',
              status: { code: 2 },
              events: [{ timeUnixNano: '1790000000000500000', name: 'first_token', attributes: [] }],
              attributes: [
                { key: 'a', value: { intValue: '7' } },
                { key: 'b', value: { boolValue: false } },
                { key: 'list', value: { arrayValue: { values: [] } } },
              ],
            },
          ],
        },
      ],
    },
  ],
}

const packed = (bytes: string | Uint8Array) => new Uint8Array(gzipSync(bytes))
const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}, path = '/v1/traces') =>
  fetch(`http://127.0.0.1:${receiver.port}${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  })

it('takes exports in JSON, compressed or not', async () => {
  expect(await (await post(JSON.stringify(EXPORT))).json()).toEqual({})
  expect((await post(packed(JSON.stringify(EXPORT)), { 'content-encoding': 'gzip' })).status).toBe(200)
  expect(spans).toHaveLength(2)
  expect(spans[0]).toEqual({
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    spanId: '00f067aa0ba902b7',
    parentId: undefined,
    name: 'run',
    service: 'fra',
    from: 1_790_000_000_000_000_000n,
    to: 1_790_000_000_001_000_000n,
    failed: true,
    attributes: { a: 7, b: false },
    events: [{ name: 'first_token', at: 1_790_000_000_000_500_000n }],
  })
})

it('says what is wrong with what it cannot read', async () => {
  expect((await post('{', {})).status).toBe(400)
  expect((await post('{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"x"}]}]}]}')).status).toBe(400)
  expect((await post('x', { 'content-type': 'application/x-protobuf' })).status).toBe(415)
  expect((await post('{}', {}, '/v1/metrics')).status).toBe(404)
  expect((await post(new Uint8Array(17 * 1024 * 1024)).catch(() => ({ status: 413 }))).status).toBe(413)
  expect((await post(packed(new Uint8Array(17 * 1024 * 1024)), { 'content-encoding': 'gzip' })).status).toBe(400)
  expect(spans).toEqual([])
})
