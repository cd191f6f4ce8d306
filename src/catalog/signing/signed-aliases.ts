import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { bodyOf, byteReaderOf, readAtMost } from '../../weights/body.ts'
import type {
  GetOptions,
  ListOptions,
  ListPage,
  PutOptions,
  Store,
  StoredInfo,
  StoredValue,
  StoreOptions,
} from '../../weights/store.ts'
import { ALIAS_PREFIX } from '../keys.ts'
import { aliasJson, checkAlias } from '../parse.ts'
import type { ReleaseCheck } from './release-check.ts'

/** A store of which only those aliases can be read that a release check lets through. Everything else is as it is. */
export class SignedAliases implements Store {
  readonly name: string
  readonly #inner: Store
  readonly #releases: ReleaseCheck
  readonly #limits: Pick<Limits, 'aliasBytes'>

  constructor(inner: Store, releases: ReleaseCheck, limits: Pick<Limits, 'aliasBytes'>) {
    this.name = inner.name
    this.#inner = inner
    this.#releases = releases
    this.#limits = limits
  }

  head(key: string, options?: StoreOptions): Promise<StoredInfo | null> {
    return this.#inner.head(key, options)
  }

  /** @throws alias_invalid, signature_invalid, release_outdated, store_unavailable, the signal's reason */
  async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    if (!key.startsWith(ALIAS_PREFIX)) return this.#inner.get(key, options)
    const { range, signal } = options
    const model = key.slice(ALIAS_PREFIX.length)
    const found = await this.#inner.get(key, { signal })
    if (found === null) return null
    const bytes = await readAtMost(found.body, this.#limits.aliasBytes, signal)
    if (bytes === null) {
      throw new VergeError(
        'alias_invalid',
        `The alias of model "${model}" is larger than ${this.#limits.aliasBytes} bytes. Push the model again.`,
      )
    }
    const value = aliasJson(bytes, model)
    const { generation } = checkAlias(value, model)
    await this.#releases.admit({ model, bytes, value, generation }, { ask: true, signal })
    const end = range?.length === undefined ? undefined : range.offset + range.length
    const part = bytes.subarray(range?.offset ?? 0, end)
    return { ...found, body: bodyOf(byteReaderOf(part), { store: this.name, signal }) }
  }

  put(key: string, value: Uint8Array, options?: PutOptions): Promise<StoredInfo | null> {
    return this.#inner.put(key, value, options)
  }

  list(prefix: string, options?: ListOptions): Promise<ListPage> {
    return this.#inner.list(prefix, options)
  }

  delete(key: string, options?: StoreOptions): Promise<void> {
    return this.#inner.delete(key, options)
  }
}
