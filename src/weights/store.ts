/** Metadata of a key, without its value. */
export interface StoredInfo {
  /** Of the whole value, whatever range was asked for. */
  readonly bytes: number
  /** Changes with every write; only stores that support conditional writes have one. */
  readonly etag?: string
}

export interface StoredValue extends StoredInfo {
  /**
   * The bytes asked for. Must be read to the end or cancelled. Fails with the signal's reason when that fires, and with
   * `store_unavailable` when the store breaks off.
   */
  readonly body: ReadableStream<Uint8Array>
}

/** Bytes from `offset`, `length` of them or as many as there are. Past the end is empty, not an error. */
export interface ByteRange {
  readonly offset: number
  readonly length?: number
}

export interface StoreOptions {
  /**
   * Ends the wait with its reason. An aborted signal rejects the call before the store is called. A write or a deletion
   * that is aborted midway may still complete later; until then its bytes must not change.
   */
  readonly signal?: AbortSignal | undefined
}

export interface GetOptions extends StoreOptions {
  readonly range?: ByteRange
}

export interface PutOptions extends StoreOptions {
  /** Write only if the key has this etag, or only if it does not exist. */
  readonly onlyIf?: { readonly etag: string } | 'absent'
}

export interface ListOptions extends StoreOptions {
  /** Of the page before. */
  readonly cursor?: string | undefined
}

export interface ListPage {
  /** In lexicographic order of their UTF-8 bytes. */
  readonly keys: readonly string[]
  /** Of each key, in the same order, where the store's lists tell them. */
  readonly infos?: readonly StoredInfo[]
  /** Passed to the next call; absent on the last page. */
  readonly cursor?: string
}

/** Writes and deletes many small texts at once. Not atomic: after a failure some may be done. */
export interface ManyTexts {
  /** @throws store_unavailable, the signal's reason */
  put(texts: ReadonlyMap<string, string>, options?: StoreOptions): Promise<void>
  /** @throws store_unavailable, the signal's reason */
  delete(keys: readonly string[], options?: StoreOptions): Promise<void>
}

/**
 * A flat key-value store of bytes. Every implementation passes `test/contract/store.ts`. Each method rejects with the
 * signal's reason as a typed error (`cancelled`, `deadline_exceeded`), and with `store_unavailable` if the store fails.
 */
export interface Store {
  readonly name: string
  head(key: string, options?: StoreOptions): Promise<StoredInfo | null>
  get(key: string, options?: GetOptions): Promise<StoredValue | null>
  /**
   * Writes atomically: a reader sees the old value or the new one.
   * @returns the new info, or null if the condition did not hold
   * @throws store_unavailable where the store has no conditional writes
   */
  put(key: string, value: Uint8Array, options?: PutOptions): Promise<StoredInfo | null>
  /** One page of the keys that begin with `prefix`. */
  list(prefix: string, options?: ListOptions): Promise<ListPage>
  /** Deleting what does not exist succeeds. */
  delete(key: string, options?: StoreOptions): Promise<void>
  /** Absent where a store takes one value at a time. */
  readonly many?: ManyTexts
}
