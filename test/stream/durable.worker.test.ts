import { evictDurableObject, listDurableObjectIds, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { MANIFEST_SCHEMA } from '../../src/catalog/manifest.ts'
import { CatalogWriter } from '../../src/catalog/writer.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { sha256Factory } from '../../src/core/sha256.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { LISTENER_AUDIO, LISTENER_SIGNATURE, listened, listenerModel } from '../fixtures/listener.ts'
import { splitChunks } from '../fixtures/split-chunks.ts'

const bindings = env as unknown as {
  readonly BUCKET: R2Bucket
  readonly KV: KVNamespace
  readonly STREAMS: DurableObjectNamespace
}
const writer = new CatalogWriter(new R2Store(bindings.BUCKET), [new KvStore(bindings.KV)], {
  sha256: sha256Factory(),
  limits: LIMITS,
})

async function publish(model: string): Promise<void> {
  const { blob } = await writer.putBlob(splitChunks(listenerModel()), { hot: true })
  await writer.publishVersion(
    {
      schema: MANIFEST_SCHEMA,
      model,
      version: '1',
      task: 'voice-activity-detection',
      ...LISTENER_SIGNATURE,
      audio: LISTENER_AUDIO,
      artifacts: [{ ...blob, chunks: [...blob.chunks], id: 'edge', format: 'onnx', dtype: 'fp32', places: ['edge'] }],
    },
    { live: true, visibility: 'public' },
  )
}

/** Loud, quiet, loud and quiet: 12 windows and 5 samples. */
const LENGTH = 12 * 160 + 5
const loudness = (i: number): number => (Math.floor(i / 320) % 2 === 0 ? 0.75 : 0.0625)
const samples = Float64Array.from({ length: LENGTH }, (_, i) => (i % 2 === 0 ? 1 : -1) * loudness(i))
const pcm = new Uint8Array(Int16Array.from(samples, (sample) => sample * 32_768).buffer)

interface Received {
  readonly type: string
  readonly [field: string]: unknown
}

class Client {
  readonly messages: Received[] = []
  readonly closed: Promise<number>
  readonly socket: WebSocket
  readonly stub: DurableObjectStub
  #wake = (): void => {}

  constructor(socket: WebSocket, stub: DurableObjectStub) {
    this.socket = socket
    this.stub = stub
    socket.accept()
    socket.addEventListener('message', ({ data }) => {
      this.messages.push(JSON.parse(String(data)) as Received)
      this.#wake()
    })
    this.closed = new Promise((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)))
  }

  static async open(path: string): Promise<Client> {
    const before = new Set((await listDurableObjectIds(bindings.STREAMS)).map(String))
    const worker = (exports as unknown as { default: Fetcher }).default
    const response = await worker.fetch(`http://verge.example${path}`, { headers: { upgrade: 'websocket' } })
    if (response.webSocket === null) throw new Error(`${response.status} ${await response.text()}`)
    const id = (await listDurableObjectIds(bindings.STREAMS)).find((each) => !before.has(String(each)))
    if (id === undefined) throw new Error('no new object')
    return new Client(response.webSocket, bindings.STREAMS.get(id))
  }

  /** Resolves when so many messages have come. */
  async count(messages: number): Promise<void> {
    while (this.messages.length < messages) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  probabilities(): number[] {
    return this.messages.filter(({ type }) => type === 'probability').map(({ probability }) => Number(probability))
  }
}

describe('a stream in its Durable Object', () => {
  beforeAll(() => publish('listener'))

  it('goes on where it was after the object was evicted', async () => {
    const client = await Client.open('/stream/listener')
    await client.count(1)
    // Between two windows, and in the middle of one; 1,000 bytes are three windows and 20 samples.
    client.socket.send(pcm.slice(0, 1000))
    await client.count(4)
    await evictDurableObject(client.stub)
    client.socket.send(pcm.slice(1000, 1300))
    await client.count(5)
    await evictDurableObject(client.stub)
    client.socket.send(pcm.slice(1300))
    client.socket.send('{"type":"end"}')
    expect(await client.closed).toBe(1000)

    const exact = listened(samples)
    const heard = client.probabilities()
    expect(heard).toHaveLength(13)
    for (const [i, probability] of heard.entries()) expect(probability).toBeCloseTo(exact[i] ?? Number.NaN, 5)
    expect(client.messages[0]).toEqual({
      type: 'ready',
      model: 'listener',
      version: '1',
      sample_rate: 16_000,
      window: 0.01,
    })
    expect(client.messages.at(-1)).toEqual({ type: 'end', duration: LENGTH / 16_000 })
  })

  it('would not give these answers if it had forgotten', () => {
    const exact = listened(samples)
    const anew = [...listened(samples.subarray(0, 480)), ...listened(samples.subarray(480))]
    expect(Math.abs((exact[3] ?? 0) - (anew[3] ?? 0))).toBeGreaterThan(0.01)
  })

  it('has left nothing behind when it is over', async () => {
    const client = await Client.open('/stream/listener')
    client.socket.send('{"type":"end"}')
    expect(await client.closed).toBe(1000)
    client.socket.close(1000)
    await expect
      .poll(() => runInDurableObject(client.stub, (_, state) => state.storage.getAlarm()), { timeout: 5000 })
      .toBeNull()
  })

  it('is closed by its alarm when nothing has come for long, and not before', async () => {
    const client = await Client.open('/stream/listener')
    await client.count(1)
    // Fires early: the stream has just begun.
    expect(await runDurableObjectAlarm(client.stub)).toBe(true)
    const due = await runInDurableObject(client.stub, (_, state) => state.storage.getAlarm())
    expect(due).toBeGreaterThan(Date.now() + LIMITS.streamIdleMs - 5000)
    // As if a minute had passed since: what is kept with the socket says when it last sent something.
    await evictDurableObject(client.stub)
    await runInDurableObject(client.stub, (_, state) => {
      const [socket] = state.getWebSockets()
      const kept = socket?.deserializeAttachment() as { allowance: { at: number } }
      socket?.serializeAttachment({
        ...kept,
        allowance: { ...kept.allowance, at: Date.now() - LIMITS.streamIdleMs - 1 },
      })
    })
    expect(await runDurableObjectAlarm(client.stub)).toBe(true)
    expect(await client.closed).toBe(4408)
    expect(client.messages.at(-1)).toMatchObject({ type: 'error', error: { code: 'cancelled' } })
  })

  it('keeps the largest state that a model may have', async () => {
    const client = await Client.open('/stream/listener')
    await client.count(1)
    await runInDurableObject(client.stub, (_, state) => {
      const [socket] = state.getWebSockets()
      const kept = socket?.deserializeAttachment() as object
      // The platform refuses more than 16,384 bytes.
      const vad = { state: [new Float32Array(LIMITS.streamStateBytes / 4)] }
      expect(() => socket?.serializeAttachment({ ...kept, vad, more: new Uint8Array(2048) })).not.toThrow()
      expect(() => socket?.serializeAttachment({ ...kept, vad, more: new Uint8Array(5000) })).toThrow()
    })
    client.socket.close(1000)
  })
})
