import { afterEach, describe, expect, it } from 'vitest'
import { type ClientOptions, createClient, type TextDelta, VergeError } from '../../src/client/index.ts'
import { systemClock } from '../../src/client/runtime.ts'
import { failure } from '../fixtures/client-failure.ts'
import { settle } from '../fixtures/clock.ts'
import {
  busy,
  drop,
  type FaultyServer,
  hang,
  json,
  type Step,
  startFaultyServer,
} from '../fixtures/node/faulty-server.ts'

let server: FaultyServer | undefined
afterEach(() => server?.close())

/** A clock whose pauses end at once, and that counts them. Limits are longer than every pause, and never end. */
class CountingClock {
  readonly pauses: number[] = []
  #now = 1_700_000_000_000
  readonly limitMs: number

  constructor(limitMs = 60_000) {
    this.limitMs = limitMs
  }

  now = (): number => this.#now
  after = (ms: number, callback: () => void): (() => void) => {
    if (ms === this.limitMs) return () => {}
    this.pauses.push(ms)
    this.#now += ms
    queueMicrotask(callback)
    return () => {}
  }
}

async function started(steps: readonly Step[], options: Partial<ClientOptions> = {}) {
  server = await startFaultyServer(...steps)
  const clock = new CountingClock()
  const client = createClient({ url: server.url, clock, random: () => 0.5, ...options })
  return { client, clock, server }
}

const ANSWER = [{ label: 'yes', score: 1 }]

describe('retries', () => {
  it('wait as long as the server says, and a little more', async () => {
    const { client, clock, server } = await started([busy('2'), busy('3', 503), json(ANSWER)])
    expect(await client.run('model', 'text', { parameters: { top_k: 1 } })).toEqual(ANSWER)
    expect(clock.pauses).toEqual([2_250, 3_500])
    const body = JSON.stringify({ inputs: 'text', parameters: { top_k: 1 } })
    expect(server.bodies).toEqual([body, body, body])
    // What is left of the time goes with each.
    expect(server.headers.map((headers) => headers['verge-timeout-ms'])).toEqual(['60000', '57750', '54250'])
  })

  it('reads a date, and waits for it', async () => {
    const at = new Date(1_700_000_000_000 + 4_000).toUTCString()
    const { client, clock } = await started([busy(at), json(ANSWER)])
    expect(await client.run('model', 'text')).toEqual(ANSWER)
    expect(clock.pauses).toEqual([4_250])
  })

  it('send bytes and blobs again after a connection that failed, with pauses that double', async () => {
    for (const input of [new Uint8Array([1, 2]), new Uint8Array([1, 2]).buffer, new Blob([new Uint8Array([1, 2])])]) {
      const { client, clock, server } = await started([drop, drop, json(ANSWER)])
      expect(await client.run('model', input)).toEqual(ANSWER)
      expect(clock.pauses).toEqual([250, 500])
      expect(server.bodies).toEqual(['\x01\x02', '\x01\x02', '\x01\x02'])
      server.close()
    }
  })

  it('end with the last failure', async () => {
    const { client, server } = await started([busy('1')])
    const error = await failure(client.run('model', 'text'))
    expect(error).toMatchObject({
      code: 'overloaded',
      status: 429,
      requestId: 'r-1',
      retryAfter: 1,
      details: { limit: 4 },
      message: 'Every slot is taken.',
    })
    expect(server.bodies).toHaveLength(3)
    const gone = await failure((await started([drop], { retries: 1 })).client.models())
    expect([gone.code, gone.status, gone.requestId]).toEqual(['network_error', 0, undefined])
  })

  it('are not made where they would not help, or are not wanted', async () => {
    for (const [step, retries] of [
      [busy(), 2],
      [busy('1'), 0],
      // Longer than the call may take.
      [busy('60'), 2],
      [busy('1', 500), 2],
      [json({ error: { code: 'internal', message: 'Internal error.' } }, 500), 2],
      [json({ error: 'No such model.', code: 'model_not_found' }, 404), 2],
    ] as const) {
      const { client, server } = await started([step, json(ANSWER)])
      expect((await failure(client.run('model', 'text', { retries }))).status).toBeGreaterThanOrEqual(400)
      expect(server.bodies).toHaveLength(1)
      server.close()
    }
  })

  it('never send a stream twice', async () => {
    for (const step of [busy('1'), drop]) {
      const { client, clock, server } = await started([step, json(ANSWER)])
      await failure(client.run('model', new Blob(['bytes']).stream()))
      expect(server.bodies).toHaveLength(1)
      expect(clock.pauses).toEqual([])
      server.close()
    }
  })

  it('are not made of an answer that broke off', async () => {
    const broken: Step = (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('[{"label"')
      setTimeout(() => response.destroy(), 20)
    }
    const { client, server } = await started([broken, json(ANSWER)])
    expect((await failure(client.run('model', 'text'))).code).toBe('network_error')
    expect(server.bodies).toHaveLength(1)
  })

  it('end with the signal, in the middle of a pause', async () => {
    const controller = new AbortController()
    const { client, server } = await started([busy('1')], {
      clock: { now: () => 0, after: () => () => {} },
    })
    const call = failure(client.run('model', 'text', { signal: controller.signal }))
    await expect.poll(() => server.bodies.length).toBe(1)
    await settle()
    controller.abort()
    expect((await call).code).toBe('cancelled')
    expect(server.bodies).toHaveLength(1)
  })

  it('spread clients by chance', async () => {
    const pauses: number[] = []
    for (const random of [0, 0.999]) {
      const { client, clock, server } = await started([drop, json(ANSWER)], { random: () => random })
      await client.run('model', 'text')
      pauses.push(...clock.pauses)
      server.close()
    }
    expect(pauses).toEqual([125, 374.75])
  })
})

