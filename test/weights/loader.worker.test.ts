import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS, PLATFORM } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { sha256Factory, sha256Hex } from '../../src/core/sha256.ts'
import { type BlobInfo, blobKey } from '../../src/weights/blob.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { BlobLoader, type BlobLoaderOptions, type ChunkReport } from '../../src/weights/loader.ts'
import { putBlob } from '../../src/weights/put-blob.ts'
import { R2Store } from '../../src/weights/r2.ts'
import type { GetOptions, Store, StoredValue } from '../../src/weights/store.ts'
import { pattern } from '../contract/store.ts'
import { bindings } from '../fixtures/bindings.ts'
import { splitChunks } from '../fixtures/split-chunks.ts'

const sha256 = sha256Factory()
const kv = new KvStore(bindings.KV)
const r2 = new R2Store(bindings.BUCKET)
const chunkBytes = 150_000

let seeds = 0
/** A blob of new bytes in R2 and KV. */
async function stored(
  bytes: number,
  stores: readonly Store[] = [kv, r2],
): Promise<{ data: Uint8Array; blob: BlobInfo }> {
  const data = pattern(bytes, 1000 + ++seeds)
  const options = { sha256, clock: systemClock, limits: LIMITS, verify: true }
  return { data, blob: (await putBlob(stores, splitChunks(data, chunkBytes), options)).blob }
}

function loaderOf(layers: readonly Store[], options: Partial<BlobLoaderOptions> = {}) {
  const reports: ChunkReport[] = []
  const loader = new BlobLoader(layers, {
    sha256,
    clock: systemClock,
    logger: silentLogger,
    limits: LIMITS,
    report: (report) => void reports.push(report),
    ...options,
  })
  return { loader, reports }
}

function faults(reports: readonly ChunkReport[]): string[] {
  return reports.map(({ store, index, fault }) => `${store} ${index} ${fault.kind}`)
}

function keyOf(blob: BlobInfo, index: number): string {
  return blobKey(blob.chunks[index]?.sha256 ?? '')
}

/** A real store, watched: how many reads are under way, and what becomes of their bodies. */
class Watched implements Store {
  readonly name: string
  readonly inner: Store
  gets = 0
  open = 0
  mostOpen = 0
  cancelled = 0

  constructor(inner: Store) {
    this.inner = inner
    this.name = inner.name
  }

  async get(key: string, options?: GetOptions): Promise<StoredValue | null> {
    this.gets++
    this.open++
    this.mostOpen = Math.max(this.mostOpen, this.open)
    let found: StoredValue | null = null
    try {
      found = await this.inner.get(key, options)
    } finally {
      if (found === null) this.open--
    }
    if (found === null) return null
    const reader = found.body.getReader()
    let ended = false
    const end = (): void => {
      if (!ended) this.open--
      ended = true
    }
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
          end()
          controller.close()
        } catch (error) {
          end()
          controller.error(error)
        }
      },
      cancel: (reason) => {
        this.cancelled++
        end()
        return reader.cancel(reason)
      },
    })
    return { ...found, body }
  }

  head: Store['head'] = (key, options) => this.inner.head(key, options)
  put: Store['put'] = (key, value, options) => this.inner.put(key, value, options)
  list: Store['list'] = (prefix, options) => this.inner.list(prefix, options)
  delete: Store['delete'] = (key, options) => this.inner.delete(key, options)
}

/** A fault that local stores never show: fails, or hangs, for the first reads. */
class Failing extends Watched {
  readonly fault: 'unavailable' | 'never answers' | 'never sends' | 'breaks off'
  readonly times: number

  constructor(inner: Store, fault: Failing['fault'], times = Number.POSITIVE_INFINITY) {
    super(inner)
    this.fault = fault
    this.times = times
  }

  override get(key: string, options?: GetOptions): Promise<StoredValue | null> {
    if (this.gets >= this.times) return super.get(key, options)
    this.gets++
    switch (this.fault) {
      case 'unavailable':
        return Promise.reject(new VergeError('store_unavailable', 'out of order'))
      case 'never answers':
        return new Promise(() => {})
      case 'never sends':
        return Promise.resolve({ bytes: 1, body: new ReadableStream({ cancel: () => void this.cancelled++ }) })
      case 'breaks off':
        return Promise.resolve({ bytes: 1, body: breakingOff() })
    }
  }
}

function breakingOff(): ReadableStream<Uint8Array> {
  let sent = false
  return new ReadableStream({
    pull(controller) {
      if (sent) return controller.error(new VergeError('store_unavailable', 'connection lost'))
      sent = true
      controller.enqueue(new Uint8Array(10))
    },
  })
}

