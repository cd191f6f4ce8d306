import { beforeEach, describe, expect, it } from 'vitest'
import { aliasKey, blobKey, manifestKey } from '../../../src/catalog/keys.ts'
import { CatalogReader } from '../../../src/catalog/reader.ts'
import { blobsOf } from '../../../src/catalog/servable.ts'
import { nodeSha256 } from '../../../src/cli/pack/bytes.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { planRemoval, type RemovalResult, remove } from '../../../src/cli/push/removal.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { type Clock, silentLogger, systemClock } from '../../../src/core/runtime.ts'
import { pattern, text } from '../../contract/store.ts'
import { type MemoryTarget, memoryTarget, packedOf } from '../../fixtures/node/packed.ts'

const { signal } = new AbortController()

let target: MemoryTarget

/** Chunks 0-4 are in both versions of `m`, 5-6 in the first alone, 9-10 in the second; `other` shares 0-2. */
const shared = pattern(5_000)
const first = packedOf('m', concat(shared, pattern(2_000, 5)), { version: '1' })
const second = packedOf('m', concat(shared, pattern(2_000, 9)), { version: '2' })
const other = packedOf('other', concat(shared.subarray(0, 3_000), pattern(1_000, 20)))

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

const push = (packed: typeof first) => pushModel(target, packed, { live: true })

async function rm(model: string, version?: string): Promise<RemovalResult> {
  return remove(target, await planRemoval(target, model, version, signal), { signal, clock: impatient() })
}

/** Whoever waits for the end of another command's deletions finds at once that they were abandoned. */
function impatient(): Clock {
  let now = 0
  const sleep = async (): Promise<void> => {
    now += LIMITS.deletionAbandonedMs
  }
  return { ...systemClock, now: () => now, sleep }
}

const chunkKeys = (...models: (typeof first)[]): string[] =>
  [...new Set(models.flatMap(({ chunks }) => [...chunks.keys()].map(blobKey)))].sort()

/** What a Worker needs of every name that it finds, near or far, is in the truth. */
async function assertWhole(): Promise<void> {
  for (const layers of [[target.truth], [...target.copies, target.truth]]) {
    const reader = new CatalogReader(layers, {
      sha256: nodeSha256,
      clock: systemClock,
      logger: silentLogger,
      limits: { ...LIMITS, aliasTtlMs: 0 },
    })
    for (const model of ['m', 'other']) {
      const alias = await reader.alias(model)
      for (const { version } of alias?.live ?? []) {
        const manifest = await reader.manifest(model, version, alias?.versions[version] ?? '')
        for (const { chunks } of blobsOf(manifest)) {
          for (const { sha256, bytes } of chunks) {
            expect((await target.truth.head(blobKey(sha256)))?.bytes, `${model} ${version} ${sha256}`).toBe(bytes)
          }
        }
      }
    }
  }
}

beforeEach(() => {
  target = memoryTarget()
})

describe('artifacts that only a newer Verge understands', () => {
  const key = manifestKey('newer', '1')
  const write = async (artifact: object): Promise<void> => {
    const manifest = { ...other.manifest, model: 'newer', artifacts: [{ ...artifact, format: 'vnn' }] }
    await target.truth.put(key, text(JSON.stringify(manifest)))
  }

  it('keep their chunks', async () => {
    for (const packed of [first, second]) await push(packed)
    await write(first.manifest.artifacts[0] ?? {})
    expect(await rm('m')).toMatchObject({ chunks: 2, bytes: 2_000, unreadable: [] })
    expect(await target.keys('truth')).toEqual([...chunkKeys(first), key].sort())
  })

  it('keep every chunk where they are stored in another way', async () => {
    await push(first)
    await write({ id: 'edge-vnn', places: ['edge'], object: 'somewhere' })
    expect(await rm('m')).toMatchObject({ chunks: 0, unreadable: [key] })
    expect(await target.keys('truth')).toEqual(expect.arrayContaining(chunkKeys(first)))
  })
})

