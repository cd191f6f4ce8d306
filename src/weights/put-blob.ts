import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Sha256Factory } from '../core/runtime.ts'
import { sha256Hex } from '../core/sha256.ts'
import { type BlobInfo, blobKey, type ChunkInfo } from './blob.ts'
import { readChunk } from './chunk.ts'
import type { Store } from './store.ts'

export interface PutBlobOptions {
  readonly sha256: Sha256Factory
  readonly clock: Clock
  readonly limits: Pick<Limits, 'chunkBytes' | 'chunkStallMs'>
  /** Read back and verify stored chunks, instead of trusting their size. */
  readonly verify: boolean
  readonly signal?: AbortSignal | undefined
}

export interface PutBlobResult {
  readonly blob: BlobInfo
  /** Chunks that had to be written, over all stores. */
  readonly written: number
}

/**
 * Stores chunks under their digests in every given store, one after the other. Intact stored chunks are not written
 * again, and damaged ones are overwritten.
 * @throws manifest_invalid if a chunk is too large, store_unavailable, the signal's reason
 */
export async function putBlob(
  stores: readonly Store[],
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: PutBlobOptions,
): Promise<PutBlobResult> {
  const whole = options.sha256()
  const infos: ChunkInfo[] = []
  let bytes = 0
  let written = 0
  for await (const data of chunks) {
    if (data.length > options.limits.chunkBytes) {
      throw new VergeError(
        'manifest_invalid',
        `A chunk has ${data.length} bytes; the limit is ${options.limits.chunkBytes}. Split it.`,
      )
    }
    const chunk = { sha256: await sha256Hex(options.sha256, data), bytes: data.length }
    await whole.update(data)
    for (const store of stores) {
      if (await holds(store, chunk, options)) continue
      await store.put(blobKey(chunk.sha256), data, { signal: options.signal })
      written++
    }
    infos.push(chunk)
    bytes += data.length
  }
  return { blob: { sha256: await whole.hex(), bytes, chunks: infos }, written }
}

async function holds(store: Store, chunk: ChunkInfo, options: PutBlobOptions): Promise<boolean> {
  const { signal = new AbortController().signal } = options
  if (!options.verify) return (await store.head(blobKey(chunk.sha256), { signal }))?.bytes === chunk.bytes
  const fault = await readChunk(store, chunk, () => {}, signal, options)
  return fault === null
}