describe('BlobLoader', () => {
  it('delivers every byte at its place, in pieces far smaller than a chunk', async () => {
    const { data, blob } = await stored(10 * chunkBytes + 17)
    const { loader, reports } = loaderOf([kv, r2])
    const source = loader.source(blob)
    expect(source.bytes).toBe(data.length)
    const got = new Uint8Array(data.length)
    const sizes: number[] = []
    await source.deliver((offset, piece) => {
      sizes.push(piece.length)
      got.set(piece, offset)
    })
    expect(got).toEqual(data)
    expect(sizes.reduce((a, b) => a + b)).toBe(data.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(PLATFORM.readPieceBytes)
    expect(reports).toEqual([])
    expect(await loader.bytes(blob, data.length)).toEqual(data)
  })

  it('hands out pieces of one buffer, so that no chunk is ever in memory whole', async () => {
    const { data, blob } = await stored(8 * chunkBytes)
    const options = { sha256, clock: systemClock, limits: LIMITS, verify: true }
    const whole = (await putBlob([r2], [data], options)).blob
    expect(whole.chunks).toHaveLength(1)
    const sizes = new Set<number>()
    await loaderOf([r2])
      .loader.source(whole)
      .deliver((_, piece) => void sizes.add(piece.buffer.byteLength))
    expect([...sizes]).toEqual([PLATFORM.readPieceBytes])
    expect(blob.sha256).toBe(whole.sha256)
  })

  it('reads an empty blob, with no chunk or with an empty one', async () => {
    const { blob } = await stored(0)
    expect(blob).toMatchObject({ bytes: 0, chunks: [] })
    const { loader } = loaderOf([kv, r2])
    expect(await loader.bytes(blob, 0)).toEqual(new Uint8Array(0))
    const options = { sha256, clock: systemClock, limits: LIMITS, verify: true }
    const { blob: oneEmpty } = await putBlob([r2], [new Uint8Array(0)], options)
    expect(oneEmpty.chunks).toHaveLength(1)
    expect(await loader.bytes(oneEmpty, 0)).toEqual(new Uint8Array(0))
  })

  it('fetches at most as many chunks at once as connections allow, and does use them', async () => {
    const { data, blob } = await stored(20 * chunkBytes)
    const watched = new Watched(r2)
    expect(await loaderOf([watched]).loader.bytes(blob, data.length)).toEqual(data)
    expect(watched.mostOpen).toBe(LIMITS.parallelFetches)
    expect(watched.gets).toBe(20)
    expect(watched.open).toBe(0)
  })

  const damages: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array | null])[] = [
    ['missing', () => null],
    ['corrupt', (bytes) => bytes.map((byte, i) => (i === 77_777 ? byte ^ 1 : byte))],
    ['short', (bytes) => bytes.subarray(0, -1)],
    ['short', () => new Uint8Array(0)],
    ['long', (bytes) => new Uint8Array([...bytes, 0])],
    ['long', (bytes) => new Uint8Array([...bytes, ...bytes])],
  ]
  async function damage(store: Store, key: string, how: (bytes: Uint8Array) => Uint8Array | null): Promise<void> {
    const found = await store.get(key)
    if (found === null) throw new Error('nothing to damage')
    const bad = how(new Uint8Array(await new Response(found.body).arrayBuffer()))
    if (bad === null) await store.delete(key)
    else await store.put(key, bad)
  }

  for (const [kind, how] of damages) {
    it(`reads a chunk that is ${kind} in KV from R2, alone, and reports it`, async () => {
      const { data, blob } = await stored(7 * chunkBytes)
      await damage(kv, keyOf(blob, 3), how)
      const watched = new Watched(r2)
      const { loader, reports } = loaderOf([kv, watched])
      const got = new Uint8Array(data.length)
      await loader.source(blob).deliver((offset, piece) => {
        expect(offset + piece.length).toBeLessThanOrEqual(data.length)
        got.set(piece, offset)
      })
      expect(got).toEqual(data)
      expect(faults(reports)).toEqual([`kv 3 ${kind}`])
      expect(reports[0]?.chunk).toEqual(blob.chunks[3])
      expect(watched.gets).toBe(1)
    })

    it(`fails with a typed error that names the chunk, if it is ${kind} everywhere`, async () => {
      const { data, blob } = await stored(7 * chunkBytes)
      await damage(kv, keyOf(blob, 6), how)
      await damage(r2, keyOf(blob, 6), how)
      const { loader, reports } = loaderOf([kv, r2])
      const failure = await loader.bytes(blob, data.length).catch((error: unknown) => error)
      expect(failure).toMatchObject({
        code: kind === 'missing' ? 'weights_unavailable' : 'weights_corrupt',
        details: { sha256: blob.chunks[6]?.sha256, index: 6 },
        message: expect.stringMatching(new RegExp(`Chunk 7 of 7.*${blob.chunks[6]?.sha256}.*Push this version again`)),
      })
      // a body that was cut off may be whole the next time
      const again = kind === 'short' ? [`r2 6 ${kind}`] : []
      expect(faults(reports)).toEqual([`kv 6 ${kind}`, `r2 6 ${kind}`, ...again])
    })
  }

  it('never writes past the end of the last chunk, whatever a store sends', async () => {
    const { data, blob } = await stored(2 * chunkBytes)
    await damage(r2, keyOf(blob, 1), (bytes) => new Uint8Array([...bytes, ...bytes, ...bytes]))
    let end = 0
    const reading = loaderOf([r2])
      .loader.source(blob)
      .deliver((offset, piece) => {
        end = Math.max(end, offset + piece.length)
      })
    await expect(reading).rejects.toMatchObject({ code: 'weights_corrupt' })
    expect(end).toBeLessThanOrEqual(data.length)
  })

  it('is mended by storing the same blob again', async () => {
    const { data, blob } = await stored(3 * chunkBytes)
    await damage(r2, keyOf(blob, 0), (bytes) => bytes.map(() => 0))
    await damage(r2, keyOf(blob, 2), () => null)
    await expect(loaderOf([r2]).loader.bytes(blob, data.length)).rejects.toThrow(VergeError)
    const options = { sha256, clock: systemClock, limits: LIMITS, verify: true }
    expect((await putBlob([r2], splitChunks(data, chunkBytes), options)).written).toBe(2)
    expect(await loaderOf([r2]).loader.bytes(blob, data.length)).toEqual(data)
    expect((await putBlob([r2], splitChunks(data, chunkBytes), options)).written).toBe(0)
  })

  const limits = { ...LIMITS, chunkStallMs: 60, chunkRetryPauseMs: 5 }
  for (const fault of ['unavailable', 'never answers', 'never sends', 'breaks off'] as const) {
    const kind = fault.startsWith('never') ? 'stalled' : 'unavailable'

    it(`goes on to the next layer: ${fault}`, async () => {
      const { data, blob } = await stored(3 * chunkBytes)
      const failing = new Failing(kv, fault, 1)
      const { loader, reports } = loaderOf([failing, r2], { limits })
      expect(await loader.bytes(blob, data.length)).toEqual(data)
      expect(faults(reports)).toEqual([`kv 0 ${kind}`])
      expect(failing.cancelled).toBe(fault === 'never sends' ? 1 : 0)
    })

    it(`asks the last layer once more: ${fault}`, async () => {
      const { data, blob } = await stored(chunkBytes)
      const { loader, reports } = loaderOf([new Failing(r2, fault, 1)], { limits })
      expect(await loader.bytes(blob, data.length)).toEqual(data)
      expect(faults(reports)).toEqual([`r2 0 ${kind}`])

      const broken = loaderOf([new Failing(r2, fault)], { limits })
      const failure = await broken.loader.bytes(blob, data.length).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'weights_unavailable', details: { index: 0 }, retryAfter: 1 })
      expect(faults(broken.reports)).toEqual([`r2 0 ${kind}`, `r2 0 ${kind}`])
    })
  }

  it('takes a slow body for what it is, as long as something comes', async () => {
    const { data, blob } = await stored(chunkBytes)
    const slow: Store = new (class extends Watched {
      override async get(): Promise<StoredValue> {
        let offset = 0
        const body = new ReadableStream<Uint8Array>({
          async pull(controller) {
            // Together longer than a stall, each far shorter.
            await systemClock.sleep(700)
            if (offset === data.length) return controller.close()
            controller.enqueue(data.slice(offset, offset + 15_000))
            offset += 15_000
          },
        })
        return { bytes: data.length, body }
      }
    })(r2)
    const { loader, reports } = loaderOf([slow], { limits: { ...limits, chunkStallMs: 2_500 } })
    expect(await loader.bytes(blob, data.length)).toEqual(data)
    expect(reports).toEqual([])
  })

  it('gives up every other fetch before it rejects, and writes nothing afterwards', async () => {
    const { blob } = await stored(30 * chunkBytes)
    await damage(r2, keyOf(blob, 2), () => null)
    const watched = new Watched(r2)
    let rejected = false
    let late = 0
    const reading = loaderOf([watched])
      .loader.source(blob)
      .deliver(() => {
        if (rejected) late++
      })
    await expect(reading).rejects.toMatchObject({ code: 'weights_unavailable', details: { index: 2 } })
    rejected = true
    expect(watched.open).toBe(0)
    expect(watched.gets).toBeLessThan(30)
    await systemClock.sleep(50)
    expect(late).toBe(0)
  })

  it('stops when the signal fires, with its reason, and cancels what is under way', async () => {
    const { blob } = await stored(30 * chunkBytes)
    const watched = new Watched(r2)
    const controller = new AbortController()
    const reason = new VergeError('deadline_exceeded', 'out of time')
    let after = 0
    const reading = loaderOf([watched])
      .loader.source(blob)
      .deliver(() => {
        if (controller.signal.aborted) after++
        else controller.abort(reason)
      }, controller.signal)
    await expect(reading).rejects.toBe(reason)
    expect(after).toBe(0)
    expect(watched.open).toBe(0)
    expect(watched.gets).toBeLessThanOrEqual(LIMITS.parallelFetches)
  })

  it('stops even when the stores hang', async () => {
    const { blob } = await stored(2 * chunkBytes)
    const controller = new AbortController()
    const reading = loaderOf([new Failing(r2, 'never answers')])
      .loader.source(blob)
      .deliver(() => {}, controller.signal)
    setTimeout(() => controller.abort(), 20)
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('fetches nothing when the signal has fired already', async () => {
    const { blob } = await stored(chunkBytes)
    const watched = new Watched(r2)
    const reading = loaderOf([watched]).loader.bytes(blob, blob.bytes, AbortSignal.abort())
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' })
    expect(watched.gets).toBe(0)
  })

  it('passes on what `write` throws, and blames no store for it', async () => {
    const { blob } = await stored(6 * chunkBytes)
    const full = new VergeError('model_too_large', 'the heap is full')
    const watched = new Watched(r2)
    const { loader, reports } = loaderOf([kv, watched])
    const reading = loader.source(blob).deliver((offset) => {
      if (offset > 2 * chunkBytes) throw full
    })
    await expect(reading).rejects.toBe(full)
    expect(reports).toEqual([])
    expect(watched.gets).toBe(0)
  })

  it('does not take a defect of a store for an absent chunk', async () => {
    const { blob } = await stored(chunkBytes)
    const defect = new TypeError('a defect')
    const faulty = new Watched(r2)
    faulty.get = () => Promise.reject(defect)
    await expect(loaderOf([faulty, r2]).loader.bytes(blob, blob.bytes)).rejects.toBe(defect)
  })

  it('checks what is declared before it fetches anything', async () => {
    const { blob } = await stored(2 * chunkBytes)
    const watched = new Watched(r2)
    const { loader } = loaderOf([watched])
    const small = new BlobLoader([watched], {
      sha256,
      clock: systemClock,
      logger: silentLogger,
      limits: { ...LIMITS, chunkBytes: chunkBytes - 1 },
    })
    expect(() => loader.source({ ...blob, bytes: blob.bytes + 1 })).toThrow(/add up to 300000/)
    expect(() => small.source(blob)).toThrow(/the limit is 149999/)
    const many = { ...blob, chunks: Array.from({ length: 600 }, () => blob.chunks[0] ?? { sha256: '', bytes: 0 }) }
    expect(() => loader.source({ ...many, bytes: 600 * chunkBytes })).toThrow(/the limit is 75497472/)
    await expect(loader.bytes(blob, 1000)).rejects.toMatchObject({
      code: 'model_too_large',
      message: expect.stringMatching(/the limit is 1000/),
    })
    expect(watched.gets).toBe(0)
  })

  it('serves several loads of one blob at once', async () => {
    const { data, blob } = await stored(6 * chunkBytes)
    const { loader } = loaderOf([kv, r2])
    const all = await Promise.all([1, 2, 3].map(() => loader.bytes(blob, data.length)))
    for (const got of all) expect(got).toEqual(data)
  })
})

describe('sha256Factory', () => {
  it('agrees with the known digest of "abc", and of nothing', async () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(await sha256Hex(sha256, new TextEncoder().encode('abc'))).toBe(abc)
    const none = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    expect(await sha256().hex()).toBe(none)
    const digest = sha256()
    const reused = new Uint8Array(1)
    for (const letter of 'abc') {
      reused[0] = letter.charCodeAt(0)
      await digest.update(reused)
    }
    expect(await digest.hex()).toBe(abc)
  })
})
