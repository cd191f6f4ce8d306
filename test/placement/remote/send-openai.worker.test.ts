import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { routeSupport } from '../../../src/placement/origin.ts'
import { exchange } from '../../../src/placement/remote/exchange.ts'
import { exchangeOpenAi } from '../../../src/placement/remote/send.ts'
import { FieldRenamer, renamed } from '../../../src/protocols/field-renamer.ts'
import { EventSplitter } from '../../../src/protocols/sse.ts'
import { ManualClock, settle } from '../../fixtures/clock.ts'
import { ManualBody, originOf, piecesOf, requestOf } from '../../fixtures/remote.ts'

const EVENTS = { 'content-type': 'text/event-stream; charset=utf-8' }
const CHAT = requestOf({ path: '/v1/chat/completions' })
const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text).slice()
const textOf = (data: Uint8Array | undefined): string => new TextDecoder().decode(data)

async function stream(body: ReadableStream<Uint8Array>, request = CHAT, clock = new ManualClock()) {
  const origin = originOf(() => Promise.resolve(new Response(body, { headers: EVENTS })))
  return exchange(origin, request, { clock, limits: LIMITS })
}

/** The error of the last event, as OpenAI's clients read it. */
function errorOf(text: string): unknown {
  const last = text.trimEnd().split('\n\n').at(-1) ?? ''
  return JSON.parse(last.replace(/^data: /, '')).error
}

