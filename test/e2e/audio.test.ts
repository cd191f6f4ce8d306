import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { haveRealModels, REAL_MODELS, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'
import { openStream } from '../fixtures/node/streams.ts'
import { SILERO_WINDOW } from '../fixtures/silero.ts'

if (!haveRealModels) console.warn(`SKIPPED: silero-vad is not tested, because ${SKIP_REASON}`)

const KEY = 'streams-are-for-operators'

const silero = (name: string, visibility: 'public' | 'private') =>
  descriptionSchema.parse({
    name,
    version: '1',
    visibility,
    licence: 'MIT',
    task: 'voice-activity-detection',
    preprocess: {
      audio: {
        sampleRate: 16_000,
        window: SILERO_WINDOW,
      },
    },
    artifacts: [{ file: 'silero_vad_16k_op15.onnx', dtype: 'fp32', cost: { base: 5, perElement: 0 } }],
  })

interface Segment {
  readonly start: number
  readonly end: number
  readonly score: number
}

describe.skipIf(!haveRealModels)(`silero-vad in workerd (skipped only where ${SKIP_REASON})`, () => {
  let worker: LiveWorker
  let file: Uint8Array<ArrayBuffer>
  let pcm: Uint8Array<ArrayBuffer>
  let segments: readonly Segment[]

  beforeAll(async () => {
    worker = await startLiveWorker({ VERGE_API_KEY: KEY, CORS_ALLOW: 'https://app.example' })
    const writer = await writerFor(worker)
    const folder = join(REAL_MODELS, 'silero-vad')
    await publish(writer, await pack(silero('silero-vad', 'public'), folder))
    await publish(writer, await pack(silero('secret-vad', 'private'), folder))
    file = new Uint8Array(readFileSync(join(REAL_SAMPLES, 'audio/jfk.wav')))
    const data = Buffer.from(file.buffer).indexOf('data') + 8
    pcm = file.slice(data)
  })
  afterAll(() => worker?.dispose())

  it('hears the speech in jfk.wav, window by window', async () => {
    const response = await fetch(`${worker.url}/run/silero-vad`, {
      method: 'POST',
      body: JSON.stringify({
        inputs: Buffer.from(file).toString('base64'),
        parameters: { return_probabilities: true },
      }),
      headers: { 'content-type': 'application/json' },
    })
    const answer = (await response.json()) as { segments: Segment[]; probabilities: number[]; window: number }
    expect(response.status, JSON.stringify(answer)).toBe(200)
    expect(answer.window).toBe(0.032)
    // 343 whole windows, as INDEX.md counts them, and one that ends in silence.
    expect(answer.probabilities).toHaveLength(344)
    const whole = answer.probabilities.slice(0, 343)
    expect(whole.filter((probability) => probability > 0.5)).toHaveLength(233)
    expect(whole.reduce((sum, value) => sum + value, 0) / 343).toBeCloseTo(0.6885, 3)
    for (const [index, value] of [0.0017, 0.0846, 0.302, 0.1335, 0.0832].entries()) {
      expect(whole[index]).toBeCloseTo(value, 3)
    }
    segments = answer.segments
    expect(segments).toEqual(expected(answer.probabilities))
  })

  it('answers for bytes, with segments alone', async () => {
    const response = await fetch(`${worker.url}/run/silero-vad`, {
      method: 'POST',
      body: file,
      headers: { 'content-type': 'audio/wav' },
    })
    expect(await response.json()).toEqual({ segments })
  })

  it('hears a stream as it hears the whole, in messages of any length', async () => {
    const stream = openStream(worker.url, '/stream/silero-vad')
    expect(await stream.first('ready')).toEqual({
      type: 'ready',
      model: 'silero-vad',
      version: '1',
      sample_rate: 16_000,
      window: 0.032,
    })
    // As much as may be sent at once; the rest of the 11 s at twice the speed of speech.
    let at = 0
    for (const length of lengths()) {
      if (at >= pcm.length) break
      stream.socket.send(pcm.slice(at, at + length))
      at += length
      if (at > 280_000) await new Promise((resolve) => setTimeout(resolve, (length / 64_000) * 1100))
    }
    stream.socket.send(JSON.stringify({ type: 'end' }))
    expect(await stream.closed, JSON.stringify(stream.messages.at(-1))).toBe(1000)
    expect(stream.messages.filter(({ type }) => type === 'probability')).toHaveLength(344)
    const heard = stream.messages.filter(({ type }) => type === 'segment')
    expect(heard).toEqual(segments.map((segment) => ({ type: 'segment', ...segment })))
    expect(stream.messages.at(-1)).toEqual({ type: 'end', duration: 11 })
    // A segment is told when it closes, not at the end.
    const first = stream.messages.findIndex(({ type }) => type === 'segment')
    expect(first).toBeLessThan(stream.messages.length / 2)
  })

  it('takes parameters in the query and leaves probabilities out', async () => {
    const stream = openStream(worker.url, '/stream/silero-vad?probabilities=false&min_speech_duration_ms=60000')
    await stream.first('ready')
    stream.socket.send(pcm.slice(0, 64_000))
    stream.socket.send('{"type":"end"}')
    expect(await stream.closed).toBe(1000)
    expect(stream.messages.map(({ type }) => type)).toEqual(['ready', 'end'])
  })

  it.each([
    ['half a sample', (socket: WebSocket) => socket.send(new Uint8Array(3)), 1007, 'invalid_request'],
    [
      'a message that is too large',
      (socket: WebSocket) => socket.send(new Uint8Array(65_538)),
      1009,
      'input_too_large',
    ],
    ['a text that says nothing', (socket: WebSocket) => socket.send('hello'), 1003, 'invalid_request'],
    [
      'sound that comes too fast',
      (socket: WebSocket) => {
        for (let i = 0; i < 8; i++) socket.send(new Uint8Array(60_000))
      },
      1008,
      'overloaded',
    ],
    [
      'samples one by one',
      (socket: WebSocket) => {
        // Far more than are let in at once, because more are let in with time, and a busy machine takes its time.
        for (let i = 0; i < 20_000; i++) socket.send(new Uint8Array(2))
      },
      1008,
      'overloaded',
    ],
  ] as const)('ends a stream that sends %s', async (_, send, code, reason) => {
    const stream = openStream(worker.url, '/stream/silero-vad')
    await stream.first('ready')
    send(stream.socket)
    expect(await stream.closed).toBe(code)
    expect(stream.messages.at(-1)).toMatchObject({ type: 'error', error: { code: reason } })
  })

  const upgrade = (
    path: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: string; protocol?: string | undefined }> =>
    new Promise((resolve, reject) => {
      const asked = request(worker.url + path, {
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          ...headers,
        },
      })
      asked.on('upgrade', (response, socket) => {
        socket.destroy()
        resolve({ status: 101, body: '', protocol: response.headers['sec-websocket-protocol'] })
      })
      asked.on('response', (response) => {
        let body = ''
        response.on('data', (piece) => {
          body += String(piece)
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      })
      asked.on('error', reject)
      asked.end()
    })
  interface RefusedOptions {
    readonly protocols?: string[]
    readonly headers?: Record<string, string>
  }
  /** As a page hears it: by the WebSocket's own events. */
  const refusal = (path: string, { protocols = [], headers = {} }: RefusedOptions) =>
    new Promise<{ messages: unknown[]; closed: { code: number; reason: string }; protocol: string }>(
      (resolve, reject) => {
        // Node's own takes headers too, which a browser sets by itself.
        const socket = new WebSocket(worker.url.replace('http', 'ws') + path, { protocols, headers } as never)
        const messages: unknown[] = []
        socket.addEventListener('message', ({ data }) => messages.push(JSON.parse(String(data))))
        socket.addEventListener('close', ({ code, reason }) =>
          resolve({ messages, closed: { code, reason }, protocol: socket.protocol }),
        )
        socket.addEventListener('error', () => reject(new Error('no connection')))
      },
    )
  const bearer = `verge-bearer.${Buffer.from(KEY).toString('base64url')}`

  it('lets in whom it should', async () => {
    expect((await upgrade('/stream/silero-vad')).status).toBe(101)
    expect((await upgrade('/stream/silero-vad', { origin: 'https://app.example' })).status).toBe(101)
    expect((await upgrade('/stream/silero-vad', { origin: worker.url })).status).toBe(101)
    expect((await upgrade('/stream/secret-vad', { authorization: `Bearer ${KEY}` })).status).toBe(101)
    expect(await upgrade('/stream/secret-vad', { 'sec-websocket-protocol': `verge-stream, ${bearer}` })).toMatchObject({
      status: 101,
      // The key is not among what is answered.
      protocol: 'verge-stream',
    })
  })

  it.each<[string, string, RefusedOptions, number, string]>([
    [
      'a page of another origin',
      '/stream/silero-vad',
      { headers: { origin: 'https://evil.example' } },
      403,
      'forbidden',
    ],
    ['a private model', '/stream/secret-vad', {}, 404, 'model_not_found'],
    ['a wrong key', '/stream/secret-vad', { protocols: ['verge-stream', 'verge-bearer.AAAA'] }, 401, 'unauthorized'],
    ['an unknown protocol', '/stream/silero-vad', { protocols: ['chat'] }, 400, 'invalid_request'],
    ['an unknown parameter', '/stream/silero-vad?treshold=0.5', {}, 400, 'invalid_request'],
    ['a threshold of 2', '/stream/silero-vad?threshold=2', {}, 400, 'invalid_request'],
    ['a silence shorter than the padding', '/stream/silero-vad?min_silence_duration_ms=50', {}, 400, 'invalid_request'],
    ['no version of that name', '/stream/silero-vad?version=9', {}, 404, 'version_not_found'],
  ])('refuses %s inside of a socket, where a page can hear it', async (_, path, options, status, code) => {
    const { closed, messages, protocol } = await refusal(path, options)
    expect(messages).toEqual([
      {
        type: 'error',
        error: expect.objectContaining({ code, message: expect.any(String), request_id: expect.any(String) }),
      },
    ])
    expect(closed).toEqual({ code: 4000 + status, reason: code })
    // A browser gives up a connection whose protocol it has not offered.
    expect(protocol).toBe(options.protocols?.[0] ?? '')
  })

  it('refuses an unknown key as for a model that is missing', async () => {
    const protocols = ['verge-stream', 'verge-bearer.AAAA']
    const told = async (model: string) => {
      const { closed, messages } = await refusal(`/stream/${model}`, { protocols })
      return JSON.stringify({ closed, messages })
        .replaceAll(model, 'NAME')
        .replace(/"request_id":"[^"]+"/, '')
    }
    expect(await told('secret-vad')).toBe(await told('no-such-vad'))
    // And a public one answers to any.
    expect((await upgrade('/stream/silero-vad', { 'sec-websocket-protocol': protocols.join(', ') })).status).toBe(101)
  })

  it('says to a plain request that this is a WebSocket', async () => {
    const response = await fetch(`${worker.url}/stream/silero-vad`)
    expect(response.status).toBe(426)
    expect(await response.json()).toMatchObject({ error: { code: 'upgrade_required' } })
  })

  it('has logged no key', () => {
    const text = worker.logs.join('\n')
    expect(text).not.toContain(KEY)
    expect(text).not.toContain(bearer)
  })
})

/** Lengths in bytes of messages: some cut windows, one is empty. */
function* lengths(): Generator<number> {
  for (;;) yield* [1024, 2, 30_000, 0, 6400, 998]
}

/** The segments of jfk.wav by silero-vad's rules, written anew over whole windows. */
function expected(probabilities: readonly number[]): Segment[] {
  const found: { first: number; last: number }[] = []
  let first: number | undefined
  let quiet: number | undefined
  for (const [i, probability] of probabilities.entries()) {
    if (probability >= 0.5) {
      first ??= i
      quiet = undefined
    } else if (first !== undefined && probability < 0.35) {
      quiet ??= i
      // 100 ms are 3.125 windows.
      if (i - quiet >= 4) {
        if ((quiet - first) * 512 > 4000) found.push({ first, last: quiet })
        first = undefined
        quiet = undefined
      }
    }
  }
  const end = 176_000
  const spans = found.map(({ first: from, last }) => ({ from, last, start: from * 512, end: last * 512 }))
  if (first !== undefined && end - first * 512 > 4000)
    spans.push({ from: first, last: probabilities.length, start: first * 512, end })
  return spans.map(({ from, last, ...span }) => {
    const heard = probabilities.slice(from, last)
    return {
      start: Math.max(0, span.start - 480) / 16_000,
      end: Math.min(end, span.end + 480) / 16_000,
      score: expect.closeTo(heard.reduce((sum, value) => sum + value, 0) / heard.length, 9) as unknown as number,
    }
  })
}
