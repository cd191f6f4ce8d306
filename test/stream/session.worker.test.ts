import { describe, expect, it } from 'vitest'
import type { Visibility } from '../../src/catalog/alias.ts'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS, type Limits } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { StreamSession, type StreamSocket } from '../../src/stream/session.ts'
import type { StreamDeps } from '../../src/stream/stream-context.ts'
import type { StreamOptions } from '../../src/stream/stream-options.ts'
import { FakeServing, testModel } from '../fixtures/http.ts'
import { LISTENER, LISTENER_AUDIO, LISTENER_SIGNATURE } from '../fixtures/listener.ts'
import { meteringOf } from '../fixtures/metering.ts'
import { pathsOf, tracing } from '../fixtures/traces.ts'

/** What the listener computes, without an engine. */
async function listen(inputs: Tensors): Promise<Tensors> {
  const [samples, memory] = [inputs.get('samples'), inputs.get('memory')]
  if (samples?.datatype !== 'FP32' || memory?.datatype !== 'FP32') throw new Error('no samples')
  const mean = samples.data.reduce((sum, sample) => sum + Math.abs(sample), 0) / samples.data.length
  const next = Float32Array.of((mean + (memory.data[0] ?? 0)) / 2)
  return new Map([
    ['speech', tensor('FP32', [1, 1], next)],
    ['memoryN', tensor('FP32', [1, 1], next.slice())],
  ])
}

const quiet: Tensors = new Map([
  ['speech', tensor('FP32', [1, 1], Float32Array.of(0))],
  ['memoryN', tensor('FP32', [1, 1], Float32Array.of(0))],
])

const OPENING: StreamOptions = {
  model: 'listener',
  version: '2',
  caller: { kind: 'anonymous' },
  requestId: 'id-1',
  sampleRate: 16_000,
  windowLength: LISTENER.length,
  speech: {},
  probabilities: true,
}

class FakeSocket implements StreamSocket {
  readonly sent: { type: string; [field: string]: unknown }[] = []
  closed: { code: number; reason: string } | undefined
  #attached: unknown

