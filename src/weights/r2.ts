import { throwIfAborted, VergeError } from '../core/errors.ts'
import { PLATFORM } from '../core/limits.ts'
import { untilAborted } from '../core/runtime.ts'
import { asked, bodyOf, byteReader, nextCursor, unavailable } from './body.ts'
import type {
  ByteRange,
  GetOptions,
  ListOptions,
  ListPage,
  PutOptions,
  Store,
  StoredInfo,
  StoredValue,
  StoreOptions,
} from './store.ts'

/** The used part of an R2 bucket, which a Worker's binding and wrangler's `getPlatformProxy()` both have. */
export interface R2BucketLike {
  head(key: string): Promise<R2ObjectLike | null>
  get(key: string, options?: { range?: { offset: number; length?: number } }): Promise<R2ObjectBodyLike | null>
  put(key: string, value: Uint8Array, options?: { onlyIf?: R2ConditionLike }): Promise<R2ObjectLike | null>
  list(options: { prefix: string; cursor?: string; limit: number }): Promise<R2ObjectsLike>
  delete(key: string): Promise<void>
}

export interface R2ObjectLike {
  readonly key: string
  readonly size: number
  readonly etag: string
}

export interface R2ObjectBodyLike extends R2ObjectLike {
  readonly body: ReadableStream
}

export interface R2ObjectsLike {
  readonly objects: readonly R2ObjectLike[]
  readonly truncated: boolean
  readonly cursor?: string
}

interface R2ConditionLike {
  etagMatches?: string
  etagDoesNotMatch?: string
}

export interface R2StoreOptions {
  readonly name?: string
  /** Keys a page of `list`; the platform gives at most 1,000. */
  readonly pageSize?: number
}

/** A store in an R2 bucket: the truth. Strongly consistent, with conditional writes. */
export class R2Store implements Store {
  readonly name: string
  readonly #bucket: R2BucketLike
  readonly #pageSize: number

  constructor(bucket: R2BucketLike, options: R2StoreOptions = {}) {
    this.name = options.name ?? 'r2'
    this.#bucket = bucket
    this.#pageSize = options.pageSize ?? 1000
  }

  async head(key: string, { signal }: StoreOptions = {}): Promise<StoredInfo | null> {
    throwIfAborted(signal)
    if (!keyFits(key)) return null
    const found = await this.#ask(() => this.#bucket.head(key), signal)
    return found === null ? null : info(found)
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    const found = await this.raw(key, options)
    return found && { ...found, body: bodyOf(byteReader(found.body), { store: this.name, signal: options.signal }) }
  }

  /** As `get`, with R2's own stream: it knows no signal, and says what went wrong in R2's words. */
  async raw(key: string, { range, signal }: GetOptions = {}): Promise<StoredValue | null> {
    throwIfAborted(signal)
    if (!keyFits(key)) return null
    const found = await untilAborted(this.#open(key, range), signal, (late) => {
      late?.body.cancel('too late').catch(() => {})
    })
    return found && { ...info(found), body: found.body }
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<StoredInfo | null> {
    const { onlyIf, signal } = options
    throwIfAborted(signal)
    if (!keyFits(key)) {
      throw new VergeError('store_unavailable', `Keys in R2 are 1 to ${PLATFORM.r2KeyBytes} bytes long.`)
    }
    const condition: R2ConditionLike | undefined =
      onlyIf === 'absent' ? { etagDoesNotMatch: '*' } : onlyIf && { etagMatches: onlyIf.etag }
    const put = await this.#ask(
      () => this.#bucket.put(key, value, condition === undefined ? {} : { onlyIf: condition }),
      signal,
    )
    return put === null ? null : info(put)
  }

  async list(prefix: string, { cursor, signal }: ListOptions = {}): Promise<ListPage> {
    throwIfAborted(signal)
    const limit = this.#pageSize
    const page = await this.#ask(
      () => this.#bucket.list(cursor === undefined ? { prefix, limit } : { prefix, limit, cursor }),
      signal,
    )
    const keys = page.objects.map((object) => object.key)
    const infos = page.objects.map(info)
    return page.truncated ? { keys, infos, cursor: nextCursor(this.name, page.cursor, cursor) } : { keys, infos }
  }

  async delete(key: string, { signal }: StoreOptions = {}): Promise<void> {
    throwIfAborted(signal)
    if (keyFits(key)) await this.#ask(() => this.#bucket.delete(key), signal)
  }

  async #open(key: string, range: ByteRange | undefined): Promise<R2ObjectBodyLike | null> {
    if (range === undefined) return this.#ask(() => this.#bucket.get(key))
    try {
      if (range.length !== 0) return await this.#bucket.get(key, { range: { ...range } })
    } catch (cause) {
      return this.#empty(key, range, cause)
    }
    return this.#empty(key, range, undefined)
  }

  /** R2 refuses a range that holds no byte; a look at the size tells that from a failure. */
  async #empty(key: string, range: ByteRange, cause: unknown): Promise<R2ObjectBodyLike | null> {
    const found = await this.#ask(() => this.#bucket.head(key))
    if (found === null) return null
    if (range.length !== 0 && range.offset < found.size) throw unavailable(this.name, cause)
    return { key, size: found.size, etag: found.etag, body: emptyBody() }
  }

  #ask<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return asked(this.name, work, signal)
  }
}

function info(object: R2ObjectLike): StoredInfo {
  return { bytes: object.size, etag: object.etag }
}

function keyFits(key: string): boolean {
  const bytes = new TextEncoder().encode(key).length
  return bytes > 0 && bytes <= PLATFORM.r2KeyBytes
}

function emptyBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() })
}
