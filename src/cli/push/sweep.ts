import { randomUUID } from 'node:crypto'
import type { ChangeLog } from '../../catalog/change-log.ts'
import { ALIAS_PREFIX, blobKey } from '../../catalog/keys.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'
import { PAGE_PREFIX } from '../../weights/pages/layout.ts'
import type { Store } from '../../weights/store.ts'
import { sha256 } from '../pack/bytes.ts'
import type { Progress } from '../terminal/progress.ts'
import { deleteChunks } from './delete-chunks.ts'
import { dropKeys, dropPages } from './page-copies.ts'
import type { PushTarget } from './push.ts'
import { allKeys, digestsNamed, eachKey, MANIFEST_PREFIX, References } from './references.ts'
import { REMOVED_PREFIX } from './removal.ts'
import { dropMarks, type Mark, mark, readMarks } from './unreferenced.ts'

/**
 * Finds weights that no manifest names, marks them, and deletes those that have been marked for longer than a grace time
 * (decision 24). In memory are the digests that manifests name and those that none names; lists are read page by page.
 */

/** Digests with the sum of their sizes in the bucket. */
interface Found {
  readonly digests: readonly string[]
  readonly bytes: number
}

export interface SweepPlan {
  /** Marked now. */
  readonly fresh: Found
  /** Marked already, for less than the grace time. */
  readonly waiting: Found
  /** Marked for longer: they go. */
  readonly ripe: Found
  /** Marks of what is named again, or gone. */
  readonly stale: readonly string[]
  /** Aliases and manifests that only a copy has: of models and versions that were removed. */
  readonly copies: readonly { readonly store: Store; readonly keys: readonly string[] }[]
  /** Manifests that cannot be read. While there are any, nothing is marked or deleted. */
  readonly unreadable: readonly string[]
  /** `model/version` whose removal was interrupted; their weights stay. */
  readonly unfinished: readonly string[]
  /** Bytes in the bucket of what no manifest names. */
  readonly sizes: ReadonlyMap<string, number>
  readonly marks: ReadonlyMap<string, Mark>
  /** Digests of files whose pages a copy has, among those that no manifest names. */
  readonly pages: ReadonlySet<string>
}

export interface SweepResult {
  readonly marked: number
  readonly deleted: number
  readonly bytes: number
  /** Copies of aliases and manifests that went. */
  readonly copies: number
}

export interface SweepOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly progress: Progress
}

const BLOB_PREFIX = blobKey('')

/** Looks at what would be marked and what would go. Changes nothing. @throws store_unavailable, the signal's reason */
export async function planSweep(
  { truth, copies }: PushTarget,
  graceMs: number,
  { clock, signal, progress }: SweepOptions,
): Promise<SweepPlan> {
  const task = progress.task('Looking for weights that nothing uses', undefined, 'steps')
  // marks first: what is marked later is not deleted by this sweep
  const marks = await readMarks(truth, signal)
  const found = new Map<string, number>()
  const pages = new Set<string>()
  for (const store of [truth, ...copies]) {
    for await (const { key, info } of eachKey(store, BLOB_PREFIX, signal)) {
      const digest = key.slice(BLOB_PREFIX.length)
      found.set(digest, Math.max(found.get(digest) ?? 0, store === truth ? (info?.bytes ?? 0) : 0))
    }
  }
  for (const store of copies) {
    for await (const { key } of eachKey(store, PAGE_PREFIX, signal)) {
      const [digest = ''] = key.slice(PAGE_PREFIX.length).split('/')
      pages.add(digest)
      if (!found.has(digest)) found.set(digest, 0)
    }
  }
  // after the blobs: a push stores its manifest last
  const { named, unreadable, unfinished, leftCopies } = await whatIsNamed({ truth, copies }, signal)
  for (const digest of named) found.delete(digest)
  task.done(`${found.size} found`)
  const stale = [...marks.keys()].filter((digest) => !found.has(digest))
  const ripeBefore = (clock.now() - graceMs) / 1000
  const kind = (digest: string): 'fresh' | 'waiting' | 'ripe' => {
    const at = marks.get(digest)?.at
    return at === undefined ? 'fresh' : at <= ripeBefore ? 'ripe' : 'waiting'
  }
  const those = (wanted: ReturnType<typeof kind>): Found => {
    const chosen = unreadable.length > 0 ? [] : [...found].filter(([digest]) => kind(digest) === wanted)
    return { digests: chosen.map(([digest]) => digest), bytes: chosen.reduce((sum, [, bytes]) => sum + bytes, 0) }
  }
  return {
    fresh: those('fresh'),
    waiting: those('waiting'),
    ripe: those('ripe'),
    stale,
    copies: leftCopies,
    unreadable,
    unfinished,
    sizes: found,
    marks,
    pages,
  }
}

