import { isVergeError } from '../core/errors.ts'
import { type Logger, silentLogger } from '../core/runtime.ts'
import type { GetOptions, ListPage, PutOptions, Store, StoredInfo, StoredValue } from './store.ts'

export interface LayeredStoreOptions {
  readonly name?: string
  readonly logger?: Logger
}

/**
 * Stores behind one another, nearest first, the truth last; itself a store. A read that finds nothing, or finds a
 * layer unavailable, goes on to the next layer; every other failure is the caller's to see.
 *
 * Writes go to the truth and are not copied: who writes a value decides where its copies lie, and until those are
 * refreshed a reader may be given an older copy. Conditions therefore have to come from the truth's own etag.
 */
export class LayeredStore implements Store {
  readonly name: string
  readonly #copies: readonly Store[]
  readonly #truth: Store
  readonly #logger: Logger

  constructor(copies: readonly Store[], truth: Store, options: LayeredStoreOptions = {}) {
    this.#copies = copies
    this.#truth = truth
    this.#logger = options.logger ?? silentLogger
    this.name = options.name ?? [...copies, truth].map((store) => store.name).join('+')
  }

  async head(key: string): Promise<StoredInfo | null> {
    return (await this.#fromCopies(key, (store) => store.head(key))) ?? this.#truth.head(key)
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    return (await this.#fromCopies(key, (store) => store.get(key, options))) ?? this.#truth.get(key, options)
  }

  put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<StoredInfo | null> {
    return this.#truth.put(key, value, options)
  }

  list(prefix: string, cursor?: string): Promise<ListPage> {
    return this.#truth.list(prefix, cursor)
  }

  /** Copies first: if one of them fails, the truth still has the value and the deletion can be made again. */
  async delete(key: string): Promise<void> {
    for (const copy of this.#copies) await copy.delete(key)
    await this.#truth.delete(key)
  }

  async #fromCopies<T>(key: string, read: (store: Store) => Promise<T | null>): Promise<T | null> {
    for (const store of this.#copies) {
      try {
        const found = await read(store)
        if (found !== null) return found
      } catch (error) {
        if (!isVergeError(error, 'store_unavailable')) throw error
        this.#logger.warn('store_unavailable', { store: store.name, key, error })
      }
    }
    return null
  }
}
