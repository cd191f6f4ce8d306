import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { aliasKey } from '../../../src/catalog/keys.ts'
import { CatalogReader } from '../../../src/catalog/reader.ts'
import { ReleaseCheck } from '../../../src/catalog/signing/release-check.ts'
import { StoredGenerations } from '../../../src/catalog/signing/stored-generations.ts'
import { silentLogger } from '../../../src/core/runtime.ts'
import { FolderStore } from '../../../src/origin/folder-store.ts'
import { LastGoodStore } from '../../../src/origin/last-good-store.ts'
import { ORIGIN_LIMITS } from '../../../src/origin/limits.ts'
import { nodeSha256 } from '../../../src/origin/sha256.ts'
import { text } from '../../contract/store.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'
import { testSigner } from '../../fixtures/release-keys.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-releases-'))
})
afterAll(() => rm(folder, { recursive: true }))

const [signer, second] = [await testSigner(), await testSigner()]

function aliasOf(model: string, generation: number): Alias {
  const versions = { '1': 'a'.repeat(64) }
  return { schema: 1, model, generation, visibility: 'public', versions, live: [{ version: '1', weight: 1 }] }
}

const over = (name: string, keys = [signer.key]): StoredGenerations =>
  new StoredGenerations(new FolderStore(join(folder, name)), keys, nodeSha256)

describe('StoredGenerations', () => {
  it('remembers over restarts, for each model', async () => {
    const memory = over('kept')
    const [a3, a4, b1] = await Promise.all([
      signer.signed(aliasOf('a', 3)),
      signer.signed(aliasOf('a', 4)),
      signer.signed(aliasOf('b', 1)),
    ])
    await Promise.all([memory.keep('a', a3), memory.keep('b', b1)])
    expect(await memory.keep('a', a4)).toEqual({ accepted: true, generation: 4 })
    const again = over('kept')
    expect(await again.keep('a', a3)).toEqual({ accepted: false, generation: 4 })
    expect(await again.keep('a', a4)).toEqual({ accepted: true, generation: 4 })
    expect(await again.keep('b', b1)).toEqual({ accepted: true, generation: 1 })
  })

  it('has the newest on disk, whatever the order of the calls', async () => {
    const memory = over('order')
    const releases = await Promise.all([7, 3, 9, 5].map((generation) => signer.signed(aliasOf('a', generation))))
    await Promise.all(releases.map((bytes) => memory.keep('a', bytes)))
    expect(await over('order').keep('a', await signer.signed(aliasOf('a', 8)))).toEqual({
      accepted: false,
      generation: 9,
    })
  })

  it('has the newest, also where the older one was asked about while the record was read', async () => {
    const store = new MemoryStore()
    const reads: PromiseWithResolvers<void>[] = []
    const get = store.get.bind(store)
    store.get = async (...args) => {
      const read = Promise.withResolvers<void>()
      reads.push(read)
      await read.promise
      return get(...args)
    }
    const memory = new StoredGenerations(store, [signer.key], nodeSha256)
    const older = memory.keep('a', await signer.signed(aliasOf('a', 4)))
    const newer = memory.keep('a', await signer.signed(aliasOf('a', 5)))
    await expect.poll(() => reads.length).toBe(2)
    reads[1]?.resolve()
    expect(await newer).toEqual({ accepted: true, generation: 5 })
    reads[0]?.resolve()
    expect(await older).toEqual({ accepted: false, generation: 5 })
  })

  it('forgets what a key signed that is no longer accepted', async () => {
    const both = over('keys', [signer.key, second.key])
    await both.keep('a', await second.signed(aliasOf('a', 900)))
    const next = await signer.signed(aliasOf('a', 4))
    expect(await both.keep('a', next)).toEqual({ accepted: false, generation: 900 })
    expect(await over('keys').keep('a', next)).toEqual({ accepted: true, generation: 4 })
  })

  it('accepts nothing by a damaged record, and nothing that it cannot write down', async () => {
    const store = new MemoryStore()
    const release = await signer.signed(aliasOf('a', 3))
    for (const damaged of ['', '{', '[{"key":"x","generation":1,"digest":""}]']) {
      await store.put('generation/a', text(damaged))
      await expect(new StoredGenerations(store, [signer.key], nodeSha256).keep('a', release)).rejects.toThrow()
    }
    let full = true
    const disk = new MemoryStore()
    const put: MemoryStore['put'] = async (...args) => {
      if (full) throw new Error('the disk is full')
      return MemoryStore.prototype.put.apply(disk, args)
    }
    const filling = new Proxy(disk, {
      get: (target, name) => (name === 'put' ? put : (Reflect.get(target, name) as () => unknown).bind(target)),
    })
    const memory = new StoredGenerations(filling, [signer.key], nodeSha256)
    await expect(memory.keep('a', release)).rejects.toThrow('full')
    await expect(memory.keep('a', release)).rejects.toThrow('full')
    full = false
    expect(await memory.keep('a', release)).toEqual({ accepted: true, generation: 3 })
  })
})

/** An origin's catalogue: a source, its last good copies on disk, and the file. */
async function originOver(source: MemoryStore, name: string, clock = new ManualClock()) {
  const shared = { clock, logger: silentLogger, sha256: nodeSha256, limits: ORIGIN_LIMITS }
  const copies = new FolderStore(join(folder, name, 'catalogue'))
  const layers = [new LastGoodStore(source, copies, { ...shared, recordBytes: ORIGIN_LIMITS.manifestBytes })]
  const memory = over(join(name, 'releases'))
  const releases = new ReleaseCheck({ ...shared, keys: [signer.key], memory })
  return new CatalogReader(layers, { ...shared, releases })
}

describe("an origin's catalogue", () => {
  it('has signed releases only, and no older one after a restart', async () => {
    const source = new MemoryStore()
    await source.put(aliasKey('a'), await signer.signed(aliasOf('a', 4)))
    await source.put(aliasKey('b'), await second.signed(aliasOf('b', 1)))
    const origin = await originOver(source, 'origin')
    expect(await origin.alias('a')).toMatchObject({ generation: 4 })
    await expect(origin.alias('b')).rejects.toMatchObject({ code: 'signature_invalid' })
    expect((await origin.list()).map(({ model }) => model)).toEqual(['a'])
    await source.put(aliasKey('a'), await signer.signed(aliasOf('a', 3)))
    await expect((await originOver(source, 'origin')).alias('a')).rejects.toMatchObject({ code: 'release_outdated' })
  })

  it('lets the copy on its own disk end, too', async () => {
    const source = new MemoryStore()
    const clock = new ManualClock()
    await source.put(aliasKey('a'), await signer.signed(aliasOf('a', 4), { expires: 100 }))
    const origin = await originOver(source, 'ending', clock)
    await origin.alias('a')
    await clock.advance(100_000)
    await expect(origin.alias('a')).rejects.toMatchObject({ details: { reason: 'expired' } })
  })
})
