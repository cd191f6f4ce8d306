import type { Alias } from '../../catalog/alias.ts'
import { blobKey, manifestKey } from '../../catalog/keys.ts'
import { pagesPrefix } from '../../weights/pages/layout.ts'
import type { Store } from '../../weights/store.ts'
import type { PackedChunk } from './chunks.ts'
import { inParallel } from './pool.ts'
import { allKeys, References } from './references.ts'

/** A chunk or a page that a copy holds and that nothing hot needs. */
export interface Leftover {
  readonly store: Store
  readonly key: string
}

/**
 * Chunks and pages that earlier hot pushes left in the copies of a version that is no longer hot. Chunks of other models stay,
 * and so do chunks of versions that remain live: it is not recorded whether they are hot, and an extra copy costs less
 * than a missing one.
 * @param live the live versions after the push
 * @throws store_unavailable
 */
export async function leftovers(
  { truth, copies }: { readonly truth: Store; readonly copies: readonly Store[] },
  chunks: readonly PackedChunk[],
  options: {
    /** Digests of its files of pages. */
    readonly pages: readonly string[]
    readonly model: string
    readonly version: string
    /** Of the model, in the alias and elsewhere. */
    readonly alias: Pick<Alias, 'live' | 'versions'>
    readonly concurrency: number
    readonly signal: AbortSignal
  },
): Promise<readonly Leftover[]> {
  const { model, version, alias, concurrency, signal } = options
  const found: (Leftover & { readonly sha256: string })[] = []
  const look = async ({ sha256 }: PackedChunk): Promise<void> => {
    const key = blobKey(sha256)
    for (const store of copies) if ((await store.head(key, { signal })) !== null) found.push({ store, key, sha256 })
  }
  await inParallel(chunks, concurrency, look, signal)
  for (const sha256 of options.pages) {
    for (const store of copies) {
      for (const key of await allKeys(store, pagesPrefix(sha256), signal)) found.push({ store, key, sha256 })
    }
  }
  if (found.length === 0) return []
  const references = new References(truth, signal)
  await references.refresh()
  const answering = new Set(alias.live.map((each) => each.version))
  const others = Object.keys(alias.versions).filter((each) => each === version || !answering.has(each))
  const except = new Set(others.map((each) => manifestKey(model, each)))
  return found.filter(({ sha256 }) => references.holders(sha256, except).length === 0)
}