describe('a stream of events', () => {
  it('comes through byte for byte, each event when it is whole', async () => {
    const body = new ManualBody()
    const answer = await stream(body.stream)
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    body.push('data: {"a":1}\n\n')
    expect(textOf((await reader.read()).value)).toBe('data: {"a":1}\n\n')
    body.push(': still here\n\ndata: {"b"')
    expect(textOf((await reader.read()).value)).toBe(': still here\n\n')
    let arrived = false
    const next = reader.read().then((result) => {
      arrived = true
      return textOf(result.value)
    })
    await settle()
    expect(arrived).toBe(false)
    body.push(':2}\r\n\r\n')
    expect(await next).toBe('data: {"b":2}\r\n\r\n')
    body.push('data: [DONE]\n\n')
    expect(textOf((await reader.read()).value)).toBe('data: [DONE]\n\n')
    body.close()
    expect((await reader.read()).done).toBe(true)
  })

  it('tells of an answer that had counted as good and breaks off, and of none that is left', async () => {
    const told: string[] = []
    const begin = async (body: ManualBody, clock = new ManualClock()) => {
      const origin = originOf(() => Promise.resolve(new Response(body.stream, { headers: EVENTS })))
      const onLateFault = (_: unknown, { kind }: { kind: string }): void => void told.push(kind)
      const answer = await exchange(origin, CHAT, { clock, limits: LIMITS, onLateFault })
      return (answer.body as ReadableStream<Uint8Array>).getReader()
    }
    const left = await begin(new ManualBody())
    await left.cancel('the caller has left')
    await settle()
    // its reader takes longer than all of it may take
    const clock = new ManualClock()
    const slow = await begin(new ManualBody(), clock)
    await clock.advance(60_000)
    expect(errorOf(textOf((await slow.read()).value))).toMatchObject({ code: 'origin_failed' })
    expect(told).toEqual([])
    const broken = new ManualBody()
    const reader = await begin(broken)
    broken.push('data: {"a":1}\n\n')
    await reader.read()
    broken.break()
    expect(errorOf(textOf((await reader.read()).value))).toMatchObject({ code: 'origin_failed' })
    expect(told).toEqual(['cut'])
  })

  it.each([
    ['breaks off between events', (body: ManualBody) => body.break()],
    ['ends without its end', (body: ManualBody) => body.close()],
    [
      'breaks off within an event',
      (body: ManualBody) => {
        body.push('data: {"half')
        body.break()
      },
    ],
    [
      'ends within an event',
      (body: ManualBody) => {
        body.push('data: {"half')
        body.close()
      },
    ],
  ])('that %s ends with an error that clients understand', async (_, end) => {
    const body = new ManualBody()
    const answer = await stream(body.stream)
    body.push('data: {"a":1}\n\n')
    const text = answer.text()
    await settle()
    end(body)
    const whole = await text
    expect(whole).toMatch(/^data: \{"a":1\}\n\ndata: \{"error"/)
    expect(whole).not.toContain('half')
    expect(errorOf(whole)).toMatchObject({ type: 'server_error', param: null, code: 'origin_failed' })
  })

  it('that idles too long ends with an error, and lets go of the origin', async () => {
    const clock = new ManualClock()
    const body = new ManualBody()
    const answer = await stream(body.stream, CHAT, clock)
    body.push('data: {"a":1}\n\n')
    const text = answer.text()
    await clock.advance(2_000)
    expect(errorOf(await text)).toMatchObject({ code: 'origin_failed' })
    expect(body.cancelled).toBeDefined()
  })

  it('that ends well but without a last blank line ends well', async () => {
    const done = 'data: {"a":1}\n\ndata: [DONE]\n'
    expect(await (await stream(piecesOf(done))).text()).toBe(`${done}\n\n`)
    const crlf = 'data: {"a":1}\r\n\r\ndata: [DONE]\r\n\r\n'
    expect(await (await stream(piecesOf(crlf))).text()).toBe(crlf)
  })

  it('of another protocol ends as it ends', async () => {
    const text = 'event: x\ndata: 1\n\n'
    expect(await (await stream(piecesOf(text), requestOf({ path: '/run/x' }))).text()).toBe(text)
  })

  it('is cancelled at the origin when the caller leaves', async () => {
    const body = new ManualBody()
    const answer = await stream(body.stream)
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    body.push('data: 1\n\n')
    await reader.read()
    await reader.cancel()
    expect(body.cancelled).toBeDefined()
  })
})

describe('EventSplitter', () => {
  it.each(['\n', '\r\n', '\r'])('cuts after blank lines wherever the pieces are cut, with %j', (line) => {
    const text = ['data: a', 'id: 1', '', 'data: b', '', ': c', ''].join(line) + line
    for (let cut = 0; cut <= text.length; cut++) {
      const splitter = new EventSplitter(LIMITS.eventBytes)
      const parts = [text.slice(0, cut), text.slice(cut)].map((part) => splitter.push(bytes(part)))
      expect(parts.map(textOf).join('') + textOf(splitter.rest())).toBe(text)
      for (const part of parts)
        if (part !== undefined) expect(textOf(part).endsWith(line + line) || line === '\r\n').toBe(true)
      expect(textOf(splitter.rest()).replace(/\n/, '')).toBe('')
    }
  })

  it('does not hold an event without an end for ever', () => {
    const splitter = new EventSplitter(LIMITS.eventBytes)
    let passed = 0
    for (let i = 0; i < 20; i++) passed += splitter.push(new Uint8Array(100_000).fill(0x61))?.length ?? 0
    expect(passed).toBeGreaterThan(1_000_000)
    expect(splitter.rest().length).toBeLessThan(1_100_000)
  })
})

describe('FieldRenamer', () => {
  const cases = [
    ['{"model":"theirs","x":1}', '{"model":"ours","x":1}'],
    [
      ' { "a" : [ {"model":"theirs"} ] , "model" : "the\\"irs\\\\" }',
      ' { "a" : [ {"model":"theirs"} ] , "model" : "ours" }',
    ],
    ['{"big":12345678901234567890,"f":1.0,"model":""}', '{"big":12345678901234567890,"f":1.0,"model":"ours"}'],
    ['{"text":"\\"model\\":\\"theirs\\"","model":"theirs"}', '{"text":"\\"model\\":\\"theirs\\"","model":"ours"}'],
    ['{"m\\u006fdel":"theirs","model2":"a"}', '{"m\\u006fdel":"ours","model2":"a"}'],
    ['{"model":null,"a":"model"}', '{"model":null,"a":"model"}'],
    ['{"a":"model","b":"x"}', '{"a":"model","b":"x"}'],
    ['[{"model":"theirs"},"model","x"]', '[{"model":"theirs"},"model","x"]'],
    ['{"ü":"é","model":"thëirs"}', '{"ü":"é","model":"ours"}'],
  ] as const

  it.each(cases)('renames the field of %s alone', (before, after) => {
    expect(textOf(renamed(bytes(before), 'model', 'ours'))).toBe(after)
  })

  it.each(cases)('makes no difference between one piece and many of %s', (before, after) => {
    const all = bytes(before)
    for (const size of [1, 2, 3, 7]) {
      const renamer = new FieldRenamer('model', 'ours')
      let text = new Uint8Array(0)
      for (let at = 0; at < all.length; at += size) {
        const part = renamer.push(all.slice(at, at + size))
        const longer = new Uint8Array(text.length + part.length)
        longer.set(text)
        longer.set(part, text.length)
        text = longer
      }
      expect(textOf(text)).toBe(after)
    }
  })

  it('writes names that JSON has to escape', () => {
    expect(textOf(renamed(bytes('{"model":"a"}'), 'model', 'o"\\u'))).toBe('{"model":"o\\"\\\\u"}')
  })
})

describe('exchangeOpenAi', () => {
  const names = { ours: 'chat', theirs: 'org/Model-7B' }

  it('asks by the name of the origin and answers by ours', async () => {
    let asked = ''
    const origin = originOf(
      async (request) => {
        asked = await request.text()
        return Response.json({ id: 'c', model: 'org/Model-7B', choices: [{ model: 'org/Model-7B' }] })
      },
      { kind: 'openai' },
    )
    const request = { ...CHAT, body: bytes('{"model":"chat","seed":9007199254740993,"messages":[]}') }
    const answer = await exchangeOpenAi(origin, request, names, { clock: new ManualClock(), limits: LIMITS })
    expect(asked).toBe('{"model":"org/Model-7B","seed":9007199254740993,"messages":[]}')
    expect(await answer.json()).toEqual({ id: 'c', model: 'chat', choices: [{ model: 'org/Model-7B' }] })
  })

  it('renames each event, and nothing that is said', async () => {
    const said = 'data: {"model":"org/Model-7B","choices":[{"delta":{"content":"\\"model\\":\\"x\\""}}]}\n\n'
    const body = piecesOf(said.slice(0, 20), `${said.slice(20)}data: [DO`, 'NE]\n\n')
    const origin = originOf(() => Promise.resolve(new Response(body, { headers: EVENTS })), { kind: 'openai' })
    const answer = await exchangeOpenAi(origin, CHAT, names, { clock: new ManualClock(), limits: LIMITS })
    expect(await answer.text()).toBe(`${said.replace('org/Model-7B', 'chat')}data: [DONE]\n\n`)
  })

  it('renames a large answer as it comes', async () => {
    const vectors = `[${Array.from({ length: 150_000 }, () => '0.12345678').join(',')}]`
    const body = piecesOf('{"data":', vectors, ',"mod', 'el":"org/Mo', 'del-7B"}')
    const headers = { 'content-type': 'application/json' }
    const origin = originOf(() => Promise.resolve(new Response(body, { headers })), { kind: 'openai' })
    const answer = await exchangeOpenAi(origin, CHAT, names, { clock: new ManualClock(), limits: LIMITS })
    expect(await answer.text()).toBe(`{"data":${vectors},"model":"chat"}`)
  })
})

describe('routeSupport', () => {
  it.each([
    ['verge', ['forward', 'forward', 'forward', 'forward', 'forward']],
    ['oip', ['tensors', 'forward', 'tensors', 'tensors', 'no']],
    ['openai', ['no', 'no', 'forward', 'forward', 'forward']],
  ] as const)('knows what origins of the kind %s make of each route', (kind, expected) => {
    const routes = (['task', 'oip', 'openai', 'rerank'] as const).map((route) => routeSupport(kind, route))
    expect([...routes, routeSupport(kind, 'openai', true)]).toEqual(expected)
  })
})
