import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Alias } from '../../src/catalog/alias.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { entryOf, type ModelEntry } from '../../src/catalog/index/entry.ts'
import { EMPTY_HEAD, headBytes } from '../../src/catalog/index/format.ts'
import { changedTree } from '../../src/catalog/index/tree.ts'
import { aliasKey, INDEX_HEAD_KEY, INDEX_PAGE_PREFIX, manifestKey } from '../../src/catalog/keys.ts'
import { startWorkerd } from '../../src/cli/local/workerd.ts'
import { sha256 } from '../../src/cli/pack/bytes.ts'
import type { PackedModel } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { CACHE } from '../models/index.ts'
import { type LocalRecord, writeRecords } from './local-records.ts'
import { writerFor } from './storage.ts'

const FOLDER = join(CACHE, 'catalogues')

/** Name of one of a catalogue's models; the first has its own. */
export function modelOf(index: number): string {
  return `model-${String(index).padStart(5, '0')}`
}

/**
 * Catalogues of equal models. Each model has an alias and a manifest of its own in R2 and KV, and an entry in the index; the
 * weights of all are the blobs of one.
 * @param directory bundle of any Worker, whose bindings are used
 * @returns a folder of local R2 and KV for each count
 */
export async function writeCatalogues(
  directory: string,
  packed: PackedModel,
  counts: readonly number[],
): Promise<string[]> {
  await rm(FOLDER, { recursive: true, force: true })
  const one = join(FOLDER, 'one')
  await mkdir(one, { recursive: true })
  const alias = await publishOne(directory, one, packed)
  const folders: string[] = []
  for (const count of counts) {
    const folder = join(FOLDER, String(count))
    await cp(one, folder, { recursive: true })
    writeRecords(folder, await recordsOf(packed, alias, count), aliasKey(alias.model))
    folders.push(folder)
  }
  return folders
}

async function publishOne(directory: string, storage: string, packed: PackedModel): Promise<Alias> {
  const worker = await startWorkerd(directory, { storage })
  try {
    const writer = await writerFor(worker)
    await publish(writer, packed)
    const found = await writer.stores.truth.get(aliasKey(packed.manifest.model))
    return JSON.parse(await new Response(found?.body).text())
  } finally {
    await worker.miniflare.dispose()
  }
}

async function recordsOf({ manifest }: PackedModel, alias: Alias, count: number): Promise<LocalRecord[]> {
  const encoder = new TextEncoder()
  const records: LocalRecord[] = []
  const entries = new Map([[alias.model, entryOf(alias, manifest)]])
  for (let index = 1; index < count; index++) {
    const named = { ...manifest, model: modelOf(index) }
    const bytes = canonicalBytes(named)
    const own: Alias = { ...alias, model: named.model, versions: { [manifest.version]: sha256(bytes) } }
    records.push(
      { key: manifestKey(named.model, named.version), bytes, copied: true },
      { key: aliasKey(named.model), bytes: encoder.encode(JSON.stringify(own)), copied: true },
    )
    entries.set(named.model, entryOf(own, named))
  }
  return [...records, ...(await indexOf(entries))]
}

async function indexOf(entries: ReadonlyMap<string, ModelEntry>): Promise<LocalRecord[]> {
  let pages = 0
  const options = { read: async () => [], newId: () => `0-benchmark-${pages++}`, limits: LIMITS }
  const [all, open] = [await changedTree([], entries, options), await changedTree([], entries, options)]
  const head = { ...EMPTY_HEAD, complete: true, all: all.tree, public: open.tree }
  const written = [...all.written, ...open.written]
  return [
    ...written.map(({ bytes, page }) => ({ key: INDEX_PAGE_PREFIX + page.id, bytes, copied: false })),
    { key: INDEX_HEAD_KEY, bytes: headBytes(head), copied: false },
  ]
}