  send(text: string): void {
    if (this.closed) throw new Error('closed')
    this.sent.push(JSON.parse(text))
  }
  close(code: number, reason: string): void {
    this.closed = { code, reason }
  }
  serializeAttachment(value: unknown): void {
    this.#attached = structuredClone(value)
  }
  deserializeAttachment(): unknown {
    return structuredClone(this.#attached)
  }
}

function stream(
  compute: (inputs: Tensors) => Promise<Tensors> = listen,
  places = 4,
  limits: Partial<Limits> = {},
  metering?: StreamDeps['metering'],
  { trace, tracer }: { readonly tracer?: StreamDeps['tracer']; readonly trace?: StreamOptions['trace'] } = {},
) {
  let now = 1_000_000
  const model = testModel(
    'listener',
    'public',
    { task: 'voice-activity-detection', ...LISTENER_SIGNATURE, audio: LISTENER_AUDIO },
    { compute },
  )
  const serving = new FakeServing([model])
  const clock = { ...systemClock, now: () => now, sleep: () => Promise.resolve() }
  const admission = new BoundedAdmission({ slots: places, leaseMs: 60_000, bodyBytes: 1, clock })
  const deps = {
    serving,
    admission,
    clock,
    logger: silentLogger,
    limits: { ...LIMITS, ...limits },
    runs: { finished: 0 },
    ...(metering && { metering }),
    tracer,
  }
  const socket = new FakeSocket()
  const session = StreamSession.begin(socket, deps, {
    ...OPENING,
    ...(trace && { trace }),
    ...(metering && { facts: { address: '192.0.2.7' } }),
  })
  const send = (bytes: number): Promise<void> => session.receive(new ArrayBuffer(bytes), () => {})
  const setVisibility = (visibility: Visibility): void => {
    serving.alias = async () => ({ ...model.alias, visibility })
  }
  return {
    serving,
    admission,
    socket,
    session,
    send,
    setVisibility,
    end: () => session.receive('{"type":"end"}', () => {}),
    pass: (ms: number): void => {
      now += ms
    },
  }
}

describe('a stream', () => {
  it('may come twice as fast as it is spoken, after what it may begin with', async () => {
    const { send, pass, socket } = stream()
    // Ten seconds at once: 320,000 bytes.
    for (let i = 0; i < 5; i++) await send(64_000)
    for (let second = 0; second < 5; second++) {
      pass(1000)
      await send(32_000)
      await send(32_000)
    }
    expect(socket.closed).toBeUndefined()
    await send(320)
    expect(socket.closed).toEqual({ code: 1008, reason: 'overloaded' })
  })

  it('may send at once what was held up on the way', async () => {
    const { send, pass, socket } = stream()
    pass(60_000)
    for (let i = 0; i < 10; i++) await send(64_000)
    expect(socket.closed).toBeUndefined()
    await send(320)
    expect(socket.closed).toMatchObject({ code: 1008 })
  })

  it('lasts so long and no longer', async () => {
    const { send, pass, socket } = stream(async () => quiet, 4, { streamSeconds: 3 })
    await send(64_000)
    pass(3_600_000)
    await send(32_000)
    expect(socket.closed).toBeUndefined()
    await send(2)
    expect(socket.closed).toEqual({ code: 1008, reason: 'input_too_large' })
  })

  it('says nothing of a failure that is ours', async () => {
    const { send, serving, socket } = stream()
    serving.resolve = async () => Promise.reject(new Error('a secret path'))
    await send(320)
    expect(socket.closed).toEqual({ code: 1011, reason: 'internal' })
    expect(JSON.stringify(socket.sent.at(-1))).not.toContain('secret')
  })

  it('is refused when more waits to be heard than may', async () => {
    let go = (): void => {}
    const held = new Promise<void>((resolve) => {
      go = resolve
    })
    const { send, pass, socket } = stream(async (inputs) => {
      await held
      return listen(inputs)
    })
    const sent: Promise<void>[] = []
    for (let i = 0; i < 11; i++) {
      sent.push(send(64_000))
      pass(2000)
    }
    expect(socket.closed).toEqual({ code: 1013, reason: 'overloaded' })
    go()
    await Promise.all(sent)
  })

  it('hears its messages in order, however many wait', async () => {
    const { session, socket, end } = stream()
    const ramp = Int16Array.from({ length: 160 * 20 }, (_, i) => Math.floor(i / 160) * 1000)
    const bytes = new Uint8Array(ramp.buffer)
    for (let at = 0; at < bytes.length; at += 700) void session.receive(bytes.slice(at, at + 700).buffer, () => {})
    await end()
    const starts = socket.sent.filter(({ type }) => type === 'probability').map(({ start }) => start)
    expect(starts).toEqual(Array.from({ length: 20 }, (_, i) => (i * 160) / 16_000))
    const heard = socket.sent.filter(({ type }) => type === 'probability').map(({ probability }) => Number(probability))
    expect([...heard].sort((a, b) => a - b)).toEqual(heard)
    expect(socket.closed).toEqual({ code: 1000, reason: 'end' })
  })

  it('ends when its model is taken from the public', async () => {
    const { send, setVisibility, socket } = stream()
    await send(320)
    expect(socket.sent.at(-1)).toMatchObject({ type: 'probability' })
    setVisibility('private')
    await send(320)
    expect(socket.closed).toEqual({ code: 1008, reason: 'model_not_found' })
  })

  it('waits for a slot among the requests, and gives up in the end', async () => {
    const { send, admission, socket } = stream(listen, 1)
    const other = admission.enter('other')
    await send(320)
    expect(socket.closed).toEqual({ code: 1013, reason: 'overloaded' })
    other.leave()
    const second = stream(listen, 1)
    const short = second.admission.enter('short')
    const heard = second.send(320)
    short.leave()
    await heard
    expect(second.socket.sent.at(-1)).toMatchObject({ type: 'probability' })
    expect(second.admission.admitted).toBe(0)
  })

  it('is closed with what is wrong where a file is sent, and not heard', async () => {
    const { session, socket, serving } = stream()
    const file = new Uint8Array(1000)
    file.set(new TextEncoder().encode('RIFF----WAVEfmt '))
    await session.receive(file.buffer, () => {})
    expect(socket.sent.at(-1)).toEqual({
      type: 'error',
      error: {
        code: 'invalid_audio',
        message: expect.stringMatching(/looks like a WAV file.*16-bit.*16000 per second.*\/run\/listener/),
        field: 'format',
        request_id: 'id-1',
      },
    })
    expect(socket.closed).toEqual({ code: 1007, reason: 'invalid_audio' })
    expect(serving.runs).toHaveLength(0)
  })

  it('looks for a file in the first message alone', async () => {
    const { session, send, socket } = stream()
    await send(320)
    const later = new Uint8Array(1000)
    later.set(new TextEncoder().encode('RIFF----WAVEfmt '))
    await session.receive(later.buffer, () => {})
    expect(socket.closed).toBeUndefined()
  })

  it('is closed where floats are sent, also after silence, and not once it has heard samples', async () => {
    const floats = Float32Array.from({ length: 400 }, (_, i) => Math.sin(i / 3) / 2)
    const samples = Int16Array.from(floats, (value) => value * 32_767)
    const silent = stream()
    await silent.send(1600)
    await silent.session.receive(floats.slice().buffer, () => {})
    expect(silent.socket.sent.at(-1)).toMatchObject({ error: { message: expect.stringContaining('32-bit floats') } })
    expect(silent.socket.closed).toEqual({ code: 1007, reason: 'invalid_audio' })

    const { session, socket } = stream()
    await session.receive(samples.buffer, () => {})
    await session.receive(floats.slice().buffer, () => {})
    expect(socket.closed).toBeUndefined()
  })

  it.each([
    ['weights_unavailable', 1013],
    ['run_rejected', 1011],
  ] as const)('says why it ends when the model fails with %s', async (code, closeCode) => {
    const { send, socket } = stream(async () => {
      throw new VergeError(code, 'No.')
    })
    await send(320)
    expect(socket.sent.at(-1)).toEqual({ type: 'error', error: { code, message: 'No.', request_id: 'id-1' } })
    expect(socket.closed).toEqual({ code: closeCode, reason: code })
  })

  it.each([
    ['no number', Number.NaN],
    ['more than 1', 1.5],
  ])('ends when the model answers with %s', async (_, value) => {
    const { send, socket } = stream(async () => new Map([['speech', tensor('FP32', [1, 1], Float32Array.of(value))]]))
    await send(320)
    expect(socket.closed).toEqual({ code: 1011, reason: 'manifest_invalid' })
  })

  it('hears nothing more of a client that has gone', async () => {
    const { session, send, serving } = stream()
    session.leave()
    await send(320)
    expect(serving.runs).toHaveLength(0)
  })
})

describe('a stream whose caller has limits', () => {
  it('pays for what it hears, as part of a request that was counted, and closes when the budget is spent', async () => {
    const spent = new VergeError('budget_spent', 'The budget is spent.', { details: { budget: 'units' } })
    const { facts, left, metering, usage } = meteringOf({ units: 2, spent })
    const { send, socket } = stream(listen, 4, {}, metering)
    const window = LISTENER.length * 2
    for (let i = 0; i < 3; i++) await send(window)
    expect(socket.closed).toEqual({ code: 1008, reason: 'budget_spent' })
    expect(socket.sent.at(-1)).toMatchObject({ type: 'error', error: { code: 'budget_spent', budget: 'units' } })
    expect(left.units).toBe(0)
    expect(usage.map(({ status, units }) => [status, units])).toEqual([
      [200, 1],
      [200, 1],
      [429, 0],
    ])
    expect(facts[0]).toEqual({ address: '192.0.2.7', continued: true })
  })

  it('says when it may be opened again where it is to wait', async () => {
    const busy = new VergeError('limits_unavailable', 'Nobody counts.', { retryAfter: 5 })
    const { metering } = meteringOf({ admit: busy })
    const { send, socket } = stream(listen, 4, {}, metering)
    await send(LISTENER.length * 2)
    expect(socket.closed?.code).toBe(1013)
    expect(socket.sent.at(-1)).toMatchObject({ error: { code: 'limits_unavailable', retry_after: 5 } })
  })
})

describe('the messages of a stream', () => {
  const opened = '4bf92f3577b34da6a3ce929d0e0e4736'
  const parent = `00-${opened}-00f067aa0ba902b7-01`
  const heard = async (rate: number, trusted: boolean, messages: number) => {
    const { exported, tracer } = tracing(rate)
    const { send, setVisibility } = stream(listen, 4, {}, undefined, { tracer, trace: { parent, trusted } })
    for (let i = 1; i < messages; i++) await send(320)
    setVisibility('private')
    await send(320)
    return exported()
  }

  it('have a trace each, linked to that of the opening', async () => {
    const spans = await heard(1, false, 2)
    const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined)
    expect(pathsOf(spans).filter((path) => path.endsWith('authorize'))).toHaveLength(2)
    expect(roots.map(({ attributes, name }) => [name, attributes['verge.model'], attributes['error.type']])).toEqual([
      ['message /stream/:model', 'listener', undefined],
      ['message /stream/:model', undefined, 'model_not_found'],
    ])
    expect(new Set([opened, ...roots.map(({ traceId }) => traceId)]).size).toBe(3)
    expect(roots.map(({ links }) => links.map(({ traceId }) => traceId))).toEqual([[opened], [opened]])
  })

  it('are recorded because their caller asks for it, if it is trusted, and a few of them in a minute', async () => {
    const rootsOf = async (trusted: boolean) =>
      (await heard(0, trusted, 5)).filter(({ parentSpanId }) => parentSpanId === undefined)
    expect(await rootsOf(false)).toEqual([])
    expect((await rootsOf(true)).map(({ links }) => links.map(({ traceId }) => traceId))).toEqual([[opened], [opened]])
  })
})
