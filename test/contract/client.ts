import { describe, expect, it, onTestFinished } from 'vitest'
import { sine, wav } from '../../synthetic/wav.ts'
import type { ClientCall, ClientOutcome } from '../fixtures/client-calls.ts'

/** A server that answers each request by the next step, as `startFaultyServer` makes one. */
interface Faulty {
  readonly url: string
  readonly bodies: readonly string[]
  readonly headers: readonly Readonly<Record<string, unknown>>[]
  close(): void
}

export interface FaultSteps {
  readonly drop: unknown
  readonly hang: unknown
  readonly page: unknown
  busy(retryAfter?: string): unknown
  json(body: unknown): unknown
  /** Sends a text of a chat for each request: the next one comes when the last has been acknowledged. */
  inStep(texts: readonly string[]): readonly unknown[]
}

/** A runtime that makes calls with the built client. */
export interface ClientRuntime {
  call(call: ClientCall): Promise<ClientOutcome>
  /** What plain HTTP answers, which is what the calls are compared with. */
  post(path: string, body: unknown, type?: string): Promise<unknown>
  get(path: string): Promise<unknown>
  /** A PNG of a handwritten seven. */
  readonly seven: Uint8Array<ArrayBuffer>
  readonly key: string
  readonly steps: FaultSteps
  faulty(...steps: readonly unknown[]): Promise<Faulty>
  /** Said before a call that fails, for runtimes that report failures beside what is thrown. */
  expectFailures(): void
}

const TEXTS = ['A quiet film that stays with you.', 'A waste of an evening.']
const QUESTION = 'What is 27 plus 58?'
const GREEDY = { temperature: 0, max_tokens: 40 }

