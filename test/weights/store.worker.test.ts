import { describe, expect, it } from 'vitest'
import type { VergeError } from '../../src/core/errors.ts'
import { KvStore, kvCacheTtl } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { pattern, readValue, storeContract, text } from '../contract/store.ts'
import { bindings } from '../fixtures/bindings.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'

const { BUCKET, KV } = bindings

storeContract('r2', () => new R2Store(BUCKET), { conditional: true })
storeContract('kv', () => new KvStore(KV), { conditional: false })
storeContract('memory', () => new MemoryStore(), { conditional: true, immediate: true })

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
    await expect(store.put('k', tooLarge)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringMatching(/26214400/),
    })
    for (const key of ['', '.', '..', 'ä'.repeat(257)]) {
      await expect(store.put(key, text('x'))).rejects.toMatchObject({
        code: 'store_unavailable',
        message: expect.stringMatching(/512/),
      })
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
    await expect(put).rejects.toMatchObject({ code: 'store_unavailable', message: expect.stringMatching(/1024/) })
  })

  it('turns a failure of the bucket into a typed error that keeps its cause', async () => {
    const failure = await new R2Store(BUCKET, { pageSize: 0 }).list('').catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'store_unavailable' })
    expect((failure as VergeError).cause).toBeInstanceOf(Error)
  })
})
