import { isVergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger, Sha256Factory } from '../../core/runtime.ts'
import { sha256Hex } from '../../core/sha256.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import type { Alias } from '../alias.ts'
import { ALIAS_PREFIX, INDEX_HEAD_KEY, INDEX_PAGE_PREFIX, manifestKey } from '../keys.ts'
import { type Manifest, MODEL_NAME } from '../manifest.ts'
import { checkAlias, parseManifest } from '../parse.ts'
import { readStoredAlias } from '../stored-alias.ts'
import { entryOf, type ModelEntry, mainVersion } from './entry.ts'
import { EMPTY_HEAD, headBytes, type IndexHead, type IndexPage, type IndexTree } from './format.ts'
import { readHead, readPage, type StoredHead } from './stored.ts'
import { type ChangedTree, type Changes, changedTree } from './tree.ts'

export interface IndexWriterOptions {
  readonly sha256: Sha256Factory
  /** Counts from 1970: ids of pages have the hour. */
  readonly clock: Clock
  readonly randomId: () => string
  readonly logger: Logger
  readonly limits: Limits
}

/** What a write of the index came to. */
export interface IndexWrite {
  /** Of the head that was written, or left as it was; undefined where nothing could be written. */
  readonly etag: string | undefined
  /** Pages that the head named and that were not there: their models need to be written again. */
  readonly lost: number
}

/**
 * Brings entries of the index up to date: it reads the models' aliases, writes the pages that change, and then the head by a
 * conditional write. The head is read before the aliases, so that of several writers the last one has read the newest.
 */
export class IndexWriter {
  readonly #truth: Store
  readonly #options: IndexWriterOptions

  constructor(truth: Store, options: IndexWriterOptions) {
    this.#truth = truth
    this.#options = options
  }

