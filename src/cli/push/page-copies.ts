import { isVergeError, throwIfAborted } from '../../core/errors.ts'
import {
  batchesOf,
  type PagePlace,
  type PagesFile,
  pageKey,
  pagesIn,
  pagesPrefix,
  partsOf,
} from '../../weights/pages/layout.ts'
import type { Store } from '../../weights/store.ts'
import type { PackedModel } from '../pack/packer.ts'
import { understandable } from '../target/target.ts'
import { binarySize, counted } from '../terminal/format.ts'
import type { Progress } from '../terminal/progress.ts'
import { inParallel } from './pool.ts'
import type { PushTarget } from './push.ts'
import { allKeys } from './references.ts'

/**
 * Copies of pages near the readers, as base64 text. Readers find them by the file's digest and the page's place, and take the
 * source of truth for those that are missing: a model works without them.
 */

/** Pages of one file that a store lacks. */
interface Lack {
  readonly store: Store
  readonly file: PagesFile
  readonly pages: readonly PagePlace[]
}

export interface PageCopies {
  /** Of all files, counted once for each store. */
  readonly all: number
  readonly bytes: number
  readonly lacks: readonly Lack[]
}

export const NO_PAGES: PageCopies = { all: 0, bytes: 0, lacks: [] }

export interface CopiedPages {
  /** Written, or that would be. */
  readonly copied: number
  readonly all: number
  /** Why the copies took no more; absent if they have all. */
  readonly refused?: string
}

/** The platform takes 10,000 values and 100 MB in one request. Texts, a third larger than pages, are held twice meanwhile. */
const BATCH_PAGES = 10_000
const BATCH_BYTES = 36 * 1024 * 1024
/** Values on their way at once to a store that takes one at a time. */
const CONCURRENCY = 16

/** Looks which pages the copies lack, by listing: a page is never looked up alone. @throws store_unavailable */
export async function lookForPages(
  { copies }: Pick<PushTarget, 'copies'>,
  { manifest, hot }: PackedModel,
  { thorough = false, signal }: { readonly thorough?: boolean; readonly signal: AbortSignal },
): Promise<PageCopies> {
  const files = new Map<string, PagesFile>()
  for (const { pages, places } of manifest.artifacts) {
    if (hot && pages !== undefined && places.includes('edge')) files.set(pages.sha256, pages)
  }
  let [all, bytes] = [0, 0]
  const lacks: Lack[] = []
  for (const store of copies) {
    for (const file of files.values()) {
      // the readers verify what is there, so a key is enough
      const present = new Set(thorough ? [] : await allKeys(store, pagesPrefix(file.sha256), signal))
      const every = [...pagesIn(file)]
      const pages = every.filter((page) => !present.has(pageKey(file.sha256, page)))
      if (pages.length > 0) lacks.push({ store, file, pages })
      all += every.length
      bytes += file.bytes
    }
  }
  return { all, bytes, lacks }
}

/**
 * Writes the missing copies. A store that refuses them, because a plan's writes of the day are used up, is no failure.
 * @throws the signal's reason
 */
export async function copyPages(
  { all, lacks }: PageCopies,
  { chunks, manifest }: PackedModel,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<CopiedPages> {
  const total = countOf(lacks)
  if (total === 0) return { copied: 0, all }
  const task = progress.task(`Copying pages of ${manifest.model}`, total, 'steps')
  let copied = 0
  try {
    for (const { store, file, pages } of lacks) {
      for (const batch of batchesOf(pages, BATCH_PAGES, BATCH_BYTES)) {
        await putTexts(
          store,
          new Map(batch.map((page) => [pageKey(file.sha256, page), textOf(file, chunks, page)])),
          signal,
        )
        copied += batch.length
        task.set(copied)
      }
    }
  } catch (error) {
    throwIfAborted(signal)
    if (!isVergeError(error, 'store_unavailable')) throw error
    task.done(`${copied} of ${counted(total, 'page')} copied`)
    return { copied, all, refused: (understandable(error) as Error).message }
  }
  task.done(`${counted(copied, 'page')} copied`)
  return { copied, all }
}

export function countOf(lacks: readonly Lack[]): number {
  return lacks.reduce((sum, { pages }) => sum + pages.length, 0)
}

/** What a push says of the copies; nothing for a model without pages. */
export function pageSteps({ all, bytes, lacks }: PageCopies, done: CopiedPages | undefined): string[] {
  if (all === 0) return []
  const missing = countOf(lacks)
  const whole = `${counted(all, 'page')} (${binarySize(bytes)})`
  if (missing === 0) return [`KV: has ${all} of ${whole}`]
  if (done === undefined) return [`KV: would get ${missing} of ${whole}, one write for each`]
  if (done.refused === undefined) return [`KV: got ${done.copied} of ${whole}`]
  return [
    `KV: got ${done.copied} of ${missing} missing pages, and refused the others: ${done.refused}`,
    'R2 has all pages, so the model answers; a text whose pages are not in KV waits for reads of R2. Push the version again ' +
      'to copy the rest: the free plan allows 1,000 writes to KV a day. With --no-page-copies a push leaves the copies out.',
  ]
}

/** Deletes the copies of all pages of a file. @throws store_unavailable, the signal's reason */
export async function dropPages(store: Store, sha256: string, signal: AbortSignal): Promise<void> {
  await dropKeys(store, await allKeys(store, pagesPrefix(sha256), signal), signal)
}

/** @throws store_unavailable, the signal's reason */
export async function dropKeys(store: Store, keys: readonly string[], signal?: AbortSignal): Promise<void> {
  const { many } = store
  if (many === undefined) {
    await inParallel(keys, CONCURRENCY, (key) => store.delete(key, { signal }), signal)
    return
  }
  for (let at = 0; at < keys.length; at += BATCH_PAGES) await many.delete(keys.slice(at, at + BATCH_PAGES), { signal })
}

async function putTexts(store: Store, texts: ReadonlyMap<string, string>, signal: AbortSignal): Promise<void> {
  if (store.many !== undefined) return store.many.put(texts, { signal })
  const put = async ([key, text]: readonly [string, string]): Promise<void> => {
    await store.put(key, new TextEncoder().encode(text), { signal })
  }
  await inParallel([...texts], CONCURRENCY, put, signal)
}

/** A page of a packed file. */
function textOf(file: PagesFile, chunks: PackedModel['chunks'], page: PagePlace): string {
  const parts = [...partsOf(file, page)].flatMap(
    ({ chunk, from, to }) => chunks.get(chunk.sha256)?.subarray(from, to) ?? [],
  )
  return Buffer.concat(parts).toString('base64')
}