/** What the client has to do in every runtime, against a Worker with the models of `publishForClients` and `publishEchoes`. */
export function clientContract(runtime: () => ClientRuntime): void {
  const call = (
    method: string,
    args: readonly unknown[] = [],
    options: Readonly<Record<string, unknown>> = {},
    client: Readonly<Record<string, unknown>> = {},
  ): Promise<ClientOutcome> => runtime().call({ method, args, options, client })

  async function answer(...args: Parameters<typeof call>): Promise<unknown> {
    const { answer, thrown } = await call(...args)
    expect(thrown).toBeUndefined()
    return answer
  }

  async function thrown(...args: Parameters<typeof call>): Promise<Readonly<Record<string, unknown>>> {
    runtime().expectFailures()
    const { thrown } = await call(...args)
    expect(thrown).toMatchObject({ name: 'VergeError', isVergeError: true })
    return thrown ?? {}
  }

  /** A call to a server of the test, and the server. */
  async function faulty(...steps: readonly unknown[]) {
    const server = await runtime().faulty(...steps)
    onTestFinished(() => server.close())
    return { server, url: server.url }
  }

  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  const post = (path: string, body: unknown): Promise<unknown> => runtime().post(path, JSON.stringify(body))

  describe('answers what plain HTTP answers', () => {
    it('to models', async () => {
      const { data } = (await runtime().get('/v1/models')) as { data: { id: string }[] }
      expect(await answer('models')).toEqual(data)
      expect(data.map(({ id }) => id)).toContain('digits')
      const all = (await answer('models', [], {}, { key: runtime().key })) as { id: string }[]
      expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining(['secret', 'digits']))
    })

    it('to texts, by run and classify', async () => {
      const [text] = TEXTS
      expect(await answer('run', ['reviews', text])).toEqual(await post('/run/reviews', { inputs: text }))
      const parameters = { top_k: 1 }
      const both = await post('/run/reviews', { inputs: TEXTS, parameters })
      expect(await answer('classify', ['reviews', TEXTS], { parameters })).toEqual(both)
      expect(both).toMatchObject([[{ label: 'positive' }], [{ label: 'negative' }]])
    })

    it('to pictures and sounds, by classify, detect and detectSpeech', async () => {
      const { seven } = runtime()
      const expected = await runtime().post('/run/digits?top_k=2', seven, 'image/png')
      for (const picture of [{ $bytes: base64(seven) }, { $blob: base64(seven) }, { $stream: base64(seven) }]) {
        expect(await answer('classify', ['digits', picture], { parameters: { top_k: 2 } })).toEqual(expected)
      }
      const faces = await runtime().post('/run/faces', seven, 'image/png')
      expect(await answer('detect', ['faces', { $blob: base64(seven) }])).toEqual(faces)
      const sound = wav({ samples: Float64Array.from([...new Float64Array(8000), ...sine(440, 0.6, 16_000, 0.9)]) })
      const heard = await answer('detectSpeech', ['speech', { $bytes: base64(sound) }], { contentType: 'audio/wav' })
      expect(heard).toEqual(await runtime().post('/run/speech', sound, 'audio/wav'))
      expect(heard).toMatchObject({ segments: [{ start: expect.any(Number) }] })
    })

    it('to texts, by embed and rerank', async () => {
      const { data } = (await post('/v1/embeddings', { model: 'minilm', input: TEXTS })) as {
        data: { embedding: number[] }[]
      }
      expect(await answer('embed', ['minilm', TEXTS])).toEqual(
        data.map(({ embedding }) => ({ array: 'Float32Array', values: embedding.map(Math.fround) })),
      )
      const short = await answer('embed', ['minilm', TEXTS[0]], { parameters: { dimensions: 8 } })
      expect(short).toMatchObject({ array: 'Float32Array', values: { length: 8 } })
      const documents = ['the evening', 'the and', 'and and']
      const ranked = (await post('/rerank', { model: 'cross', query: 'the', documents, top_n: 2 })) as {
        results: unknown
      }
      expect(await answer('rerank', ['cross', 'the', documents], { parameters: { top_n: 2 } })).toEqual(ranked.results)
      expect(ranked.results).toHaveLength(2)
    })

    it('to tensors, by infer', async () => {
      const data = Array.from({ length: 784 }, (_, i) => Math.fround(Math.sin(i)))
      const image = { name: 'image', datatype: 'FP32', shape: [1, 1, 28, 28] }
      const plain = (await post('/v2/models/digits/infer', { inputs: [{ ...image, data }] })) as {
        outputs: { name: string; data: number[]; shape: number[] }[]
      }
      const [logits] = plain.outputs
      expect(await answer('infer', ['digits', { image: { shape: image.shape, data: { $floats: data } } }])).toEqual({
        model: 'digits',
        version: expect.any(String),
        outputs: {
          logits: {
            datatype: 'FP32',
            shape: logits?.shape,
            data: { array: 'Float32Array', values: logits?.data.map(Math.fround) },
          },
        },
      })
      const longs = { $longs: ['9007199254740991', '-1'] }
      expect(await answer('infer', ['int64', { input: { shape: [2], data: longs } }])).toMatchObject({
        outputs: { output: { datatype: 'INT64', data: { array: 'BigInt64Array', values: [2 ** 53 - 1, -1] } } },
      })
      const words = ['', '\u{1f642}', '\ufeffé']
      const bytes = { datatype: 'BYTES', shape: [3], data: words }
      const named = await answer('infer', ['bytes', { input: bytes }], { outputs: ['output'], version: '1' })
      expect(named).toEqual({ model: 'bytes', version: '1', outputs: { output: bytes } })
    })

    it('to messages and texts, whole, by chat and complete', async () => {
      const messages = [{ role: 'user', content: QUESTION }]
      const chat = (await post('/v1/chat/completions', { model: 'abacus', messages, ...GREEDY })) as {
        choices: { message: { content: string }; finish_reason: string }[]
        usage: object
      }
      const [choice] = chat.choices
      const text = { text: choice?.message.content, finishReason: choice?.finish_reason }
      const expected = { ...text, texts: [text], usage: chat.usage }
      expect(await answer('answer', ['abacus', messages], { parameters: GREEDY })).toEqual(expected)
      expect(text.text).toContain('85')
      const prompt = ['27 plus 58 is', '9 plus 4 is']
      const plain = (await post('/v1/completions', { model: 'abacus', prompt, ...GREEDY })) as {
        choices: { text: string }[]
      }
      const completed = await answer('completed', ['abacus', prompt], { parameters: GREEDY })
      expect(completed).toMatchObject({ texts: plain.choices.map(({ text }) => ({ text })) })
    })
  })

  describe('streams', () => {
    it('part by part: each is there before the next is sent', async () => {
      const { steps } = runtime()
      const texts = ['27', ' plus', ' 58', ' is 85.']
      const { server, url } = await faulty(...steps.inStep(texts))
      const options = { timeoutMs: 30_000 }
      expect(await answer('inStep', [`${url}/told`, 'model', QUESTION], options, { url })).toEqual(texts)
      expect(server.bodies).toHaveLength(1 + texts.length)
    })

    it('what a model writes, and the same as a whole', async () => {
      const whole = (await answer('answer', ['abacus', QUESTION], { parameters: GREEDY })) as {
        text: string
        usage: object
      }
      const parts = (await answer('parts', ['abacus', QUESTION], { parameters: GREEDY })) as {
        text: string
        usage?: object
      }[]
      expect(parts.map(({ text }) => text).join('')).toBe(whole.text)
      expect(parts.filter(({ text }) => text !== '').length).toBeGreaterThan(3)
      expect(parts.at(-1)?.usage).toEqual(whole.usage)
    })

    it('and frees the Worker when the loop is left', async () => {
      const parameters = { temperature: 2, max_tokens: 150 }
      // More than there are places: each has to be given back.
      for (let i = 0; i < 20; i++) {
        expect(await answer('first', ['abacus', QUESTION], { parameters })).toMatchObject({ index: 0 })
      }
      expect(await answer('answer', ['abacus', QUESTION])).toMatchObject({ usage: expect.any(Object) })
    })
  })

  describe('ends a call', () => {
    it('by its signal, before and on the way', async () => {
      const cancelled = { code: 'cancelled', status: 0, cause: 'enough' }
      expect(await thrown('run', ['reviews', 'x'], { signal: { $abort: 0 } })).toMatchObject(cancelled)
      const { server, url } = await faulty(runtime().steps.hang)
      expect(await thrown('run', ['model', 'x'], { signal: { $abort: 300 } }, { url })).toMatchObject(cancelled)
      expect(server.bodies.length).toBeLessThanOrEqual(1)
      const chat = await thrown('parts', ['abacus', QUESTION], { signal: { $abort: 0 } })
      expect(chat).toMatchObject(cancelled)
    })

    it('by its time limit, of which the server is told', async () => {
      const { server, url } = await faulty(runtime().steps.hang)
      expect(await thrown('run', ['model', 'x'], { timeoutMs: 1_500 }, { url })).toMatchObject({
        code: 'deadline_exceeded',
        status: 0,
        details: { timeout_ms: 1_500 },
      })
      const told = Number(server.headers[0]?.['verge-timeout-ms'])
      expect(told).toBeGreaterThan(0)
      expect(told).toBeLessThanOrEqual(1_500)
    })
  })

  describe('sends again', () => {
    it('when the server says when, and when a connection failed', async () => {
      const { busy, drop, json } = runtime().steps
      runtime().expectFailures()
      const { server, url } = await faulty(busy('1'), json([{ label: 'yes', score: 1 }]))
      const { answer, infos } = await call('classify', ['model', 'text'], {}, { url })
      expect([answer, infos]).toMatchObject([[{ label: 'yes' }], [{ status: 200, attempts: 2 }]])
      expect(server.bodies).toEqual(['{"inputs":"text"}', '{"inputs":"text"}'])
      const dropped = await faulty(drop, drop, json('done'))
      expect((await call('run', ['model', { $bytes: 'AQI=' }], {}, { url: dropped.url })).answer).toBe('done')
      // A browser may send again by itself what a connection that was used before has dropped.
      expect(dropped.server.bodies).toEqual(['\x01\x02', '\x01\x02', '\x01\x02'])
    })

    it('not a stream, and no more often than it may', async () => {
      const { busy, json } = runtime().steps
      const stream = await faulty(busy('1'), json('done'))
      expect(await thrown('run', ['model', { $stream: 'AQI=' }], {}, { url: stream.url })).toMatchObject({
        code: 'overloaded',
      })
      expect(stream.server.bodies).toEqual(['\x01\x02'])
      const never = await faulty(busy('1'))
      expect(await thrown('run', ['model', 'x'], { retries: 1 }, { url: never.url })).toMatchObject({
        code: 'overloaded',
        status: 429,
        requestId: 'r-1',
        retryAfter: 1,
        details: { limit: 4 },
        message: 'Every slot is taken.',
      })
      expect(never.server.bodies).toHaveLength(2)
    })
  })

  it('throws what the Worker says, with its code, status and id', async () => {
    const requestId = expect.stringMatching(/^[\w-]{8,}$/)
    for (const [args, expected] of [
      [['run', ['absent', 'x']], { code: 'model_not_found', status: 404, requestId }],
      [['run', ['reviews', 'x'], { parameters: { top_k: -1 } }], { code: 'invalid_request', status: 400, requestId }],
      [['run', ['digits', { $bytes: 'AQID' }]], { code: 'invalid_image', status: 400, requestId }],
      [['run', ['reviews', 'x'], { version: '9' }], { code: 'version_not_found', requestId }],
      [['embed', ['digits', 'x']], { code: 'task_mismatch', requestId }],
      [['rerank', ['reviews', 'x', ['y']]], { code: 'task_mismatch', requestId }],
      [['infer', ['fp32', {}]], { code: 'missing_input', status: 400, requestId }],
      [['answer', ['abacus', 'x '.repeat(2_000)]], { code: 'context_length_exceeded', requestId }],
      [['parts', ['abacus', 'x '.repeat(2_000)]], { code: 'context_length_exceeded', requestId }],
      [
        ['run', ['secret', 'x'], {}, { key: 'not-the-key-of-the-operator' }],
        { code: 'unauthorized', status: 401, requestId },
      ],
    ] as [Parameters<typeof call>, object][]) {
      expect(await thrown(...args), JSON.stringify(args).slice(0, 80)).toMatchObject(expected)
    }
  })

  it('throws its own errors where something else answers, or nothing', async () => {
    const { url } = await faulty(runtime().steps.page)
    expect(await thrown('run', ['model', 'x'], {}, { url })).toMatchObject({ code: 'unexpected_answer', status: 502 })
    const gone = await faulty()
    gone.server.close()
    const options = { retries: 0 }
    expect(await thrown('run', ['model', 'x'], options, { url: gone.url })).toMatchObject({
      code: 'network_error',
      status: 0,
    })
  })

  it('tells what the headers of an answer say, and sends what the options say', async () => {
    const options = { requestId: 'mine-1', cache: 'no-store', place: 'edge', version: '1' }
    const { answer, infos, thrown } = await call('run', ['fp32', { a: 1 }], options)
    expect({ answer, infos }).toEqual({ answer: undefined, infos: [] })
    expect(thrown).toMatchObject({ code: 'task_mismatch', requestId: 'mine-1' })
    runtime().expectFailures()
    const seen = await call('run', ['reviews', 'Fine.'], { requestId: 'mine-2', cache: 'no-store', place: 'edge' })
    expect(seen.infos).toMatchObject([
      {
        status: 200,
        requestId: 'mine-2',
        model: expect.stringMatching(/^reviews@\d+$/),
        cache: 'bypass',
        placement: expect.stringMatching(/^edge;/),
        attempts: 1,
      },
    ])
  })
}
