import { describe, expect, it } from 'vitest'
import { Attempts } from '../../src/access/attempts.ts'
import { callerFor } from '../../src/access/authorize.ts'
import { Credentials } from '../../src/access/credentials.ts'
import { GRANTED_ACTIONS } from '../../src/access/grant.ts'
import { KeyReader } from '../../src/access/keys/reader.ts'
import { keyRecordKey } from '../../src/access/keys/record.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { StreamSession, type StreamSocket } from '../../src/stream/session.ts'
import { FakeServing, testModel } from '../fixtures/http.ts'
import { issueKey, storeKey } from '../fixtures/keys.ts'
import { LISTENER, LISTENER_AUDIO, LISTENER_SIGNATURE } from '../fixtures/listener.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'

const quiet: Tensors = new Map([
  ['speech', tensor('FP32', [1, 1], Float32Array.of(0))],
  ['memoryN', tensor('FP32', [1, 1], Float32Array.of(0))],
])

class FakeSocket implements StreamSocket {
  readonly sent: { type: string; error?: { message: string; reason?: string } }[] = []
  closed: { code: number; reason: string } | undefined
  #attached: unknown

  send(text: string): void {
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

/** A stream to a private model, opened with a key. */
async function opened(beforeAnswer: () => Promise<void> = async () => {}) {
  let now = 1_000_000
  const clock = { ...systemClock, now: () => now, sleep: () => Promise.resolve() }
  const compute = async (): Promise<Tensors> => {
    await beforeAnswer()
    return quiet
  }
  const signature = { task: 'voice-activity-detection' as const, ...LISTENER_SIGNATURE, audio: LISTENER_AUDIO }
  const store = new MemoryStore()
  const { record, text } = await issueKey({ models: ['listener', 'other-*'] })
  await storeKey(record, store)
  const credentials = new Credentials({
    keys: new KeyReader(store, store, { clock, logger: silentLogger, limits: LIMITS }),
    attempts: new Attempts({ clock, limits: LIMITS }),
    clock,
    limits: LIMITS,
  })
  const deps = {
    serving: new FakeServing([testModel('listener', 'private', signature, { compute })]),
    admission: new BoundedAdmission({ slots: 4, leaseMs: 60_000, bodyBytes: 1, clock }),
    credentials,
    clock,
    logger: silentLogger,
    limits: LIMITS,
    runs: { finished: 0 },
  }
  const caller = callerFor(await credentials.callerOf(text, {}, { waitUntil() {} }), 'listener')
  const socket = new FakeSocket()
  StreamSession.begin(socket, deps, {
    model: 'listener',
    version: '2',
    caller,
    requestId: 'id-1',
    sampleRate: 16_000,
    windowLength: LISTENER.length,
    speech: {},
    probabilities: true,
  })
  // as after hibernation: all that is known comes from the attachment
  const send = (): Promise<void> =>
    StreamSession.awake(socket, deps)?.receive(new ArrayBuffer(LISTENER.length * 2), () => {}) ?? Promise.resolve()
  const heard = () => socket.sent.filter(({ type }) => type === 'probability').length
  const change = (changes: object) => storeKey({ ...record, generation: 2, ...changes }, store)
  const pass = (ms: number): void => {
    now += ms
  }
  return { change, heard, pass, record, send, socket, store, text }
}

describe('a stream of a key', () => {
  it('goes on while the key is good, however often it is asked again', async () => {
    const { heard, pass, send, socket } = await opened()
    for (let i = 0; i < 5; i++) {
      await send()
      pass(LIMITS.keyTtlMs)
    }
    expect([heard(), socket.closed]).toEqual([5, undefined])
  })

  it('is closed at the first message after the key was revoked and the cache has forgotten, and says why', async () => {
    const { change, heard, pass, send, socket } = await opened()
    await send()
    await change({ revokedAt: 1_000 })
    await send()
    expect([heard(), socket.closed]).toEqual([2, undefined])
    pass(LIMITS.keyTtlMs)
    await send()
    expect([heard(), socket.closed]).toEqual([2, { code: 1008, reason: 'unauthorized' }])
    expect(socket.sent.at(-1)?.error).toMatchObject({
      reason: 'revoked',
      message: expect.stringContaining('was revoked on 1970-01-01'),
    })
  })

  it('ends what has begun: a message that is being heard when the key is revoked is answered', async () => {
    let revoke: () => Promise<void> = async () => {}
    const stream = await opened(() => revoke())
    revoke = async () => {
      await stream.change({ revokedAt: 1_000 })
      stream.pass(LIMITS.keyTtlMs)
    }
    await stream.send()
    expect([stream.heard(), stream.socket.closed]).toEqual([1, undefined])
    await stream.send()
    expect([stream.heard(), stream.socket.closed?.code]).toEqual([1, 1008])
  })

  it('is closed where the key does not allow the model any more, or has expired', async () => {
    const narrowed = await opened()
    await narrowed.change({ grant: { models: ['other-*'], actions: [...GRANTED_ACTIONS], places: ['edge'] } })
    narrowed.pass(LIMITS.keyTtlMs)
    await narrowed.send()
    expect(narrowed.socket.closed).toEqual({ code: 1008, reason: 'model_not_found' })
    const expired = await opened()
    await expired.change({ expiresAt: 1_001 })
    expired.pass(LIMITS.keyTtlMs)
    await expired.send()
    expect(expired.socket.closed).toEqual({ code: 1008, reason: 'unauthorized' })
  })

  it('is closed to be opened again where the key cannot be checked', async () => {
    const { pass, record, send, socket, store } = await opened()
    await store.put(keyRecordKey(record.id), new TextEncoder().encode('{"schema":1,'))
    pass(LIMITS.keyTtlMs)
    await send()
    expect(socket.closed).toEqual({ code: 1013, reason: 'store_unavailable' })
  })

  it('keeps neither the key nor the names of other models between two messages', async () => {
    const { socket, text } = await opened()
    const kept = JSON.stringify(socket.deserializeAttachment())
    expect(kept).toContain('"principal":"key:')
    expect(kept).not.toContain(text)
    expect(kept).not.toContain('other-')
  })
})
