import type {
  GetOptions,
  ListOptions,
  ManyTexts,
  PutOptions,
  Store,
  StoredInfo,
  StoredValue,
  StoreOptions,
} from './store.ts'

/** What came of a read. */
export type ReadOutcome = 'hit' | 'miss' | 'failed'

/** The same store; each read of a value is told of, when it has begun to come or has failed. */
export class ObservedStore implements Store {
  readonly many?: ManyTexts
  readonly #store: Store
  readonly #read: (key: string, outcome: ReadOutcome) => void

  constructor(store: Store, read: (key: string, outcome: ReadOutcome) => void) {
    this.#store = store
    this.#read = read
    if (store.many !== undefined) this.many = store.many
  }

  get name(): string {
    return this.#store.name
  }

  head(key: string, options?: StoreOptions): Promise<StoredInfo | null> {
    return this.#store.head(key, options)
  }

  async get(key: string, options?: GetOptions): Promise<StoredValue | null> {
    try {
      const value = await this.#store.get(key, options)
      this.#read(key, value === null ? 'miss' : 'hit')
      return value
    } catch (error) {
      // Whoever leaves says nothing of the store.
      if (options?.signal?.aborted !== true) this.#read(key, 'failed')
      throw error
    }
  }

  put(key: string, value: Uint8Array, options?: PutOptions): Promise<StoredInfo | null> {
    return this.#store.put(key, value, options)
  }

  list(prefix: string, options?: ListOptions) {
    return this.#store.list(prefix, options)
  }

  delete(key: string, options?: StoreOptions): Promise<void> {
    return this.#store.delete(key, options)
  }
}