describe('removing', () => {
  it('takes a version with what it alone needs, from the bucket and from the copies', async () => {
    for (const packed of [first, second, other]) await push(packed)
    const plan = await planRemoval(target, 'm', '1', signal)
    expect(plan).toMatchObject({ whole: false, versions: ['1'], shared: 5, unreadable: [] })
    expect(plan.chunks).toHaveLength(2)
    expect(await rm('m', '1')).toEqual({ chunks: 2, bytes: 2_000, unreadable: [], harmed: [] })
    const left = ['alias/m', 'alias/other', ...chunkKeys(second, other), 'manifest/m/2', 'manifest/other/1'].sort()
    expect(await target.keys('truth')).toEqual(left)
    expect(await target.keys('copy')).toEqual(left)
    const alias = (await new Response((await target.truth.get('alias/m'))?.body).json()) as { versions: object }
    expect(Object.keys(alias.versions)).toEqual(['2'])
  })

  it('takes a model with all its versions, and leaves what others need', async () => {
    for (const packed of [first, second, other]) await push(packed)
    expect(await rm('m')).toMatchObject({ chunks: 6, harmed: [] })
    const left = ['alias/other', ...chunkKeys(other), 'manifest/other/1'].sort()
    expect(await target.keys('truth')).toEqual(left)
    expect(await target.keys('copy')).toEqual(left)
    await expect(rm('m')).rejects.toMatchObject({ code: 'model_not_found' })
    await rm('other')
    expect([...(await target.keys('truth')), ...(await target.keys('copy'))]).toEqual([])
  })

  it('never leaves a name whose contents are not there, and neither does pushing', async () => {
    let changes = 0
    target.onChange = async () => {
      changes++
      await assertWhole()
    }
    for (const packed of [first, second, other]) await push(packed)
    await rm('m', '1')
    await rm('m')
    await assertWhole()
    expect(changes).toBeGreaterThan(40)
  })

  it('refuses a version that is live, one that is not there, and a model that is not there', async () => {
    await push(first)
    const before = await target.keys('truth')
    await expect(rm('m', '1')).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('is live') })
    await expect(rm('m', '7')).rejects.toMatchObject({ code: 'version_not_found' })
    await expect(rm('n')).rejects.toMatchObject({ code: 'model_not_found' })
    expect(await target.keys('truth')).toEqual(before)
  })

  it('takes a version that was pushed but never came into the alias', async () => {
    await push(second)
    target.onChange = (store, change, key) => {
      if (store === 'truth' && change === 'put' && key === 'alias/m') throw new Error('killed')
    }
    await expect(push(first)).rejects.toThrow('killed')
    target.onChange = () => {}
    expect(await target.keys('truth')).toContain('manifest/m/1')
    const changed = packedOf('m', pattern(100), { version: '1' })
    await expect(push(changed)).rejects.toMatchObject({ message: expect.stringContaining('verge rm m@1') })
    expect(await rm('m', '1')).toMatchObject({ chunks: 2 })
    expect(await target.keys('truth')).toEqual(['alias/m', ...chunkKeys(second), 'manifest/m/2'].sort())
  })

  it('removes a model whose alias is damaged', async () => {
    await push(first)
    await target.truth.put(aliasKey('m'), text('{'))
    await expect(rm('m', '1')).rejects.toMatchObject({ code: 'alias_invalid' })
    await rm('m')
    expect([...(await target.keys('truth')), ...(await target.keys('copy'))]).toEqual([])
  })

  it('removes no weights while a manifest that may need them cannot be read, and goes on when it can', async () => {
    for (const packed of [first, other]) await push(packed)
    const key = manifestKey('other', '1')
    const good = new Uint8Array(await new Response((await target.truth.get(key))?.body).arrayBuffer())
    await target.truth.put(key, text('not a manifest'))
    expect(await rm('m')).toEqual({ chunks: 0, bytes: 0, unreadable: [key], harmed: [] })
    expect(await target.truth.head(aliasKey('m'))).toBeNull()
    expect(await target.keys('truth')).toEqual(expect.arrayContaining(chunkKeys(first, other)))
    await target.truth.put(key, good)
    expect(await rm('m')).toMatchObject({ chunks: 4, unreadable: [] })
    expect(await target.keys('truth')).toEqual(['alias/other', ...chunkKeys(other), 'manifest/other/1'].sort())
  })

  it('ends a removal that was broken off, wherever that was', async () => {
    const everything = async (): Promise<string[]> => [...(await target.keys('truth')), ...(await target.keys('copy'))]
    let broken = 0
    for (let at = 1; ; at++) {
      target = memoryTarget()
      await push(first)
      await push(second)
      let changes = 0
      target.onChange = (_store, _change, key) => {
        // a removal goes on where the index of lists cannot be written
        if (!key.startsWith('index/') && ++changes === at) throw new Error('killed')
      }
      const result = await rm('m').catch((error: Error) => error.message)
      target.onChange = () => {}
      if (result !== 'killed') break
      broken++
      if ((await everything()).length > 0) await rm('m')
      expect(await everything(), `broken off at change ${at}`).toEqual([])
    }
    expect(broken).toBeGreaterThan(20)
  })

  it('does not undo a change that was made after somebody looked', async () => {
    await push(first)
    const plan = await planRemoval(target, 'm', undefined, signal)
    await push(second)
    await expect(remove(target, plan, { signal })).rejects.toMatchObject({ code: 'conflict' })
    await assertWhole()
    expect(await target.keys('truth')).toEqual(expect.arrayContaining(chunkKeys(first, second)))
  })
})

describe('removing while somebody pushes', () => {
  /** A hundred chunks, all of which the other model has, too. */
  const large = packedOf('m', pattern(1_000, 3), { chunkBytes: 10 })
  const rival = packedOf('other', pattern(1_000, 3), { chunkBytes: 10 })

  /** Begins when a part of the chunks has gone. */
  const midway = (work: () => Promise<unknown>): { done?: Promise<unknown> } => {
    const begun: { done?: Promise<unknown> } = {}
    let deleted = 0
    target.onChange = (store, change, key) => {
      if (store !== 'truth' || change !== 'delete' || !key.startsWith('blob/') || ++deleted !== 20) return
      begun.done = work().catch((error: unknown) => error)
    }
    return begun
  }

  it('refuses a version whose chunks are being deleted, and a push of it sends them again', async () => {
    await push(large)
    const refused = midway(() => target.writer.publishVersion(rival.manifest, { live: true }))
    const result = await rm('m')
    expect(await refused.done).toMatchObject({ code: 'weights_unavailable' })
    // its manifest stays, and is of a version that is not live
    expect(result.harmed).toEqual(['other/1'])
    expect(await target.truth.head(aliasKey('other'))).toBeNull()
    expect((await push(rival)).sent).toBe(2 * result.chunks)
    await assertWhole()
  })

  it('a push that saw the chunks before they went sends them again by itself', async () => {
    await push(large)
    const seen = pushModel(target, rival, { live: true })
    const [, pushed] = await Promise.all([rm('m'), seen])
    expect(pushed).toMatchObject({ model: 'other', moves: true })
    expect(await target.truth.head(aliasKey('other'))).not.toBeNull()
    await assertWhole()
  })
})
