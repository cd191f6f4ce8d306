import { throwIfAborted } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { LruMap } from '../../core/lru.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import { isWithin, type Span } from '../../core/span.ts'
import type { Store } from '../../weights/store.ts'
import type { ModelEntry } from './entry.ts'
import { BLOCK_ENTRIES, type IndexHead, type IndexPage } from './format.ts'
import { blocksFor, isWanted, type ListQuery, type ModelPage, type PlacedBlock, safeCursor } from './query.ts'
import { readBlocks, readHead } from './stored.ts'

export interface IndexReaderOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<
    Limits,
    'aliasTtlMs' | 'indexCacheBytes' | 'indexHeadBytes' | 'indexPageBytes' | 'indexReadBytes' | 'indexReads'
  >
}

interface CachedBlock {
  readonly entries: readonly ModelEntry[]
  readonly bytes: number
}

/** The block's page is not there any more, or is damaged. */
class LostPage extends Error {}

/**
 * Reads lists of models from the index: its head, and at most `indexReads` parts of pages. The isolate keeps the head as
 * long as an alias, and parts of pages, which never change.
 */
export class IndexReader {
  readonly #truth: Store
  readonly #options: IndexReaderOptions
  readonly #blocks: LruMap<CachedBlock>
  #head: { readonly value: IndexHead | null; readonly kept: Span } | undefined

  constructor(truth: Store, options: IndexReaderOptions) {
    this.#truth = truth
    this.#options = options
    this.#blocks = new LruMap(options.limits.indexCacheBytes, ({ bytes }) => bytes)
  }

  /**
   * Null where there is no index, or none that is whole: the list has to be made without it.
   * @throws store_unavailable, cancelled, deadline_exceeded
   */
  async page(query: ListQuery, signal?: AbortSignal): Promise<ModelPage | null> {
    throwIfAborted(signal)
    // A page that is not there was replaced since the head was read, as a rule: then a newer head names others.
    for (const fresh of [false, true]) {
      const head = await this.#headOf(fresh, signal)
      if (head === null || !head.complete) return null
      try {
        return await this.#pageOf(head, query, signal)
      } catch (error) {
        if (!(error instanceof LostPage)) throw error
      }
    }
    this.#options.logger.error('index_damaged')
    return null
  }

  async #headOf(fresh: boolean, signal?: AbortSignal): Promise<IndexHead | null> {
    const now = this.#options.clock.now()
    if (!fresh && this.#head !== undefined && isWithin(this.#head.kept, now)) return this.#head.value
    const found = await readHead(this.#truth, this.#options.limits, signal)
    if (found !== null && found.head === null) this.#options.logger.warn('index_unusable', { newer: found.newer })
    this.#head = { value: found?.head ?? null, kept: { at: now, ms: this.#options.limits.aliasTtlMs } }
    return this.#head.value
  }

  async #pageOf(head: IndexHead, query: ListQuery, signal?: AbortSignal): Promise<ModelPage> {
    const back = query.before !== undefined
    const found: ModelEntry[] = []
    let reads = this.#options.limits.indexReads
    let rest = [...blocksFor(head[query.scope.tree], query)]
    let seen: string | undefined
    while (rest.length > 0) {
      if (found.length === query.limit) return page(found, found.at(-1)?.model, back)
      const span = this.#spanOf(rest, query, query.limit - found.length)
      const kept = new Map(span.flatMap(({ at, page }) => this.#kept(page, at)))
      if (kept.size < span.length && reads-- === 0) {
        return page(found, this.#cursor(query, found, seen, rest), back)
      }
      const entries = await this.#entriesOf(span, kept, signal)
      rest = rest.slice(span.length)
      for (const entry of back ? entries.toReversed() : entries) {
        seen = entry.model
        if (!isWanted(entry, query)) continue
        if (found.length === query.limit) return page(found, found.at(-1)?.model, back)
        found.push(entry)
      }
    }
    return page(found, undefined, back)
  }

  /** Where a list goes on that has used its reads. @param seen the last name that was looked at */
  #cursor(
    query: ListQuery,
    found: readonly ModelEntry[],
    seen: string | undefined,
    [next]: readonly PlacedBlock[],
  ): string | undefined {
    if (query.scope.some === undefined) return seen
    const last = found.at(-1)?.model
    return query.before === undefined ? safeCursor(query, last, next?.block[0] ?? '') : last
  }

  /** The next blocks that are read together: neighbours in a page, as many as the list may need. */
  #spanOf(rest: readonly PlacedBlock[], query: ListQuery, wanted: number): readonly PlacedBlock[] {
    const { after, before, prefix, scope } = query
    const [first] = rest
    // Of the first block some entries are not in the list, where it does not begin at the beginning.
    const beside = after === undefined && before === undefined && prefix === undefined ? 0 : BLOCK_ENTRIES
    let [entries, bytes, length] = [0, 0, 0]
    for (const { at, block, page } of rest) {
      const isNeighbour = page === first?.page && Math.abs(at - first.at) === length
      // One more than is wanted says whether the list continues.
      const enough = scope.some === undefined && entries > wanted + beside
      if (!isNeighbour || enough || (length > 0 && bytes + block[3] > this.#options.limits.indexReadBytes)) break
      entries += block[1]
      bytes += block[3]
      length++
    }
    return rest.slice(0, length)
  }

  /** @param kept those of the span's blocks that need no read, by their place: the others are read with what is between them */
  async #entriesOf(
    span: readonly PlacedBlock[],
    kept: ReadonlyMap<number, readonly ModelEntry[]>,
    signal: AbortSignal | undefined,
  ): Promise<ModelEntry[]> {
    const read = new Map<number, readonly ModelEntry[]>()
    const missing = span.map(({ at }) => at).filter((at) => !kept.has(at))
    const [first] = span
    if (first !== undefined && missing.length > 0) {
      const { page } = first
      const from = Math.min(...missing)
      const to = Math.max(...missing) + 1
      const entries = await readBlocks(this.#truth, page, from, to, this.#options.limits, signal)
      if (entries === null) throw new LostPage(page.id)
      let begin = 0
      for (const [i, [, count, , bytes]] of page.blocks.slice(from, to).entries()) {
        const mine = entries.slice(begin, begin + count)
        begin += count
        read.set(from + i, mine)
        this.#blocks.set(keyOf(page, from + i), { entries: mine, bytes })
      }
    }
    const places = span.map(({ at }) => at).sort((a, b) => a - b)
    return places.flatMap((at) => kept.get(at) ?? read.get(at) ?? [])
  }

  #kept(page: IndexPage, at: number): [number, readonly ModelEntry[]][] {
    const block = this.#blocks.get(keyOf(page, at))
    return block === undefined ? [] : [[at, block.entries]]
  }
}

function keyOf({ id }: IndexPage, at: number): string {
  return `${id} ${at}`
}

function page(found: readonly ModelEntry[], next: string | undefined, back: boolean): ModelPage {
  return { entries: back ? found.toReversed() : found, ...(next !== undefined && { next }) }
}
