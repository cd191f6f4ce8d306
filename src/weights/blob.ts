import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'

/** A piece of a blob, stored under its own digest. */
export interface ChunkInfo {
  /** Lower-case hexadecimal. */
  readonly sha256: string
  readonly bytes: number
}

/** Bytes stored as content-addressed chunks, in order. */
export interface BlobInfo {
  /** Digest of the whole blob. Readers verify every chunk instead, and trust the manifest for the whole. */
  readonly sha256: string
  readonly bytes: number
  readonly chunks: readonly ChunkInfo[]
}

/** Where a chunk lies in every store. */
export function blobKey(sha256: string): string {
  return `blob/sha256/${sha256}`
}

/**
 * Checks the declaration of a blob before any allocation or fetch.
 * @throws manifest_invalid, model_too_large
 */
export function checkBlob(blob: BlobInfo, limits: Pick<Limits, 'chunkBytes' | 'artifactBytes'>): void {
  let sum = 0
  for (const [index, chunk] of blob.chunks.entries()) {
    if (chunk.bytes > limits.chunkBytes) {
      throw new VergeError(
        'manifest_invalid',
        `Chunk ${index + 1} of the weights is declared with ${chunk.bytes} bytes; the limit is ${limits.chunkBytes}. ` +
          'Pack this version again.',
      )
    }
    sum += chunk.bytes
  }
  if (sum !== blob.bytes) {
    throw new VergeError(
      'manifest_invalid',
      `The weights are declared with ${blob.bytes} bytes, but their chunks add up to ${sum}. Pack this version again.`,
    )
  }
  if (blob.bytes > limits.artifactBytes) {
    throw new VergeError(
      'model_too_large',
      `The weights have ${blob.bytes} bytes; the limit is ${limits.artifactBytes}. Use a smaller model, or a lower ` +
        'precision.',
    )
  }
}