describe('time limits', () => {
  /** A clock whose limits end when the test says so. */
  const limited = () => {
    const ends: (() => void)[] = []
    return {
      clock: {
        now: () => 0,
        after: (_: number, callback: () => void) => {
          ends.push(callback)
          return () => void ends.splice(ends.indexOf(callback), 1)
        },
      },
      ends,
    }
  }

  it('end a call that is not answered', async () => {
    const { clock, ends } = limited()
    const { client, server } = await started([hang], { clock, timeoutMs: 500 })
    const call = failure(client.run('model', 'text'))
    await expect.poll(() => server.bodies.length).toBe(1)
    ends[0]?.()
    expect(await call).toMatchObject({ code: 'deadline_exceeded', status: 0, details: { timeout_ms: 500 } })
    expect(ends).toEqual([])
  })

  it('leave no timer and no listener behind', async () => {
    const { clock, ends } = limited()
    const { client } = await started([json(ANSWER), busy()], { clock })
    const { signal } = new AbortController()
    const counts = { added: 0, removed: 0 }
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      counts.added++
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      counts.removed++
      removeEventListener.apply(signal, args)
    }
    await client.run('model', 'text', { signal })
    await failure(client.run('model', 'text', { signal }))
    expect(counts).toEqual({ added: 2, removed: 2 })
    expect(ends).toEqual([])
  })

  it('are off where they are infinite', async () => {
    const { clock, ends } = limited()
    const { client, server } = await started([json(ANSWER)], { clock, timeoutMs: Number.POSITIVE_INFINITY })
    await client.run('model', 'text')
    expect(ends).toEqual([])
    expect(server.headers[0]).not.toHaveProperty('verge-timeout-ms')
  })
})

