import { isVergeError, throwIfAborted, VergeError } from '../core/errors.ts'
import { type Clock, type Logger, untilLate } from '../core/runtime.ts'
import { bodyOf, byteReaderOf, readAtMost } from '../weights/body.ts'
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

export interface LastGoodStoreOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Records above this are passed on without being kept: the catalogue refuses them. */
  readonly recordBytes: number
}

/** A record is a few kilobytes; a source that takes longer for one is as good as away. */
const READ_MS = 5_000
/** A source that has failed is left alone for this long, so that requests do not wait for it one after the other. */
const PAUSE_MS = 5_000
/** Tells a page of the copies from one of the source. */
const OF_COPIES = 'copies:'

/**
 * The catalogue of a source, with a local copy of the last good version of each record. If the source is unreachable,
 * the copies answer, so that an origin continues to run, and can start, without its source. Weights are passed through.
 * Read-only.
 */
export class LastGoodStore implements Store {
  readonly name: string
  readonly #source: Store
  readonly #copies: Store
  readonly #options: LastGoodStoreOptions
  /** The last written value of a key; avoids writing the same value again. */
  readonly #written = new Map<string, Uint8Array>()
  #pausedUntil = Number.NEGATIVE_INFINITY
  #away = false

  constructor(source: Store, copies: Store, options: LastGoodStoreOptions) {
    this.name = source.name
    this.#source = source
    this.#copies = copies
    this.#options = options
  }

  head(key: string, options?: StoreOptions): Promise<StoredInfo | null> {
    return this.#source.head(key, options)
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    if (!isRecord(key) || options.range !== undefined) return this.#source.get(key, options)
    const { signal } = options
    const answer = await this.#ask(signal, (limited) => this.#read(key, limited))
    if (answer.ok) {
      await this.#keep(key, answer.value)
      const bytes = answer.value
      return bytes && { bytes: bytes.length, body: bodyOf(byteReaderOf(bytes), { store: this.name, signal }) }
    }
    const copy = await this.#copies.get(key, options)
    if (copy === null) throw answer.error
    return copy
  }

  put(): Promise<StoredInfo | null> {
    return Promise.reject(readOnly())
  }

  async list(prefix: string, { cursor, signal }: ListOptions = {}): Promise<ListPage> {
    if (cursor?.startsWith(OF_COPIES)) {
      return this.#listCopies(prefix, { cursor: cursor.slice(OF_COPIES.length), signal })
    }
    const answer = await this.#ask(signal, (limited) => this.#source.list(prefix, { cursor, signal: limited }))
    if (answer.ok) return answer.value
    if (cursor !== undefined) throw answer.error
    const page = await this.#listCopies(prefix, { signal })
    // Nothing was ever read: an empty catalogue would be a lie.
    if (page.keys.length === 0) throw answer.error
    return page
  }

  delete(): Promise<void> {
    return Promise.reject(readOnly())
  }

  async #listCopies(prefix: string, options: ListOptions): Promise<ListPage> {
    const page = await this.#copies.list(prefix, options)
    return page.cursor === undefined ? page : { keys: page.keys, cursor: OF_COPIES + page.cursor }
  }

  async #read(key: string, signal: AbortSignal): Promise<Uint8Array | null> {
    const found = await this.#source.get(key, { signal })
    if (found === null) return null
    const bytes = await readAtMost(found.body, this.#options.recordBytes, signal)
    if (bytes !== null) return bytes
    throw new VergeError('manifest_invalid', 'A record of the catalogue is too large. Push the model again.')
  }

  /** The source's answer, or the reason why it did not answer; other failures and a cancelled caller are thrown. */
  async #ask<T>(
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: VergeError }> {
    const { clock, logger } = this.#options
    throwIfAborted(signal)
    if (clock.now() < this.#pausedUntil) return { ok: false, error: awayError(undefined) }
    const late = new AbortController()
    try {
      const limited = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal])
      const value = await untilLate(work(limited), READ_MS, clock, () => {
        const error = awayError(`no answer within ${READ_MS} ms`)
        late.abort(error)
        throw error
      })
      if (this.#away) logger.info('source_back', { store: this.name })
      this.#away = false
      return { ok: true, value }
    } catch (error) {
      throwIfAborted(signal)
      if (!isVergeError(error, 'store_unavailable')) throw error
      if (!this.#away) logger.warn('source_away', { store: this.name, error })
      this.#away = true
      this.#pausedUntil = clock.now() + PAUSE_MS
      return { ok: false, error }
    }
  }

  /** A copy that cannot be written costs the next outage, not this request. */
  async #keep(key: string, bytes: Uint8Array | null): Promise<void> {
    try {
      if (bytes === null) {
        this.#written.delete(key)
        await this.#copies.delete(key)
        return
      }
      const before = this.#written.get(key)
      if (before !== undefined && Buffer.compare(before, bytes) === 0) return
      await this.#copies.put(key, bytes)
      this.#written.set(key, bytes)
    } catch (error) {
      this.#options.logger.warn('copy_not_kept', { key, error })
    }
  }
}

function isRecord(key: string): boolean {
  return key.startsWith('alias/') || key.startsWith('manifest/')
}

function awayError(cause: string | undefined): VergeError {
  return new VergeError('store_unavailable', 'The catalogue cannot be read. Try again in a moment.', {
    cause,
    retryAfter: PAUSE_MS / 1000,
  })
}
