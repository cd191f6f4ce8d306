import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import type { Store } from '../../weights/store.ts'
import { ALIAS_PREFIX, INDEX_PAGE_PREFIX } from '../keys.ts'
import { MODEL_NAME } from '../manifest.ts'
import { entriesOf, firstOf, type IndexHead, type IndexTree } from './format.ts'
import { readHead, readPage } from './stored.ts'
import type { IndexWriter } from './writer.ts'

export interface IndexSweepOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Limits
}

/** How the index differs from the aliases. */
export interface IndexState {
  /** `missing`: there is none. `newer`: a newer Verge wrote it, and it is left alone. */
  readonly head: 'whole' | 'incomplete' | 'damaged' | 'missing' | 'newer'
  readonly etag: string | undefined
  /** Aliases in the source of truth. */
  readonly models: number
  /** Models whose entries are missing, of another alias, or of none, by name. */
  readonly differing: readonly string[]
  /** Pages that the head names and that are not there, or are damaged. */
  readonly lostPages: number
}

/** What a run has done. */
export interface IndexRun extends IndexState {
  /** Models whose entries were read again. */
  readonly done: number
  readonly changed: boolean
  /** Whether every entry is as its alias was when the run began. */
  readonly whole: boolean
}

/** Compares the index with the aliases, writes what differs, and deletes old pages. Commands and the cron trigger use it. */
export class IndexSweep {
  readonly #truth: Store
  readonly #writer: Pick<IndexWriter, 'write'>
  readonly #options: IndexSweepOptions

  constructor(truth: Store, writer: Pick<IndexWriter, 'write'>, options: IndexSweepOptions) {
    this.#truth = truth
    this.#writer = writer
    this.#options = options
  }

  /**
   * One run of the cron trigger, a minute after the one before. With many models it looks every few minutes, and it writes so
   * many entries at most that the platform allows the subrequests.
   */
  async tick(): Promise<IndexRun | null> {
    const { clock, limits, logger } = this.#options
    const minute = Math.floor(clock.now() / 60_000)
    const stored = await readHead(this.#truth, limits)
    const models = stored?.head?.complete ? countOf(stored.head.all) : 0
    if (minute % Math.max(1, Math.ceil(models / limits.indexCompared)) !== 0) return null
    const run = await this.run(limits.indexModelsPerRun)
    if (run.changed) logger.info('index_updated', { models: run.done, whole: run.whole })
    await this.deleteOldPages()
    return run
  }

  /**
   * @param most entries to write
   * @param everything writes also those that look up to date
   * @throws store_unavailable, the signal's reason
   */
  async run(most: number, everything = false, onWritten?: (done: number, all: number) => void): Promise<IndexRun> {
    const { indexFirstWrite, indexWrite } = this.#options.limits
    const state = await this.compare(everything)
    const idle = { ...state, done: 0, changed: false, whole: false }
    if (state.head === 'newer') return idle
    const wanted = state.differing.slice(0, most)
    if (wanted.length === 0 && state.head === 'whole') return { ...idle, whole: true }
    let { etag } = state
    let [done, lost] = [0, 0]
    do {
      const batch = wanted.slice(done, done + (done === 0 && !everything ? indexFirstWrite : indexWrite))
      done += batch.length
      const last = done === state.differing.length
      const result = await this.#writer.write(batch, last ? { etag } : undefined)
      etag = result.etag
      lost += result.lost
      onWritten?.(done, wanted.length)
    } while (done < wanted.length)
    return { ...state, done, changed: etag !== state.etag, whole: done === state.differing.length && lost === 0 }
  }

  /** @param everything counts every model as different @throws store_unavailable, the signal's reason */
  async compare(everything = false, signal?: AbortSignal): Promise<IndexState> {
    const stored = await readHead(this.#truth, this.#options.limits, signal)
    const aliases = await this.#aliases(signal)
    const facts = { etag: stored?.etag, models: aliases.size }
    if (stored?.newer) return { ...facts, head: 'newer', differing: [], lostPages: 0 }
    const differing = new Set<string>(everything ? aliases.keys() : [])
    const all = await this.#etagsIn(stored?.head?.all ?? [], signal)
    const open = await this.#etagsIn(stored?.head?.public ?? [], signal)
    for (const [model, etag] of aliases) if (all.entries.get(model)?.etag !== etag) differing.add(model)
    for (const [model, { etag, visibility }] of all.entries) {
      const listed = open.entries.get(model)
      const right = visibility === 'public' ? listed?.etag === etag : listed === undefined
      if (!right || !aliases.has(model)) differing.add(model)
    }
    for (const model of open.entries.keys()) if (!all.entries.has(model)) differing.add(model)
    // The page of a lost name is written anew, also where it had only models that are gone.
    const lost = [...all.lost, ...open.lost]
    for (const model of lost) differing.add(model)
    const lostPages = lost.length
    const head = stored === null ? 'missing' : stateOf(stored.head, lostPages)
    return { ...facts, head, differing: [...differing].sort(), lostPages }
  }

  /** Deletes pages that no head names any more, some at a time. @throws store_unavailable */
  async deleteOldPages(): Promise<number> {
    const { clock, limits } = this.#options
    const hour = Math.floor(clock.now() / 3_600_000)
    const page = await this.#truth.list(INDEX_PAGE_PREFIX)
    const old = page.keys.filter((key) => {
      const made = Number.parseInt(key.slice(INDEX_PAGE_PREFIX.length), 10)
      return Number.isInteger(made) && made + limits.indexPageHours <= hour
    })
    if (old.length === 0) return 0
    // After the list: what is written meanwhile is not old.
    const stored = await readHead(this.#truth, limits)
    if (!stored?.head) return 0
    const named = new Set([...stored.head.all, ...stored.head.public].map(({ id }) => INDEX_PAGE_PREFIX + id))
    const unnamed = old.filter((key) => !named.has(key)).slice(0, limits.indexDeletions)
    for (const key of unnamed) await this.#truth.delete(key)
    return unnamed.length
  }

  /** Etags of all aliases. */
  async #aliases(signal?: AbortSignal): Promise<Map<string, string | undefined>> {
    const aliases = new Map<string, string | undefined>()
    let cursor: string | undefined
    do {
      const page = await this.#truth.list(ALIAS_PREFIX, { cursor, signal })
      for (const [i, key] of page.keys.entries()) {
        const model = key.slice(ALIAS_PREFIX.length)
        if (MODEL_NAME.test(model)) aliases.set(model, page.infos?.[i]?.etag)
      }
      cursor = page.cursor
    } while (cursor !== undefined)
    return aliases
  }

  async #etagsIn(tree: IndexTree, signal?: AbortSignal) {
    const entries = new Map<string, { readonly etag: string | undefined; readonly visibility: string }>()
    const lost: string[] = []
    for (const page of tree) {
      const found = await readPage(this.#truth, page, this.#options.limits, signal)
      if (found === null) lost.push(firstOf(page))
      for (const { etag, model, visibility } of found ?? []) entries.set(model, { etag, visibility })
    }
    return { entries, lost }
  }
}

function stateOf(head: IndexHead | null, lostPages: number): IndexState['head'] {
  if (head === null || lostPages > 0) return 'damaged'
  return head.complete ? 'whole' : 'incomplete'
}

function countOf(tree: IndexTree): number {
  return tree.reduce((sum, { blocks }) => sum + entriesOf(blocks), 0)
}
