import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { getPlatformProxy } from 'wrangler'
import { storageConfig } from '../../src/cli/target/storage-config.ts'
import { FolderStore } from '../../src/origin/folder-store.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { pattern, readValue, storeContract, text } from '../contract/store.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'

storeContract('memory', () => new MemoryStore(), { conditional: true, immediate: true })

const folders: string[] = []
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})
storeContract(
  'folder',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-store-'))
    folders.push(folder)
    return new FolderStore(folder)
  },
  { conditional: true },
)

/**
 * wrangler's stand-ins for a Worker's bindings, through which command lines write local storage. They pass the whole
 * contract, but miniflare 5.20261023 leaves an unhandled rejection behind wherever a body is cancelled before its end; so
 * only what command lines do is tested here.
 */
describe('stores over getPlatformProxy()', async () => {
  const proxy = await getPlatformProxy<{
    readonly BUCKET: ConstructorParameters<typeof R2Store>[0]
    readonly KV: ConstructorParameters<typeof KvStore>[0]
  }>({ configPath: await storageConfig(), persist: false })
  afterAll(() => proxy.dispose())
  const r2 = new R2Store(proxy.env.BUCKET, { pageSize: 2 })
  const kv = new KvStore(proxy.env.KV, { pageSize: 2 })

  for (const store of [r2, kv]) {
    it(`writes, reads, lists and deletes in ${store.name}`, async () => {
      const values = [new Uint8Array(0), text('ä'), pattern(9 * 1024 * 1024).subarray(5)]
      for (const [i, value] of values.entries()) await store.put(`a/${i}`, value)
      await store.put('b', text('beside'))
      for (const [i, value] of values.entries()) {
        expect((await store.get(`a/${i}`).then(closed))?.bytes).toBe(value.length)
        expect(Buffer.compare((await readValue(store, `a/${i}`)) ?? text('missing'), value)).toBe(0)
      }
      const first = await store.list('a/')
      expect(first.keys).toEqual(['a/0', 'a/1'])
      expect(await store.list('a/', { cursor: first.cursor })).toMatchObject({ keys: ['a/2'] })
      await store.delete('a/1')
      expect(await store.get('a/1')).toBeNull()
    })
  }

  it('writes to r2 on a condition', async () => {
    const created = await r2.put('c', text('first'), { onlyIf: 'absent' })
    expect(await r2.put('c', text('second'), { onlyIf: 'absent' })).toBeNull()
    expect(await r2.put('c', text('third'), { onlyIf: { etag: created?.etag ?? '' } })).not.toBeNull()
    expect(await r2.put('c', text('late'), { onlyIf: { etag: created?.etag ?? '' } })).toBeNull()
    expect(await readValue(r2, 'c')).toEqual(text('third'))
    expect((await r2.head('c'))?.bytes).toBe(5)
  })
})

async function closed<T extends { body: ReadableStream<Uint8Array> } | null>(value: T): Promise<T> {
  await new Response(value?.body).arrayBuffer()
  return value
}
