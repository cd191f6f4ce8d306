import { randomUUID } from 'node:crypto'
import type { Alias } from '../../catalog/alias.ts'
import { withoutVersion } from '../../catalog/alias-changes.ts'
import { aliasKey, blobKey, manifestKey } from '../../catalog/keys.ts'
import { parseAlias } from '../../catalog/parse.ts'
import { isVergeError, throwIfAborted, VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { type Clock, systemClock } from '../../core/runtime.ts'
import type { ChunkInfo } from '../../weights/blob.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import { type Progress, silentProgress } from '../terminal/progress.ts'
import { deleteChunks } from './delete-chunks.ts'
import { dropPages } from './page-copies.ts'
import type { PushTarget } from './push.ts'
import { allKeys, MANIFEST_PREFIX, type Named, namedIn, References, readManifestRecord } from './references.ts'

/**
 * Removal, in an order in which no name ever refers to missing contents:
 *
 * 1. the alias, or the version in it: in the source of truth first, then in the copies. From then on no new request is
 *    answered, except by Workers whose caches still have the alias (up to a minute and a half);
 * 2. each manifest moves to `removed/<model>/<version>`, and with it the list of chunks to delete: an interrupted
 *    removal continues from there when it is run again;
 * 3. copies of pages, and chunks, that no manifest in the bucket names, in the copies first and then in the truth;
 * 4. the records of step 2.
 *
 * Another command may push the same chunks meanwhile, after it saw them in the bucket: `deleteChunks` sees to it that no
 * chunk of a version that is published goes.
 */

export interface RemovalPlan {
  readonly model: string
  /** Whether the model goes, and not only a version. */
  readonly whole: boolean
  /** Versions that go. */
  readonly versions: readonly string[]
  /** Null if it is missing or cannot be read. */
  readonly alias: Alias | null
  /** Of the alias that the plan was made on. */
  readonly etag: string | null
  /** Chunks that nothing else needs. */
  readonly chunks: readonly ChunkInfo[]
  /** Chunks that other versions or models need too, and that stay. */
  readonly shared: number
  /** Manifests that cannot be read. While there are any, no chunk goes, because they may need it. */
  readonly unreadable: readonly string[]
}

export interface RemovalResult {
  readonly chunks: number
  readonly bytes: number
  /** Unreadable manifests, because of which chunks were kept. */
  readonly unreadable: readonly string[]
  /** Versions, as `model/version`, whose push began meanwhile and lacks chunks now. It sends them again, or is run again. */
  readonly harmed: readonly string[]
}

/** Manifests of versions whose removal has begun. */
export const REMOVED_PREFIX = 'removed/'

/**
 * Looks at what would go. Changes nothing.
 * @throws model_not_found, version_not_found, conflict if the version is live, store_unavailable
 */
export async function planRemoval(
  target: PushTarget,
  model: string,
  version: string | undefined,
  signal: AbortSignal,
): Promise<RemovalPlan> {
  const { alias, etag } = await readAlias(target.truth, model, version === undefined, signal)
  const stored = await versionsStored(target, model, signal)
  const known = new Set([...Object.keys(alias?.versions ?? {}), ...stored])
  if (version !== undefined && alias !== null && Object.hasOwn(alias.versions, version)) {
    withoutVersion(model, version)(alias)
  } else if (version !== undefined && !known.has(version)) {
    const has = known.size === 0 ? '' : ` It has ${[...known].join(', ')}.`
    throw new VergeError('version_not_found', `There is no version "${version}" of model "${model}".${has}`, {
      details: { model, versions: [...known] },
    })
  }
  if (version === undefined && etag === null && known.size === 0) {
    throw new VergeError('model_not_found', `There is no model "${model}".`, { details: { model } })
  }
  const versions = version === undefined ? [...known].sort() : [version]
  const going = new Set(versions.map((each) => manifestKey(model, each)))
  const references = new References(target.truth, signal)
  await references.refresh()
  for (const each of versions) {
    const key = manifestKey(model, each)
    if (references.lists(key) || (await target.truth.head(key, { signal })) === null) continue
    // manifests that the list leaves out may use the same chunks
    throw new VergeError(
      'store_unavailable',
      `The bucket has ${key} but does not list it yet, so Verge cannot tell which weights are in use. Nothing was removed. ` +
        'Try again in a moment.',
      { details: { key } },
    )
  }
  const named = (await namedBy(target.truth, model, versions, signal)).chunks
  const chunks = named.filter(({ sha256 }) => references.holders(sha256, going).length === 0)
  const unreadable = references.unreadable(going)
  const whole = version === undefined
  return { model, whole, versions, alias, etag, chunks, shared: named.length - chunks.length, unreadable }
}

/**
 * Executes the plan. It can be run again after an interruption.
 * @throws conflict if the model was changed since, store_unavailable, the signal's reason
 */
export async function remove(
  target: PushTarget,
  plan: RemovalPlan,
  options: { readonly signal: AbortSignal; readonly progress?: Progress; readonly clock?: Clock },
): Promise<RemovalResult> {
  const { model, versions } = plan
  const { signal, progress = silentProgress, clock = systemClock } = options
  throwIfAborted(signal)
  const [version = ''] = versions
  if (plan.whole) await target.writer.dropModel(model, plan.etag, { signal })
  else if (plan.alias !== null && Object.hasOwn(plan.alias.versions, version)) {
    await target.writer.dropVersion(model, version, { signal })
  }
  for (const each of versions) {
    await retireManifest(target, model, each, signal)
  }

  const { chunks: going, pages } = await namedBy(target.truth, model, versions, signal)
  const references = new References(target.truth, signal)
  await references.refresh()
  const unreadable = references.unreadable()
  if (unreadable.length > 0) return { chunks: 0, bytes: 0, unreadable, harmed: [] }
  for (const file of pages) {
    if (references.holders(file).length > 0) continue
    for (const store of target.copies) await dropPages(store, file, signal)
  }
  const sizes = new Map(going.map(({ sha256, bytes }) => [sha256, bytes]))
  const task = progress.task(`Deleting ${model}`, going.length, 'steps')
  const deleted = await deleteChunks(target, [...sizes.keys()], {
    id: randomUUID(),
    references,
    signal,
    clock,
    limits: LIMITS,
    done: (count) => task.advance(count),
  })
  for (const each of versions) await target.truth.delete(removedKey(model, each), { signal })
  await references.refresh()
  task.done(`${deleted.length} deleted`)
  return {
    chunks: deleted.length,
    bytes: deleted.reduce((sum, sha256) => sum + (sizes.get(sha256) ?? 0), 0),
    unreadable: [],
    harmed: await lacking(target.truth, deleted, references, signal),
  }
}

/** Versions whose manifests were stored meanwhile, and whose pushes have not sent the deleted chunks again yet. */
async function lacking(
  truth: Store,
  deleted: readonly string[],
  references: References,
  signal: AbortSignal,
): Promise<string[]> {
  const found = new Set<string>()
  for (const sha256 of deleted) {
    const holders = references.holders(sha256)
    if (holders.length === 0 || (await truth.head(blobKey(sha256), { signal })) !== null) continue
    for (const key of holders) found.add(key.slice(MANIFEST_PREFIX.length))
  }
  return [...found]
}

/** Moves a version's manifest out of the catalogue. */
async function retireManifest(
  { truth, copies }: PushTarget,
  model: string,
  version: string,
  signal: AbortSignal,
): Promise<void> {
  const key = manifestKey(model, version)
  const bytes = await readManifestRecord(truth, key, LIMITS.manifestBytes, signal)
  if (bytes !== null) await truth.put(removedKey(model, version), bytes, { signal })
  for (const store of [...copies, truth]) await store.delete(key, { signal })
}

/** What the removed versions refer to, including what an interrupted removal has recorded; each once. */
async function namedBy(truth: Store, model: string, versions: readonly string[], signal: AbortSignal): Promise<Named> {
  const found = new Map<string, ChunkInfo>()
  const pages = new Set<string>()
  for (const version of versions) {
    for (const key of [manifestKey(model, version), removedKey(model, version)]) {
      const bytes = await readManifestRecord(truth, key, LIMITS.manifestBytes, signal)
      // the chunks of a damaged manifest are unknown, and stay
      const named = namedIn(bytes, model, version)
      for (const chunk of named?.chunks ?? []) found.set(chunk.sha256, chunk)
      for (const file of named?.pages ?? []) pages.add(file)
    }
  }
  return { chunks: [...found.values()], pages: [...pages] }
}

/** Versions that have left something in any store. */
async function versionsStored(
  { truth, copies }: PushTarget,
  model: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  for (const prefix of [`${MANIFEST_PREFIX}${model}/`, `${REMOVED_PREFIX}${model}/`]) {
    for (const store of [truth, ...copies]) {
      for (const key of await allKeys(store, prefix, signal)) found.add(key.slice(prefix.length))
    }
  }
  return found
}

/** An alias that cannot be read is no obstacle to removing the whole model. */
async function readAlias(
  truth: Store,
  model: string,
  whole: boolean,
  signal: AbortSignal,
): Promise<{ readonly alias: Alias | null; readonly etag: string | null }> {
  const found = await truth.get(aliasKey(model), { signal })
  if (found === null) return { alias: null, etag: null }
  const bytes = await readAtMost(found.body, LIMITS.aliasBytes, signal)
  const etag = found.etag ?? null
  try {
    return { alias: parseAlias(bytes ?? new Uint8Array(0), model), etag }
  } catch (error) {
    if (whole && isVergeError(error, 'alias_invalid')) return { alias: null, etag }
    throw error
  }
}

function removedKey(model: string, version: string): string {
  return `${REMOVED_PREFIX}${model}/${version}`
}
