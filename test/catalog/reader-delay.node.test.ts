import { expect, it } from 'vitest'
import { MANIFEST_SCHEMA, type Manifest } from '../../src/catalog/manifest.ts'
import { CatalogReader } from '../../src/catalog/reader.ts'
import { CatalogWriter } from '../../src/catalog/writer.ts'
import { nodeSha256 } from '../../src/cli/pack/bytes.ts'
import { LIMITS, PLATFORM } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { type KvNamespaceLike, KvStore } from '../../src/weights/kv.ts'
import { pattern } from '../contract/store.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { splitChunks } from '../fixtures/split-chunks.ts'

interface KvEntry {
  readonly value: Uint8Array
  readonly metadata: unknown
}

/** A location of KV as Cloudflare documents it: a value that was read there is answered for `cacheTtl` without looking again. */
function kvAt(clock: ManualClock, values: Map<string, KvEntry>): KvStore {
  const read = new Map<string, { readonly entry: KvEntry | undefined; readonly until: number }>()
  const namespace: KvNamespaceLike = {
    async getWithMetadata(key, { cacheTtl = 60 }) {
      const kept = read.get(key)
      const entry = kept !== undefined && clock.now() < kept.until ? kept.entry : values.get(key)
      if (kept === undefined || clock.now() >= kept.until)
        read.set(key, { entry, until: clock.now() + cacheTtl * 1000 })
      const value = entry === undefined ? null : new Blob([entry.value.slice()]).stream()
      return { value, metadata: entry?.metadata ?? null }
    },
    async put(key, value, { metadata }) {
      values.set(key, { value, metadata })
    },
    list: async () => ({ keys: [], list_complete: true }),
    async delete(key) {
      values.delete(key)
    },
  }
  return new KvStore(namespace)
}

/** What Verge itself adds to the time in which KV spreads a write: a location's cache, and an isolate's. */
const LONGEST_MS = PLATFORM.kvMutableTtlSeconds * 1000 + LIMITS.aliasTtlMs

it('shows a rollback to every caller within the time of the caches: 40 s', async () => {
  expect(LONGEST_MS).toBe(40_000)
  const clock = new ManualClock()
  const [truth, values] = [new MemoryStore({ name: 'r2' }), new Map<string, KvEntry>()]
  const shared = { sha256: nodeSha256, clock, logger: silentLogger, limits: LIMITS }
  const writer = new CatalogWriter(truth, [kvAt(clock, values)], shared)
  const { blob } = await writer.putBlob(splitChunks(pattern(100), 100))
  for (const version of ['1', '2']) {
    const manifest: Manifest = {
      schema: MANIFEST_SCHEMA,
      model: 'm',
      version,
      inputs: [],
      outputs: [],
      artifacts: [{ ...blob, chunks: [...blob.chunks], id: 'a', format: 'onnx', dtype: 'fp32', places: ['edge'] }],
    }
    await writer.publishVersion(manifest, { live: version === '1' })
  }
  const live = [
    { version: '1', weight: 50 },
    { version: '2', weight: 50 },
  ]
  const canary = { version: '2', against: '1', guarded: true }
  const change = (old: object | null) => ({ ...(old as { visibility: 'private'; versions: object }), live, canary })
  await writer.updateAlias('m', change as Parameters<typeof writer.updateAlias>[1])

  // isolates that begin at different times, in locations that read KV at different times
  const isolates: { readonly reader: CatalogReader; lastMs: number }[] = []
  for (let location = 0; location < 4; location++) {
    const kv = kvAt(clock, values)
    for (let n = 0; n < 3; n++) {
      const isolate = { reader: new CatalogReader([kv, truth], shared), lastMs: 0 }
      isolates.push(isolate)
      await isolate.reader.alias('m')
      await clock.advance(1_700)
    }
  }
  const begun = clock.now()
  await writer.rollback('m')
  for (let second = 0; second < 60; second++) {
    await clock.advance(1_000)
    for (const isolate of isolates) {
      const alias = await isolate.reader.alias('m')
      if (alias?.live.some(({ version }) => version === '2')) isolate.lastMs = clock.now() - begun
    }
  }
  const last = Math.max(...isolates.map(({ lastMs }) => lastMs))
  expect(last).toBeLessThanOrEqual(LONGEST_MS)
  // and the caches were in the way
  expect(last).toBeGreaterThan(LIMITS.aliasTtlMs)
})
