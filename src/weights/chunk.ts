import { isVergeError, throwIfAborted } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { type Clock, type Sha256Factory, untilAborted } from '../core/runtime.ts'
import { blobKey, type ChunkInfo } from './blob.ts'
import { forEachPiece } from './body.ts'
import { guardAgainstStall } from './stall.ts'
import type { Store } from './store.ts'

/** Why a layer's copy of a chunk could not be used. */
export type ChunkFault =
  | { readonly kind: 'missing' }
  | { readonly kind: 'unavailable'; readonly cause: unknown }
  | { readonly kind: 'stalled' }
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'long' }
  | { readonly kind: 'corrupt'; readonly sha256: string }

export interface ChunkReadOptions {
  readonly sha256: Sha256Factory
  readonly clock: Clock
  readonly limits: Pick<Limits, 'chunkStallMs'>
}

/** Told apart from a store's failure: what the reader of the bytes threw is not for the next layer to fix. */
class WriteFailure {
  readonly cause: unknown
  constructor(cause: unknown) {
    this.cause = cause
  }
}

/**
 * Streams one chunk from one store to `write`, at offsets within the chunk, and verifies it. Never writes past the
 * chunk's declared end, nor after the signal has aborted.
 * @returns the fault of the copy, or null if it was delivered completely with the right digest
 * @throws the signal's reason, errors of `write`, and failures of the store other than `store_unavailable`
 */
export async function readChunk(
  store: Store,
  chunk: ChunkInfo,
  write: (offset: number, data: Uint8Array) => void,
  signal: AbortSignal,
  options: ChunkReadOptions,
): Promise<ChunkFault | null> {
  throwIfAborted(signal)
  const guard = guardAgainstStall(signal, options.clock, options.limits.chunkStallMs)
  const tooLong = new Error('longer than declared')
  let bytes = 0
  try {
    const found = await untilAborted(
      store.get(blobKey(chunk.sha256), { signal: guard.signal }),
      guard.signal,
      (late) => {
        late?.body.cancel('too late').catch(() => {})
      },
    )
    if (found === null) return { kind: 'missing' }
    const digest = options.sha256()
    await forEachPiece(
      found.body,
      async (piece) => {
        guard.progress()
        if (bytes + piece.length > chunk.bytes) throw tooLong
        try {
          write(bytes, piece)
        } catch (error) {
          throw new WriteFailure(error)
        }
        bytes += piece.length
        await digest.update(piece)
      },
      guard.signal,
    )
    if (bytes < chunk.bytes) return { kind: 'short', bytes }
    const sha256 = await digest.hex()
    return sha256 === chunk.sha256 ? null : { kind: 'corrupt', sha256 }
  } catch (error) {
    if (error instanceof WriteFailure) throw error.cause
    throwIfAborted(signal)
    if (error === tooLong) return { kind: 'long' }
    if (guard.stalled()) return { kind: 'stalled' }
    if (isVergeError(error, 'store_unavailable')) return { kind: 'unavailable', cause: error }
    throw error
  } finally {
    guard.stop()
  }
}
