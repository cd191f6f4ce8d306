import { throwIfAborted, VergeError } from '../core/errors.ts'
import { PLATFORM } from '../core/limits.ts'
import { untilAborted } from '../core/runtime.ts'
import { asked, bodyOf, byteReader, forEachPiece, nextCursor } from './body.ts'
import { PAGE_PREFIX } from './pages/layout.ts'
import type { RawValue } from './passage.ts'
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

/** The used part of a KV namespace, which a Worker's binding and wrangler's `getPlatformProxy()` both have. */
export interface KvNamespaceLike {
  getWithMetadata(
    key: string,
    options: { type: 'stream'; cacheTtl?: number },
  ): Promise<{ value: ReadableStream | null; metadata: unknown }>
  put(key: string, value: Uint8Array, options: { metadata: unknown }): Promise<void>
  list(options: { prefix: string; cursor?: string; limit: number }): Promise<KvListLike>
  delete(key: string): Promise<void>
}

export interface KvListLike {
  readonly keys: readonly { readonly name: string }[]
  readonly list_complete: boolean
  readonly cursor?: string
}

export interface KvStoreOptions {
  readonly name?: string
  /** Keys a page of `list`; the platform gives at most 1,000. */
  readonly pageSize?: number
  /** Seconds that a data centre may keep a value it has read. */
  readonly cacheTtl?: (key: string) => number
}

/**
 * A store in a KV namespace: copies near the reader. Eventually consistent: for about a minute after a write, a read
 * may return an older value or nothing, so no decision may depend on it. No conditional writes, at most one write per
 * second and key, values of at most 25 MiB.
 */
export class KvStore implements Store {
  readonly name: string
  readonly #namespace: KvNamespaceLike
  readonly #pageSize: number
  readonly #cacheTtl: (key: string) => number

  constructor(namespace: KvNamespaceLike, options: KvStoreOptions = {}) {
    this.name = options.name ?? 'kv'
    this.#namespace = namespace
    this.#pageSize = options.pageSize ?? 1000
    this.#cacheTtl = options.cacheTtl ?? kvCacheTtl
  }

  async head(key: string, { signal }: StoreOptions = {}): Promise<StoredInfo | null> {
    throwIfAborted(signal)
    const found = await untilAborted(this.#open(key), signal, leave)
    if (found === null) return null
    if (found.bytes === undefined) return { bytes: await this.#count(found.body, signal) }
    found.body.cancel('only the size was wanted').catch(() => {})
    return { bytes: found.bytes }
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    const { range, signal } = options
    throwIfAborted(signal)
    const found = await untilAborted(this.#openSized(key, signal), signal, leave)
    if (found === null) return null
    // KV reads whole values only: bytes before the range are read and dropped, bytes after it are not read
    const body = bodyOf(byteReader(found.body), {
      store: this.name,
      signal,
      ...(range && { skip: range.offset }),
      ...(range?.length !== undefined && { take: range.length }),
    })
    return { bytes: found.bytes, body }
  }

  /** A whole value with KV's own stream: it knows no signal, and says what went wrong in KV's words. */
  async raw(key: string, { signal }: StoreOptions = {}): Promise<RawValue | null> {
    throwIfAborted(signal)
    return untilAborted(this.#open(key), signal, leave)
  }

  async put(key: string, value: Uint8Array, { onlyIf, signal }: PutOptions = {}): Promise<StoredInfo | null> {
    throwIfAborted(signal)
    if (onlyIf !== undefined) {
      throw new VergeError('store_unavailable', 'KV has no conditional writes. Write to R2, and copy to KV afterwards.')
    }
    if (!keyFits(key)) {
      throw new VergeError(
        'store_unavailable',
        `Keys in KV are 1 to ${PLATFORM.kvKeyBytes} bytes long, and not "." or "..".`,
      )
    }
    if (value.length > PLATFORM.kvValueBytes) {
      throw new VergeError(
        'store_unavailable',
        `A KV value holds at most ${PLATFORM.kvValueBytes} bytes, and this one has ${value.length}. Split it into chunks.`,
      )
    }
    // KV tells no sizes, so each value carries its own
    await this.#ask(() => this.#namespace.put(key, value, { metadata: { bytes: value.length } }), signal)
    return { bytes: value.length }
  }

  async list(prefix: string, { cursor, signal }: ListOptions = {}): Promise<ListPage> {
    throwIfAborted(signal)
    const limit = this.#pageSize
    const page = await this.#ask(
      () => this.#namespace.list(cursor === undefined ? { prefix, limit } : { prefix, limit, cursor }),
      signal,
    )
    const keys = page.keys.map((key) => key.name)
    return page.list_complete ? { keys } : { keys, cursor: nextCursor(this.name, page.cursor, cursor) }
  }

  async delete(key: string, { signal }: StoreOptions = {}): Promise<void> {
    throwIfAborted(signal)
    if (keyFits(key)) await this.#ask(() => this.#namespace.delete(key), signal)
  }

  /** `bytes` as noted when the value was written; undefined if another tool wrote it. */
  async #open(key: string): Promise<RawValue | null> {
    if (!keyFits(key)) return null
    const { value, metadata } = await this.#ask(() =>
      this.#namespace.getWithMetadata(key, { type: 'stream', cacheTtl: this.#cacheTtl(key) }),
    )
    return value === null ? null : { body: value, bytes: bytesNoted(metadata) }
  }

  async #openSized(key: string, signal?: AbortSignal): Promise<{ body: ReadableStream; bytes: number } | null> {
    const found = await this.#open(key)
    if (found === null) return null
    if (found.bytes !== undefined) return { body: found.body, bytes: found.bytes }
    // written by another tool: counted in a separate read, because holding 25 MiB could end the isolate
    const bytes = await this.#count(found.body, signal)
    const again = await this.#open(key)
    return again === null ? null : { body: again.body, bytes }
  }

  async #count(body: ReadableStream, signal?: AbortSignal): Promise<number> {
    let bytes = 0
    const counted = bodyOf(byteReader(body), { store: this.name, signal })
    await forEachPiece(counted, (piece) => {
      bytes += piece.length
    })
    return bytes
  }

  #ask<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return asked(this.name, work, signal)
  }
}

/** Of a value that came too late. */
function leave(late: { readonly body: ReadableStream } | null): void {
  late?.body.cancel('too late').catch(() => {})
}

/** Blobs, pages and manifests never change, so their copies may be kept for a day; anything else as short as KV allows. */
export function kvCacheTtl(key: string): number {
  const immutable = ['blob/', 'manifest/', PAGE_PREFIX].some((prefix) => key.startsWith(prefix))
  return immutable ? PLATFORM.kvImmutableTtlSeconds : PLATFORM.kvMutableTtlSeconds
}

function bytesNoted(metadata: unknown): number | undefined {
  if (typeof metadata !== 'object' || metadata === null || !('bytes' in metadata)) return undefined
  const { bytes } = metadata
  return typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
}

function keyFits(key: string): boolean {
  const bytes = new TextEncoder().encode(key).length
  return bytes > 0 && bytes <= PLATFORM.kvKeyBytes && key !== '.' && key !== '..'
}
