import { beforeAll, describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { KvStore, kvCacheTtl } from '../../src/weights/kv.ts'
import { LayeredStore } from '../../src/weights/layered.ts'
import { MemoryStore } from '../../src/weights/memory.ts'
import { R2Store } from '../../src/weights/r2.ts'
import type { Store } from '../../src/weights/store.ts'
import { pattern, readValue, storeContract, text } from '../contract/store.ts'
import { bindings } from '../fixtures/bindings.ts'

const { BUCKET, KV } = bindings

storeContract('r2', () => new R2Store(BUCKET), { conditional: true })
storeContract('kv', () => new KvStore(KV), { conditional: false })
storeContract('memory', () => new MemoryStore(), { conditional: true })
storeContract('kv over r2', () => new LayeredStore([new KvStore(KV)], new R2Store(BUCKET)), { conditional: true })

describe('KvStore', () => {
  const store = new KvStore(KV)

  it('sizes, reads and cuts values that another tool wrote without their size', async () => {
    await KV.put('foreign', pattern(200_000))
    expect((await store.head('foreign'))?.bytes).toBe(200_000)
    expect((await store.get('foreign'))?.bytes).toBe(200_000)
    expect(await readValue(store, 'foreign', { offset: 100_000, length: 7 })).toEqual(
      pattern(200_000).slice(100_000, 100_007),
    )
    await KV.put('foreign', pattern(10), { metadata: { bytes: 'many' } })
    expect((await store.head('foreign'))?.bytes).toBe(10)
  })

  it('refuses what KV cannot hold, by a typed error that says why', async () => {
    const tooLarge = new Uint8Array(25 * 1024 * 1024 + 1)
    await expect(store.put('k', tooLarge)).rejects.toMatchObject({ code: 'store_unavailable', message: /26214400/ })
    for (const key of ['', '.', '..', 'ä'.repeat(257)]) {
      await expect(store.put(key, text('x'))).rejects.toMatchObject({ code: 'store_unavailable', message: /512/ })
      expect(await store.get(key)).toBeNull()
    }
    await store.put('ä'.repeat(256), text('x'))
    expect(await readValue(store, 'ä'.repeat(256))).toEqual(text('x'))
  })

  it('caches what never changes for a day, and the rest for as short as KV allows', async () => {
    expect(kvCacheTtl('blob/sha256/00')).toBe(86_400)
    expect(kvCacheTtl('manifest/digits/1')).toBe(86_400)
    expect(kvCacheTtl('alias/digits')).toBe(30)
    // KV itself refuses a shorter time
    await expect(new KvStore(KV, { cacheTtl: () => 10 }).get('k')).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

describe('R2Store', () => {
  it('refuses a key that R2 cannot hold', async () => {
    const put = new R2Store(BUCKET).put('k'.repeat(1025), text('x'))
    await expect(put).rejects.toMatchObject({ code: 'store_unavailable', message: /1024/ })
  })

  it('turns a failure of the bucket into a typed error that keeps its cause', async () => {
    const failure = await new R2Store(BUCKET, { pageSize: 0 }).list('').catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'store_unavailable' })
    expect((failure as VergeError).cause).toBeInstanceOf(Error)
  })
})

describe('LayeredStore', () => {
  const copy = new KvStore(KV)
  const truth = new R2Store(BUCKET)
  const layered = new LayeredStore([copy], truth)

  beforeAll(async () => {
    await copy.put('both', text('copy'))
    await truth.put('both', text('truth'))
    await truth.put('truth only', text('truth'))
  })

  it('reads the nearest layer that has the key', async () => {
    expect(await readValue(layered, 'both')).toEqual(text('copy'))
    expect(await readValue(layered, 'truth only')).toEqual(text('truth'))
    expect((await layered.head('both'))?.bytes).toBe(4)
    expect((await layered.head('truth only'))?.bytes).toBe(5)
  })

  it('writes and lists the truth alone, and deletes from every layer', async () => {
    await layered.put('written', text('v'))
    expect(await copy.get('written')).toBeNull()
    expect(await readValue(truth, 'written')).toEqual(text('v'))
    await copy.put('copied', text('v'))
    await truth.put('copied', text('v'))
    expect((await layered.list('cop')).keys).toEqual(['copied'])
    await layered.delete('copied')
    expect(await copy.get('copied')).toBeNull()
    expect(await truth.get('copied')).toBeNull()
  })

  it('passes by a layer that is unavailable, and reports it', async () => {
    const events: string[] = []
    const logger = { info() {}, error() {}, warn: (event: string) => void events.push(event) }
    // a namespace asked for a cache time that it refuses fails for real
    const broken = new KvStore(KV, { cacheTtl: () => 1 })
    const store = new LayeredStore([broken], truth, { logger })
    expect(await readValue(store, 'both')).toEqual(text('truth'))
    expect(await store.get('nowhere')).toBeNull()
    expect(events).toEqual(['store_unavailable', 'store_unavailable'])
    await expect(new LayeredStore([truth], broken).get('nowhere')).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('swallows no other failure', async () => {
    class Faulty extends MemoryStore {
      override get(): Promise<never> {
        return Promise.reject(new VergeError('internal', 'a defect'))
      }
      override head(): Promise<never> {
        return Promise.reject(new TypeError('a defect'))
      }
    }
    const store: Store = new LayeredStore([new Faulty()], truth)
    await expect(store.get('both')).rejects.toMatchObject({ code: 'internal' })
    await expect(store.head('both')).rejects.toThrow(TypeError)
  })
})