describe('answers that are none', () => {
  it('are told apart from those of Verge', async () => {
    const page: Step = (response) => void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad</h1>')
    const halfJson: Step = (response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end('[{"label"')
    for (const [step, ask] of [
      [page, (client) => client.run('model', 'text')],
      [json({ detail: 'Not Found' }, 404), (client) => client.run('model', 'text')],
      [json(null, 500), (client) => client.run('model', 'text')],
      [halfJson, (client) => client.run('model', 'text')],
      [json({ other: [] }), (client) => client.models()],
      [json({ data: 'none' }), (client) => client.embed('model', 'text')],
      [json({ outputs: [] }), (client) => client.infer('model', {})],
      [(response) => void response.end('ok'), (client) => client.rerank('model', 'query', ['text'])],
    ] satisfies [Step, (client: ReturnType<typeof createClient>) => Promise<unknown>][]) {
      const { client, server } = await started([step])
      expect((await failure(ask(client))).code, ask.toString()).toBe('unexpected_answer')
      server.close()
    }
  })

  it('do not make tensors of bytes that are not there', async () => {
    const answer = (outputs: unknown, binary: string): Step => {
      const text = JSON.stringify({ model_name: 'm', model_version: '1', outputs })
      return (response) =>
        void response
          .writeHead(200, { 'inference-header-content-length': String(text.length) })
          .end(Buffer.from(text + binary, 'latin1'))
    }
    const output = (datatype: string, shape: number[], size: unknown) => [
      { name: 'y', datatype, shape, parameters: { binary_data_size: size } },
    ]
    const { client } = await started([answer(output('FP32', [1], 4), '\0\0\x80\x3f')])
    expect((await client.infer('m', {})).outputs).toEqual({
      y: { datatype: 'FP32', shape: [1], data: Float32Array.of(1) },
    })
    server?.close()
    for (const [outputs, binary] of [
      [output('FP32', [2], 4), '\0\0\x80\x3f'],
      [output('FP32', [1], 8), '\0\0\x80\x3f'],
      [output('FP32', [1], 3), '\0\0\x80'],
      [output('FP32', [1], 'four'), '\0\0\x80\x3f'],
      [output('FP32', [1], -4), ''],
      [output('FP99', [1], 4), '\0\0\x80\x3f'],
      [output('BYTES', [1], 4), '\x09\0\0\0'],
      [output('BYTES', [2], 4), '\0\0\0\0'],
      [output('BYTES', [2 ** 40], 0), ''],
      [[{ name: 'y', datatype: 'FP32', shape: [1], data: [1] }], ''],
      [5, ''],
    ] as const) {
      const { client } = await started([answer(outputs, binary)])
      expect((await failure(client.infer('m', {}))).code, JSON.stringify(outputs)).toBe('unexpected_answer')
      server?.close()
    }
  })
})

describe('a stream', () => {
  const event = (text: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`
  const begin = (response: Parameters<Step>[0]) => response.writeHead(200, { 'content-type': 'text/event-stream' })

  async function texts(deltas: AsyncIterable<TextDelta>): Promise<string[]> {
    const found: string[] = []
    for await (const { text } of deltas) found.push(text)
    return found
  }

  it('gives each part before the next is sent', async () => {
    let send: ((text: string) => void) | undefined
    const { client } = await started([
      (response) => {
        begin(response).flushHeaders()
        send = (text) => void response.write(text)
      },
    ])
    const parts = client.chat('model', 'hello')[Symbol.asyncIterator]()
    const first = parts.next()
    await expect.poll(() => send).toBeDefined()
    for (const [i, text] of ['a', 'b', 'c'].entries()) {
      send?.(event(text))
      expect((await (i === 0 ? first : parts.next())).value?.text).toBe(text)
    }
    send?.('data: [DONE]\n\n')
    expect((await parts.next()).done).toBe(true)
  })

  it('is read however its bytes and lines are cut', async () => {
    const whole = `: a comment\r\n\r\n${event('é').replaceAll('\n', '\r\n')}event: x\n${event('\u{1f642}')}\r\rdata: [DONE]\n\n`
    const bytes = Buffer.from(whole)
    for (const size of [1, 3, 7, bytes.length]) {
      const { client, server } = await started([
        async (response) => {
          begin(response)
          for (let at = 0; at < bytes.length; at += size) {
            response.write(bytes.subarray(at, at + size))
            await new Promise(setImmediate)
          }
          response.end()
        },
      ])
      expect(await texts(client.chat('model', 'hello')), String(size)).toEqual(['é', '\u{1f642}'])
      server.close()
    }
  })

  it('throws the failure that the server sends in it, after the parts before', async () => {
    const error = {
      error: { code: 'session_lost', message: 'Lost.', type: 'server_error', param: null, request_id: 'r' },
    }
    const { client } = await started([
      (response) => void begin(response).end(`${event('a')}data: ${JSON.stringify(error)}\n\n`),
    ])
    const found: string[] = []
    const read = async (): Promise<void> => {
      for await (const { text } of client.chat('model', 'hello')) found.push(text)
    }
    expect(await failure(read())).toMatchObject({ code: 'session_lost', message: 'Lost.', requestId: 'r', details: {} })
    expect(found).toEqual(['a'])
  })

  it('does not pass for complete where it breaks off, or is something else', async () => {
    for (const [end, code] of [
      [(response) => void response.end(event('a')), 'network_error'],
      [(response) => void response.write(event('a'), () => setTimeout(() => response.destroy(), 20)), 'network_error'],
      [(response) => void response.end('data: {"choices"\n\n'), 'unexpected_answer'],
      [(response) => void response.end(`data: ${'x'.repeat(2 ** 20)}`), 'unexpected_answer'],
    ] satisfies [(response: Parameters<Step>[0]) => void, string][]) {
      const { client, server } = await started([(response) => end(begin(response))])
      expect((await failure(texts(client.chat('model', 'hello')))).code, end.toString()).toBe(code)
      server.close()
    }
  })

  it('closes the connection when it is left, or its signal is raised', async () => {
    for (const leaves of [true, false]) {
      let closed = false
      const { client, server } = await started([
        (response) => {
          begin(response).write(event('a'))
          response.on('close', () => {
            closed = true
          })
        },
      ])
      const controller = new AbortController()
      const read = async (): Promise<void> => {
        for await (const _ of client.chat('model', 'hello', { signal: controller.signal })) {
          if (leaves) break
          controller.abort()
        }
      }
      if (leaves) await read()
      else expect((await failure(read())).code).toBe('cancelled')
      await expect.poll(() => closed).toBe(true)
      server.close()
    }
  })

  it('leaves its connection to the next request', async () => {
    const sockets = new Set<unknown>()
    let requests = 0
    let end: (() => void) | undefined
    const answer: Step = (response) => {
      requests++
      sockets.add(response.socket)
      begin(response).write(`${event('a')}data: [DONE]\n\n`)
      end = () => response.end()
    }
    const { client } = await started(Array.from({ length: 200 }, () => answer))
    const reused = async (): Promise<boolean> => {
      for await (const { text } of client.chat('model', 'hello')) expect(text).toBe('a')
      // Behind the answer's last event, as servers do.
      end?.()
      return sockets.size < requests
    }
    await expect.poll(reused).toBe(true)
  })

  it('does not keep a connection open that does not end behind the last event', async () => {
    let closed = false
    const { client } = await started(
      [
        (response) => {
          response.on('close', () => {
            closed = true
          })
          begin(response).write(`${event('a')}data: [DONE]\n\n`)
        },
      ],
      { clock: systemClock, timeoutMs: 1_000 },
    )
    for await (const { text } of client.chat('model', 'hello')) expect(text).toBe('a')
    await expect.poll(() => closed, { timeout: 20_000 }).toBe(true)
  })

  it('gives nothing more once its signal is raised, though all has arrived', async () => {
    const { client } = await started([
      (response) => void begin(response).end(`${event('a')}${event('b')}data: [DONE]\n\n`),
    ])
    const controller = new AbortController()
    const found: string[] = []
    const read = async (): Promise<void> => {
      for await (const { text } of client.chat('model', 'hello', { signal: controller.signal })) {
        found.push(text)
        controller.abort()
      }
    }
    expect((await failure(read())).code).toBe('cancelled')
    expect(found).toEqual(['a'])
  })

  it('has its time limit from part to part, and not while the caller is busy', async () => {
    const running: number[] = []
    let next = 0
    const clock = {
      now: () => 0,
      after: () => {
        const id = next++
        running.push(id)
        return () => void running.splice(running.indexOf(id), 1)
      },
    }
    const { client } = await started(
      [(response) => void begin(response).end(`${event('a')}${event('b')}data: [DONE]\n\n`)],
      {
        clock,
      },
    )
    for await (const _ of client.chat('model', 'hello')) expect(running).toEqual([])
    await expect.poll(() => running).toEqual([])
    expect(next).toBeGreaterThan(1)
  })
})

describe('options', () => {
  it('that cannot be used are refused at once', () => {
    expect(() => createClient({ url: '/relative' })).toThrow(VergeError)
    expect(() => createClient({ url: 'https://verge.example', key: 'with\nnewline' })).toThrow(TypeError)
  })

  it('give the address, the key and the headers of every request', async () => {
    const seen: { url: string; headers: Headers; method: string | undefined }[] = []
    const client = createClient({
      url: new URL('https://verge.example/models-of/mine/?x=1'),
      key: 'the-key',
      fetch: async (url, init) => {
        seen.push({ url, headers: new Headers(init.headers), method: init.method })
        return Response.json({ data: [], results: [] })
      },
    })
    await client.models()
    const options = { version: '2', place: 'origin', cache: 'no-cache', requestId: 'id-1' } as const
    await client.rerank('a/b', 'q', ['d'], options)
    await client.run('a/b', new Blob(['x'], { type: 'text/csv' }), { ...options, parameters: { a: [1, 2], b: true } })
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET https://verge.example/models-of/mine/v1/models',
      'POST https://verge.example/models-of/mine/rerank?version=2',
      'POST https://verge.example/models-of/mine/run/a%2Fb?version=2&a=1&a=2&b=true',
    ])
    expect(Object.fromEntries(seen[0]?.headers ?? [])).toEqual({ authorization: 'Bearer the-key' })
    expect(Object.fromEntries(seen[1]?.headers ?? [])).toMatchObject({
      authorization: 'Bearer the-key',
      'cache-control': 'no-cache',
      'verge-place': 'origin',
      'x-request-id': 'id-1',
      'content-type': 'application/json',
    })
  })

  it('refuse data that are not of their datatype before anything is sent', async () => {
    const client = createClient({ url: 'https://verge.example', fetch: () => Promise.reject(new Error('sent')) })
    for (const input of [
      { datatype: 'FP32', shape: [1], data: Float64Array.of(1) },
      { datatype: 'BOOL', shape: [1], data: Int8Array.of(1) },
      { datatype: 'FP32', shape: [1], data: ['a'] },
      { shape: [1], data: new DataView(new ArrayBuffer(1)) as never },
      { datatype: 'BYTES', shape: [1], data: Uint8Array.of(1) },
    ] as const) {
      expect(await failure(client.infer('model', { input }))).toMatchObject({
        code: 'invalid_tensor',
        message: expect.stringContaining('"input"'),
      })
    }
  })
})
