import { isVergeError, throwIfAborted } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Logger } from '../../core/runtime.ts'
import type { Alias } from '../alias.ts'
import type { Manifest } from '../manifest.ts'
import { entryOf, type ModelEntry, mainVersion } from './entry.ts'
import { isWanted, type ListQuery, type ModelPage } from './query.ts'
import type { IndexReader } from './reader.ts'

/** Lists models, a part at a time. */
export interface ModelLists {
  /** @throws store_unavailable, cancelled, deadline_exceeded */
  page(query: ListQuery, signal?: AbortSignal): Promise<ModelPage>
}

/** The catalogue as lists without the index read it. */
interface Catalogue {
  list(signal?: AbortSignal): Promise<readonly Alias[]>
  manifest(model: string, version: string, digest: string, signal?: AbortSignal): Promise<Manifest>
}

export interface AliasListsOptions {
  readonly logger: Logger
  readonly limits: Pick<Limits, 'parallelFetches'>
}

/** Lists from the aliases themselves, a read for each: where there is no index, or as long as there is none. */
export class AliasLists implements ModelLists {
  readonly #catalogue: Catalogue
  readonly #options: AliasListsOptions

  constructor(catalogue: Catalogue, options: AliasListsOptions) {
    this.#catalogue = catalogue
    this.#options = options
  }

  async page(query: ListQuery, signal?: AbortSignal): Promise<ModelPage> {
    const { before, limit } = query
    const aliases = await this.#catalogue.list(signal)
    const wanted = aliases.filter((alias) => isWanted(alias, query)).sort((a, b) => (a.model < b.model ? -1 : 1))
    const chosen = before === undefined ? wanted.slice(0, limit) : wanted.slice(Math.max(0, wanted.length - limit))
    const next = before === undefined ? chosen.at(-1)?.model : chosen[0]?.model
    return {
      entries: await this.#entriesOf(chosen, query.manifests, signal),
      ...(chosen.length < wanted.length && next !== undefined && { next }),
    }
  }

  async #entriesOf(aliases: readonly Alias[], manifests: boolean, signal?: AbortSignal): Promise<ModelEntry[]> {
    const entries: ModelEntry[] = []
    let next = 0
    const readInTurn = async (): Promise<void> => {
      while (next < aliases.length) {
        const place = next++
        const alias = aliases[place]
        if (alias !== undefined) entries[place] = entryOf(alias, manifests ? await this.#manifest(alias, signal) : null)
      }
    }
    await Promise.all(Array.from({ length: this.#options.limits.parallelFetches }, readInTurn))
    return entries
  }

  /** One model that cannot be read must not cost the caller the list of all others. */
  async #manifest(alias: Alias, signal?: AbortSignal): Promise<Manifest | null> {
    const version = mainVersion(alias) ?? ''
    try {
      return await this.#catalogue.manifest(alias.model, version, alias.versions[version] ?? '', signal)
    } catch (error) {
      throwIfAborted(signal)
      if (!isVergeError(error)) throw error
      this.#options.logger.warn('model_left_out_of_list', {
        model: alias.model,
        code: error.code,
        message: error.message,
      })
      return null
    }
  }
}

/** Lists from the index; from the aliases as long as there is none, or none that is whole. */
export class IndexedLists implements ModelLists {
  readonly #index: IndexReader
  readonly #aliases: ModelLists
  readonly #logger: Logger

  constructor(index: IndexReader, aliases: ModelLists, logger: Logger) {
    this.#index = index
    this.#aliases = aliases
    this.#logger = logger
  }

  async page(query: ListQuery, signal?: AbortSignal): Promise<ModelPage> {
    const page = await this.#index.page(query, signal)
    if (page !== null) return page
    this.#logger.warn('list_without_index')
    return this.#aliases.page(query, signal)
  }
}
