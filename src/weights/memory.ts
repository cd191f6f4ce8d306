import { throwIfAborted } from '../core/errors.ts'
import { bodyOf, piecesOfBytes } from './body.ts'
import type {
  GetOptions,
  ListOptions,
  ListPage,
  PutOptions,
  Store,
  StoredInfo,
  StoredValue,
  StoreOptions,
} from './store.ts'

export interface MemoryStoreOptions {
  readonly name?: string
  /** Keys a page of `list`. */
  readonly pageSize?: number
}

interface Entry {
  readonly bytes: Uint8Array
  readonly etag: string
}

/** A store in memory, for command lines and tests. */
export class MemoryStore implements Store {
  readonly name: string
  readonly #pageSize: number
  readonly #entries = new Map<string, Entry>()
  #writes = 0

  constructor(options: MemoryStoreOptions = {}) {
    this.name = options.name ?? 'memory'
    this.#pageSize = options.pageSize ?? 1000
  }

  async head(key: string, { signal }: StoreOptions = {}): Promise<StoredInfo | null> {
    throwIfAborted(signal)
    const entry = this.#entries.get(key)
    return entry === undefined ? null : info(entry)
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    const { range, signal } = options
    throwIfAborted(signal)
    const entry = this.#entries.get(key)
    if (entry === undefined) return null
    const offset = range?.offset ?? 0
    const bytes = entry.bytes.subarray(offset, range?.length === undefined ? undefined : offset + range.length)
    return { ...info(entry), body: bodyOf(piecesOfBytes(bytes), { store: this.name, signal }) }
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<StoredInfo | null> {
    const { onlyIf, signal } = options
    throwIfAborted(signal)
    const present = this.#entries.get(key)
    if (onlyIf === 'absent' ? present !== undefined : onlyIf !== undefined && present?.etag !== onlyIf.etag) return null
    this.#writes++
    const entry = { bytes: value.slice(), etag: `w${this.#writes}` }
    this.#entries.set(key, entry)
    return info(entry)
  }

  async list(prefix: string, { cursor, signal }: ListOptions = {}): Promise<ListPage> {
    throwIfAborted(signal)
    const keys = [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).sort(compareUtf8)
    const rest = cursor === undefined ? keys : keys.filter((key) => compareUtf8(key, cursor) > 0)
    const page = rest.slice(0, this.#pageSize)
    const last = page.at(-1)
    return last !== undefined && page.length < rest.length ? { keys: page, cursor: last } : { keys: page }
  }

  async delete(key: string, { signal }: StoreOptions = {}): Promise<void> {
    throwIfAborted(signal)
    this.#entries.delete(key)
  }
}

function info(entry: Entry): StoredInfo {
  return { bytes: entry.bytes.length, etag: entry.etag }
}

/** Orders as UTF-8 bytes do, which is by code point; `<` compares UTF-16 units, and puts U+FFFD after an emoji. */
function compareUtf8(a: string, b: string): number {
  const left = [...a]
  const right = [...b]
  const shared = Math.min(left.length, right.length)
  for (let i = 0; i < shared; i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}
