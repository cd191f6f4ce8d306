import { isVergeError, throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { LruMap } from '../../core/lru.ts'
import { type Clock, type Logger, onAbort } from '../../core/runtime.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import { type KeyRecord, keyRecordKey, parseKeyRecord } from './record.ts'

export interface KeyReaderOptions {
  /** Its `now` must count from 1970. */
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<
    Limits,
    | 'keyRecordBytes'
    | 'keyRecordsCachedBytes'
    | 'keyTtlMs'
    | 'unknownKeysCached'
    | 'unknownKeyTtlMs'
    | 'keyCopyMs'
    | 'keyTruthMs'
  >
}

interface Known {
  readonly record: KeyRecord
  readonly bytes: number
  /** By the clock, in milliseconds. */
  readonly until: number
  /** A copy is known to be out of date. */
  readonly truthOnly?: true
}

/**
 * Reads keys' records: from the isolate's memory, from the copy in KV, from the truth in R2. A copy that is missing, late,
 * damaged or older than what was read before is left aside for the truth. Without the truth a copy is enough; without
 * either, nobody gets in. The isolate keeps values, never promises, because in workerd a request must not wait for another
 * request's work.
 */
export class KeyReader {
  readonly #copies: Store
  readonly #truth: Store
  readonly #options: KeyReaderOptions
  readonly #known: LruMap<Known>
  /** Ids without a record, and until when this is believed. */
  readonly #unknown: LruMap<number>

  constructor(copies: Store, truth: Store, options: KeyReaderOptions) {
    this.#copies = copies
    this.#truth = truth
    this.#options = options
    this.#known = new LruMap(options.limits.keyRecordsCachedBytes, ({ bytes }) => bytes)
    this.#unknown = new LruMap(options.limits.unknownKeysCached)
  }

  /** What this isolate knows of a key without a look-up: null if there is none, undefined if it has to be looked up. */
  remembered(id: string): KeyRecord | null | undefined {
    const now = this.#options.clock.now()
    const known = this.#known.get(id)
    if (known !== undefined && now < known.until) return known.record
    const until = this.#unknown.get(id)
    return until !== undefined && now < until ? null : undefined
  }

  /**
   * The record of a key; null if there is no such key.
   * @throws store_unavailable, cancelled, deadline_exceeded
   */
  async record(id: string, signal?: AbortSignal): Promise<KeyRecord | null> {
    throwIfAborted(signal)
    const remembered = this.remembered(id)
    if (remembered !== undefined) return remembered
    const copy = await this.#copy(id, signal)
    // It may have been forgotten while the copy was read.
    const read = copy === null || this.#isDoubtful(id) ? await this.#fromTruth(id, signal) : copy
    const { clock, limits } = this.#options
    if (read === null) {
      this.#known.delete(id)
      this.#unknown.set(id, clock.now() + limits.unknownKeyTtlMs)
      return null
    }
    this.#unknown.delete(id)
    // Another request may have read a newer one meanwhile.
    const before = this.#known.get(id)
    const newest = before !== undefined && before.record.generation > read.record.generation ? before : read
    this.#known.set(id, { record: newest.record, bytes: newest.bytes, until: clock.now() + limits.keyTtlMs })
    return newest.record
  }

  /** Lets nothing that was read of a key count any more: its copy may be out of date, and the truth is read next. */
  forget(id: string): void {
    this.#unknown.delete(id)
    const known = this.#known.get(id)
    if (known !== undefined) this.#known.set(id, { ...known, until: 0, truthOnly: true })
  }

  #isDoubtful(id: string): boolean {
    return this.#known.get(id)?.truthOnly === true
  }

  /** The copy, if it can be used. */
  async #copy(id: string, signal: AbortSignal | undefined): Promise<Read | null> {
    if (this.#isDoubtful(id)) return null
    const known = this.#known.get(id)
    try {
      const read = await this.#read(this.#copies, id, this.#options.limits.keyCopyMs, signal)
      if (read === null || read.record.generation >= (known?.record.generation ?? 0)) return read
      this.#options.logger.warn('key_copy_outdated', { id, store: this.#copies.name })
    } catch (error) {
      if (!isVergeError(error, 'store_unavailable')) throw error
      this.#options.logger.warn('key_copy_unusable', { id, store: this.#copies.name, error })
    }
    return null
  }

  /** The truth never gives an older record than was read before: a bucket that was set back lets nobody in again. */
  async #fromTruth(id: string, signal: AbortSignal | undefined): Promise<Read | null> {
    const read = await this.#read(this.#truth, id, this.#options.limits.keyTruthMs, signal)
    const known = this.#known.get(id)
    if (read === null || known === undefined || read.record.generation >= known.record.generation) return read
    this.#options.logger.error('key_went_back', { id, from: known.record.generation, to: read.record.generation })
    return known
  }

  async #read(store: Store, id: string, mostMs: number, signal: AbortSignal | undefined): Promise<Read | null> {
    const { clock, limits } = this.#options
    const controller = new AbortController()
    const release = onAbort(signal, () => controller.abort(signal?.reason))
    const cancelTimer = clock.after(mostMs, () => controller.abort(away(`no answer within ${mostMs} ms`)))
    try {
      const found = await store.get(keyRecordKey(id), { signal: controller.signal })
      if (found === null) return null
      const bytes = await readAtMost(found.body, limits.keyRecordBytes, controller.signal)
      if (bytes === null) throw away(`the record has more than ${limits.keyRecordBytes} bytes`)
      return { record: parseKeyRecord(bytes, id), bytes: bytes.length }
    } catch (error) {
      throw isVergeError(error, 'store_unavailable') ? away(error) : error
    } finally {
      cancelTimer()
      release()
    }
  }
}

type Read = Pick<Known, 'record' | 'bytes'>

/** Where a key cannot be checked, its caller is refused: as anonymous, it might be answered by less than it asked for. */
function away(cause: unknown): VergeError {
  return new VergeError('store_unavailable', 'The key cannot be checked at present. Try again in a moment.', {
    cause: typeof cause === 'string' ? new Error(cause) : cause,
    retryAfter: 1,
  })
}
