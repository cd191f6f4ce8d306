import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Alias } from '../../src/catalog/alias.ts'
import { aliasKey } from '../../src/catalog/keys.ts'
import { CatalogReader } from '../../src/catalog/reader.ts'
import { ReleaseCheck } from '../../src/catalog/signing/release-check.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { FolderStore } from '../../src/origin/folder-store.ts'
import { LastGoodStore } from '../../src/origin/last-good-store.ts'
import { ORIGIN_LIMITS } from '../../src/origin/limits.ts'
import { ReleaseFile } from '../../src/origin/release-file.ts'
import { nodeSha256 } from '../../src/origin/sha256.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { testSigner } from '../fixtures/release-keys.ts'

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

describe('ReleaseFile', () => {
  it('remembers over restarts, for each model', async () => {
    const path = join(folder, 'kept.json')
    const file = await ReleaseFile.open(path, [signer.key])
    const [a3, a4, b1] = [
      await signer.signed(aliasOf('a', 3)),
      await signer.signed(aliasOf('a', 4)),
      await signer.signed(aliasOf('b', 1)),
    ]
    await Promise.all([file.keep('a', a3), file.keep('b', b1)])
    expect(await file.keep('a', a4)).toEqual({ accepted: true, generation: 4 })
    const again = await ReleaseFile.open(path, [signer.key])
    expect(await again.keep('a', a3)).toEqual({ accepted: false, generation: 4 })
    expect(await again.keep('a', a4)).toEqual({ accepted: true, generation: 4 })
    expect(await again.keep('b', b1)).toEqual({ accepted: true, generation: 1 })
  })

  it('forgets what a key signed that is no longer accepted', async () => {
    const path = join(folder, 'keys.json')
    const both = await ReleaseFile.open(path, [signer.key, second.key])
    await both.keep('a', await second.signed(aliasOf('a', 900)))
    const next = await signer.signed(aliasOf('a', 4))
    expect(await both.keep('a', next)).toEqual({ accepted: false, generation: 900 })
    expect(await (await ReleaseFile.open(path, [signer.key])).keep('a', next)).toEqual({
      accepted: true,
      generation: 4,
    })
  })

  it('refuses to begin with a damaged file', async () => {
    const path = join(folder, 'damaged.json')
    for (const text of ['', '{', '{"schema":1,"models":{"a":[{"key":"x","generation":1,"digest":""}]}}']) {
      await writeFile(path, text)
      await expect(ReleaseFile.open(path, [signer.key])).rejects.toThrow(/is damaged\. Delete it to begin anew/)
    }
  })

  it('does not accept what it cannot write down', async () => {
    await writeFile(join(folder, 'a-file'), '')
    await expect(ReleaseFile.open(join(folder, 'a-file', 'x.json'), [signer.key])).rejects.toThrow()
    const path = join(folder, 'gone', 'x.json')
    const file = await ReleaseFile.open(path, [signer.key])
    await writeFile(join(folder, 'gone'), 'in the way')
    await expect(file.keep('a', await signer.signed(aliasOf('a', 3)))).rejects.toThrow()
  })
})

/** An origin's catalogue: a source, its last good copies on disk, and the file. */
async function originOver(source: MemoryStore, name: string, clock = new ManualClock()) {
  const shared = { clock, logger: silentLogger, sha256: nodeSha256, limits: ORIGIN_LIMITS }
  const copies = new FolderStore(join(folder, name, 'catalogue'))
  const layers = [new LastGoodStore(source, copies, { ...shared, recordBytes: ORIGIN_LIMITS.manifestBytes })]
  const memory = await ReleaseFile.open(join(folder, name, 'releases.json'), [signer.key])
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
    expect(JSON.parse(await readFile(join(folder, 'origin', 'releases.json'), 'utf8'))).toMatchObject({
      models: { a: [{ key: signer.key.id, generation: 4 }] },
    })
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