  /**
   * As `write`, of what a command has changed. The change is made already: a failure is logged, and the cron trigger brings
   * the index up to date. Never throws.
   */
  async touch(model: string): Promise<void> {
    try {
      const stored = await readHead(this.#truth, this.#options.limits)
      const few = stored?.head || stored?.newer ? undefined : await this.#allOfFew()
      await this.write([model, ...(few ?? [])], few && { etag: stored?.etag })
    } catch (error) {
      this.#options.logger.warn('index_not_updated', { model, error })
    }
  }

  /**
   * Brings the entries of models up to date.
   * @param whole the etag of the head by which these models are all that it lacks: it is complete then
   * @throws store_unavailable, the signal's reason
   */
  async write(models: readonly string[], whole?: { readonly etag: string | undefined }): Promise<IndexWrite> {
    for (let attempt = 0; attempt < this.#options.limits.indexWriteAttempts; attempt++) {
      const stored = await readHead(this.#truth, this.#options.limits)
      if (stored?.newer) return { etag: undefined, lost: 0 }
      const completes = whole !== undefined && whole.etag === stored?.etag
      const written = await this.#write(stored, [...new Set(models)], completes)
      if (written !== null) return written
    }
    this.#options.logger.warn('index_not_updated', { models: models.length })
    return { etag: undefined, lost: 0 }
  }

  /** Null where another writer was faster. */
  async #write(stored: StoredHead | null, models: readonly string[], completes: boolean): Promise<IndexWrite | null> {
    const head = stored?.head ?? EMPTY_HEAD
    const changes = await this.#entriesOf(models)
    const lost: IndexPage[] = []
    const all = await this.#changed(head.all, changes, lost)
    const open = await this.#changed(head.public, withoutPrivate(changes), lost)
    const complete = lost.length === 0 && (completes || head.complete)
    const next: IndexHead = { ...head, complete, all: all.tree, public: open.tree }
    const bytes = headBytes(next)
    if (bytes.length > this.#options.limits.indexHeadBytes) {
      this.#options.logger.error('index_full', { bytes: bytes.length })
      return { etag: stored?.etag, lost: lost.length }
    }
    const same = stored?.head != null && JSON.stringify(next) === JSON.stringify(stored.head)
    if (same) return { etag: stored.etag, lost: 0 }
    for (const { bytes, page } of [...all.written, ...open.written])
      await this.#truth.put(INDEX_PAGE_PREFIX + page.id, bytes)
    const onlyIf = stored === null ? 'absent' : { etag: stored.etag ?? '' }
    const put = await this.#truth.put(INDEX_HEAD_KEY, bytes, { onlyIf })
    if (put === null) return null
    await this.#deleteReplaced(head, next)
    return { etag: put.etag, lost: lost.length }
  }

  /** Readers that hold the old head read the new one where they miss a page of it. What is not deleted here, the sweep finds. */
  async #deleteReplaced(old: IndexHead, next: IndexHead): Promise<void> {
    const named = new Set([...next.all, ...next.public].map(({ id }) => id))
    const replaced = [...old.all, ...old.public].filter(({ id }) => !named.has(id))
    await Promise.all(replaced.map(({ id }) => this.#truth.delete(INDEX_PAGE_PREFIX + id).catch(() => {})))
  }

  /** @param lost gets the pages that are not there: their entries are left out */
  #changed(tree: IndexTree, changes: Changes, lost: IndexPage[]): Promise<ChangedTree> {
    const { clock, limits, randomId } = this.#options
    const hour = Math.floor(clock.now() / 3_600_000)
    return changedTree(tree, changes, {
      limits,
      newId: () => `${hour}-${randomId()}`,
      read: async (page) => {
        const entries = await readPage(this.#truth, page, limits)
        if (entries === null) lost.push(page)
        return entries
      },
    })
  }

  /** The names of all models, if they are few enough to make the index of them now. */
  async #allOfFew(): Promise<string[] | undefined> {
    const { cursor, keys } = await this.#truth.list(ALIAS_PREFIX)
    if (cursor !== undefined || keys.length > this.#options.limits.indexWrite) return undefined
    return keys.map((key) => key.slice(ALIAS_PREFIX.length)).filter((name) => MODEL_NAME.test(name))
  }

  async #entriesOf(models: readonly string[]): Promise<Changes> {
    const entries = new Map<string, ModelEntry | null>()
    let next = 0
    const readInTurn = async (): Promise<void> => {
      while (next < models.length) {
        const model = models[next++]
        if (model !== undefined) entries.set(model, await this.#entryOf(model))
      }
    }
    await Promise.all(Array.from({ length: this.#options.limits.parallelFetches }, readInTurn))
    return entries
  }

  /** Null where there is no such model, or where its alias cannot be read: it is in no list. */
  async #entryOf(model: string): Promise<ModelEntry | null> {
    try {
      const stored = await readStoredAlias(this.#truth, model, this.#options.limits.aliasBytes, undefined)
      if (stored === null) return null
      const alias = checkAlias(stored.value, model)
      return entryOf(alias, await this.#manifestOf(alias), stored.etag)
    } catch (error) {
      if (!isVergeError(error, 'alias_invalid')) throw error
      this.#options.logger.warn('model_left_out_of_index', { model, error })
      return null
    }
  }

  async #manifestOf(alias: Alias): Promise<Manifest | null> {
    const { limits, logger, sha256 } = this.#options
    const version = mainVersion(alias) ?? ''
    const found = await this.#truth.get(manifestKey(alias.model, version))
    const bytes = found && (await readAtMost(found.body, limits.manifestBytes))
    try {
      if (bytes && (await sha256Hex(sha256, bytes)) === alias.versions[version]) {
        return parseManifest(bytes, alias.model, version)
      }
    } catch (error) {
      if (!isVergeError(error, 'manifest_invalid')) throw error
      logger.warn('manifest_not_in_index', { model: alias.model, version, error })
    }
    return null
  }
}

function withoutPrivate(changes: Changes): Changes {
  return new Map([...changes].map(([model, entry]) => [model, entry?.visibility === 'public' ? entry : null]))
}
