import { isVergeError, VergeError } from '../core/errors.ts'
import type { Logger } from '../core/runtime.ts'
import { blobKey, type ChunkInfo } from './blob.ts'
import type { ByteRange, StoredInfo, StoreOptions } from './store.ts'

/** A value as its platform streams it, which passes it on to a response without JavaScript. Nothing has looked at it. */
export interface RawValue {
  /** Of the whole value; undefined where the store does not know. */
  readonly bytes: number | undefined
  /** Must be read to the end or cancelled. */
  readonly body: ReadableStream<Uint8Array>
}

/** Copies of whole chunks near the reader. */
export interface RawCopies {
  readonly name: string
  /** @throws store_unavailable, the signal's reason */
  raw(key: string, options?: StoreOptions): Promise<RawValue | null>
}

/** The truth, which reads ranges too. */
export interface RawTruth {
  readonly name: string
  head(key: string, options?: StoreOptions): Promise<StoredInfo | null>
  /** @throws store_unavailable, the signal's reason */
  raw(key: string, options?: StoreOptions & { readonly range?: ByteRange }): Promise<RawValue | null>
}

export interface PassageOptions extends StoreOptions {
  /** Within the chunk; the whole of it if left out. */
  readonly range?: Required<ByteRange> | undefined
  /** Asks the truth alone: what nobody copies, and what a reader found damaged. */
  readonly truthOnly: boolean
}

/**
 * Chunks on their way from the stores to somebody who verifies them: the bytes pass through the isolate without touching
 * its memory. A whole chunk comes from the copies where they have it; a part of one, and what they lack, from the truth.
 */
export class ChunkPassage {
  readonly #copies: RawCopies
  readonly #truth: RawTruth
  readonly #logger: Logger

  constructor(copies: RawCopies, truth: RawTruth, { logger }: { readonly logger: Logger }) {
    this.#copies = copies
    this.#truth = truth
    this.#logger = logger
  }

  /** @throws weights_unavailable, weights_corrupt, store_unavailable, the signal's reason */
  async assertStored(chunk: ChunkInfo, options: StoreOptions): Promise<void> {
    const found = await this.#truth.head(blobKey(chunk.sha256), options)
    assertUsable(found, chunk)
  }

  /**
   * A chunk's bytes, none of them verified. The stream may end too early, or fail.
   * @throws weights_unavailable, weights_corrupt, store_unavailable, the signal's reason
   */
  async open(chunk: ChunkInfo, { range, signal, truthOnly }: PassageOptions): Promise<ReadableStream<Uint8Array>> {
    const copy = truthOnly || range !== undefined ? null : await this.#copyOf(chunk, signal)
    if (copy !== null) return copy
    const found = await this.#truth.raw(blobKey(chunk.sha256), { signal, ...(range && { range }) })
    try {
      return assertUsable(found, chunk).body
    } catch (error) {
      discard(found)
      throw error
    }
  }

  async #copyOf(chunk: ChunkInfo, signal: AbortSignal | undefined): Promise<ReadableStream<Uint8Array> | null> {
    let found: RawValue | null
    try {
      found = await this.#copies.raw(blobKey(chunk.sha256), { signal })
    } catch (error) {
      if (!isVergeError(error, 'store_unavailable')) throw error
      this.#logger.warn('copy_unusable', { store: this.#copies.name, sha256: chunk.sha256, error })
      return null
    }
    if (found === null || found.bytes === chunk.bytes) return found?.body ?? null
    this.#logger.warn('copy_unusable', { store: this.#copies.name, sha256: chunk.sha256, bytes: found.bytes })
    discard(found)
    return null
  }
}

function discard(found: RawValue | null): void {
  found?.body.cancel('not what was declared').catch(() => {})
}

function assertUsable<Found extends { readonly bytes: number | undefined }>(
  found: Found | null,
  chunk: ChunkInfo,
): Found {
  const details = { sha256: chunk.sha256 }
  if (found === null) {
    throw new VergeError(
      'weights_unavailable',
      `A chunk of the weights (sha256 ${chunk.sha256}) is missing in every store. Push this version again, or roll back to another.`,
      { details },
    )
  }
  if (found.bytes === chunk.bytes) return found
  throw new VergeError(
    'weights_corrupt',
    `A chunk of the weights (sha256 ${chunk.sha256}) is damaged in every store. Push this version again, or roll back to another.`,
    { details },
  )
}
