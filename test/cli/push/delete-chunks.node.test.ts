import { describe, expect, it } from 'vitest'
import { DELETION_KEY } from '../../../src/catalog/deletion.ts'
import { aliasKey, blobKey, manifestKey } from '../../../src/catalog/keys.ts'
import { parseAlias, parseManifest } from '../../../src/catalog/parse.ts'
import { blobsOf } from '../../../src/catalog/servable.ts'
import { CatalogWriter } from '../../../src/catalog/writer.ts'
import { nodeSha256 } from '../../../src/cli/pack/bytes.ts'
import { deleteChunks } from '../../../src/cli/push/delete-chunks.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { References } from '../../../src/cli/push/references.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import type { Clock } from '../../../src/core/runtime.ts'
import type { Store } from '../../../src/weights/store.ts'
import { pattern } from '../../contract/store.ts'
import { explore, type Side, type World } from '../../fixtures/node/interleavings.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const { signal } = new AbortController()

// every sleep is a look later at whether a command was abandoned
const limits = { ...LIMITS, parallelFetches: 1, deletionPollMs: LIMITS.deletionAbandonedMs }
/** What `deletionAbandonedMs` leaves to a deletion that began at the end of `deletionMs`. */
const deletionArrivesMs = LIMITS.deletionAbandonedMs - LIMITS.deletionMs

const packed = packedOf('m', pattern(10))
const chunks = [...packed.chunks.keys()]
/** A push was broken off before it had stored its manifest, or its version was removed. */
const stored = new Map([...packed.chunks].map(([digest, bytes]) => [blobKey(digest), bytes]))

const targetOf = (truth: Store, clock: Clock) => ({
  truth,
  copies: [],
  writer: new CatalogWriter(truth, [], { sha256: nodeSha256, clock, limits }),
})

const pushing: Side = (store, clock) => pushModel(targetOf(store, clock), packed, { live: true, concurrency: 1 })

const deleting =
  (id: string): Side =>
  async (store, clock) => {
    const references = new References(store, signal)
    return deleteChunks(targetOf(store, clock), chunks, { id, references, clock, limits, signal })
  }

/** A version that callers are sent to is complete. */
function assertWhole({ contents }: World): void {
  const bytes = contents.get(aliasKey('m'))
  if (bytes === undefined) return
  for (const version of Object.keys(parseAlias(bytes, 'm').versions)) {
    const manifest = contents.get(manifestKey('m', version))
    if (manifest === undefined) throw new Error('A version is published without its manifest.')
    for (const { chunks } of blobsOf(parseManifest(manifest, 'm', version)))
      for (const { sha256 } of chunks)
        if (!contents.has(blobKey(sha256))) throw new Error('A version is published without a chunk.')
  }
}

/** The push has done its work, whatever the others did. */
function assertPublished(world: World): void {
  assertWhole(world)
  if (!world.contents.has(aliasKey('m')))
    throw new Error(`The push has published nothing: ${JSON.stringify(world.outcomes, errorText)}`)
}

function errorText(_: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value
}

const common = { before: stored, deletionArrivesMs, check: assertWhole, end: assertPublished }

describe('in every order of the steps of a push and of deletions of its chunks', () => {
  it('ends with a published version that always had its chunks', async () => {
    const { states, ends } = await explore({ ...common, sides: [pushing, deleting('a')] })
    expect(states).toBeGreaterThan(100)
    expect(ends).toBeGreaterThan(1)
  })

  it('ends so if the deletion is killed before any of its steps, and what it sent arrives late', async () => {
    const { states } = await explore({ ...common, sides: [pushing, deleting('a')], mortal: [1] })
    expect(states).toBeGreaterThan(200)
  })

  it('finds the order that loses a chunk where a push does not read the announcement', async () => {
    const hidden: Side = (store, clock) =>
      pushing({ ...store, get: async (key, options) => (key === DELETION_KEY ? null : store.get(key, options)) }, clock)
    await expect(explore({ ...common, sides: [hidden, deleting('a')] })).rejects.toThrow('published without a chunk')
  })
})
