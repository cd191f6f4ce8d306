import { ALIAS_PREFIX } from '../catalog/keys.ts'
import { throwIfAborted } from '../core/errors.ts'
import type {
  GetOptions,
  ListOptions,
  ListPage,
  Store,
  StoredInfo,
  StoredValue,
  StoreOptions,
} from '../weights/store.ts'
import { readOnly } from './read-only.ts'

/** A store in which there are these models alone. Takes no writes. */
export class OnlyModels implements Store {
  readonly name: string
  readonly #inner: Store
  readonly #models: ReadonlySet<string>

  constructor(inner: Store, models: ReadonlySet<string>) {
    this.name = inner.name
    this.#inner = inner
    this.#models = models
  }

  async head(key: string, options: StoreOptions = {}): Promise<StoredInfo | null> {
    throwIfAborted(options.signal)
    return this.#has(key) ? this.#inner.head(key, options) : null
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    throwIfAborted(options.signal)
    return this.#has(key) ? this.#inner.get(key, options) : null
  }

  async list(prefix: string, options?: ListOptions): Promise<ListPage> {
    const { infos: _, ...page } = await this.#inner.list(prefix, options)
    return { ...page, keys: page.keys.filter((key) => this.#has(key)) }
  }

  put(): Promise<StoredInfo | null> {
    return Promise.reject(readOnly())
  }

  delete(): Promise<void> {
    return Promise.reject(readOnly())
  }

  /** Manifests and weights are found through an alias. */
  #has(key: string): boolean {
    return !key.startsWith(ALIAS_PREFIX) || this.#models.has(key.slice(ALIAS_PREFIX.length))
  }
}
