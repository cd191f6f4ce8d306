import type { Limits } from '../../core/limits.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import { INDEX_HEAD_KEY, INDEX_PAGE_PREFIX } from '../keys.ts'
import type { ModelEntry } from './entry.ts'
import { bytesIn, entriesIn, entriesOf, type IndexHead, type IndexPage, isNewer, parseHead } from './format.ts'

/** The head as the source of truth has it. */
export interface StoredHead {
  /** Null where a newer Verge wrote it, or where it is damaged. */
  readonly head: IndexHead | null
  readonly newer: boolean
  readonly etag: string | undefined
}

/** Null where there is no index. @throws store_unavailable, the signal's reason */
export async function readHead(
  truth: Store,
  { indexHeadBytes }: Pick<Limits, 'indexHeadBytes'>,
  signal?: AbortSignal,
): Promise<StoredHead | null> {
  const found = await truth.get(INDEX_HEAD_KEY, { signal })
  if (found === null) return null
  const bytes = await readAtMost(found.body, indexHeadBytes, signal)
  const { etag } = found
  return bytes === null ? { head: null, newer: false, etag } : { head: parseHead(bytes), newer: isNewer(bytes), etag }
}

type PageLimits = Pick<Limits, 'indexPageBytes'>

/** Larger pages than this Verge writes are read: another one may write them. */
const PAGES_READ = 2

/**
 * The entries of neighbouring blocks of a page, in one read. Null where the page is not there, or not as the head says.
 * @throws store_unavailable, the signal's reason
 */
export async function readBlocks(
  truth: Store,
  { blocks, id }: IndexPage,
  from: number,
  to: number,
  { indexPageBytes }: PageLimits,
  signal?: AbortSignal,
): Promise<ModelEntry[] | null> {
  const wanted = blocks.slice(from, to)
  const [first = ''] = wanted[0] ?? []
  const length = bytesIn(wanted)
  // The head is JSON in a bucket: that it says so is no reason to take any amount of memory.
  if (bytesIn(blocks) > PAGES_READ * indexPageBytes) return null
  const range = { offset: bytesIn(blocks.slice(0, from)), length }
  const found = await truth.get(INDEX_PAGE_PREFIX + id, { range, signal })
  const bytes = found && (await readAtMost(found.body, length, signal))
  return bytes && bytes.length === length ? entriesIn(bytes, first, entriesOf(wanted)) : null
}

export function readPage(
  truth: Store,
  page: IndexPage,
  limits: PageLimits,
  signal?: AbortSignal,
): Promise<ModelEntry[] | null> {
  return readBlocks(truth, page, 0, page.blocks.length, limits, signal)
}