/**
 * Executes the plan. Marks and deletions that were made stay made after an interruption; the next sweep continues.
 * @throws conflict if another command took over the deletion, store_unavailable, the signal's reason
 */
export async function sweep(
  target: PushTarget,
  plan: SweepPlan,
  { audit, clock, signal, progress }: SweepOptions & { readonly audit?: ChangeLog },
): Promise<SweepResult> {
  const { truth } = target
  await mark(truth, plan.fresh.digests, Math.floor(clock.now() / 1000), signal)
  await dropMarks(truth, plan.marks, plan.stale, signal)
  let copies = 0
  for (const { store, keys } of plan.copies) {
    const gone: string[] = []
    // a push may have published the name since
    for (const key of keys) if ((await truth.head(key, { signal })) === null) gone.push(key)
    await dropKeys(store, gone, signal)
    copies += gone.length
  }
  const { digests, bytes } = plan.ripe
  const done = { marked: plan.fresh.digests.length, copies }
  if (digests.length === 0) return { ...done, deleted: 0, bytes: 0 }
  const references = new References(truth, signal)
  await references.refresh()
  const summary = { chunks: digests.length, bytes }
  const before = { sha256: sha256(new TextEncoder().encode([...digests].sort().join('\n'))), value: summary }
  await audit?.record({ action: 'sweep', subject: 'blob/sha256', before, after: null })
  const task = progress.task('Deleting', digests.length, 'steps')
  const deleted = await deleteChunks(target, digests, {
    id: randomUUID(),
    references,
    signal,
    clock,
    limits: LIMITS,
    done: (count) => task.advance(count),
    async after(gone) {
      for (const digest of gone.filter((each) => plan.pages.has(each)))
        for (const store of target.copies) await dropPages(store, digest, signal)
      await dropMarks(truth, plan.marks, gone, signal)
    },
  })
  task.done(`${deleted.length} deleted`)
  return {
    ...done,
    deleted: deleted.length,
    bytes: deleted.reduce((sum, each) => sum + (plan.sizes.get(each) ?? 0), 0),
  }
}

interface InUse {
  readonly named: ReadonlySet<string>
  readonly unreadable: readonly string[]
  readonly unfinished: readonly string[]
  readonly leftCopies: SweepPlan['copies']
}

/** By every manifest in every store. */
async function whatIsNamed(
  { truth, copies }: Pick<PushTarget, 'truth' | 'copies'>,
  signal: AbortSignal,
): Promise<InUse> {
  const references = new References(truth, signal)
  await references.refresh()
  const named = references.named()
  const unreadable = references.unreadable()
  const take = async (store: Store, key: string, prefix: string): Promise<void> => {
    const digests = await digestsNamed(store, key, prefix, signal)
    if (digests === null) unreadable.push(`${key} (${store.name})`)
    else for (const digest of digests) named.add(digest)
  }
  const removed = await allKeys(truth, REMOVED_PREFIX, signal)
  for (const key of removed) await take(truth, key, REMOVED_PREFIX)
  const aliases = new Set(await allKeys(truth, ALIAS_PREFIX, signal))
  const leftCopies: { store: Store; keys: string[] }[] = []
  for (const store of copies) {
    const manifests = (await allKeys(store, MANIFEST_PREFIX, signal)).filter((key) => !references.lists(key))
    for (const key of manifests) await take(store, key, MANIFEST_PREFIX)
    const left = (await allKeys(store, ALIAS_PREFIX, signal)).filter((key) => !aliases.has(key))
    if (manifests.length + left.length > 0) leftCopies.push({ store, keys: [...left, ...manifests] })
  }
  return { named, unreadable, unfinished: removed.map((key) => key.slice(REMOVED_PREFIX.length)), leftCopies }
}
