import { createHash } from 'node:crypto'
import { checkManifest } from '../../catalog/parse.ts'
import { checkBlobs } from '../../catalog/servable.ts'
import { VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { systemClock } from '../../core/runtime.ts'
import { type BlobInfo, blobKey, type ChunkInfo } from '../../weights/blob.ts'
import { readChunk } from '../../weights/chunk.ts'
import type { Store, StoredInfo } from '../../weights/store.ts'
import { nodeSha256 } from '../pack/bytes.ts'
import type { PackedModel } from '../pack/packer.ts'

/** A chunk that a version needs, once, however many blobs share it. */
export interface PackedChunk extends ChunkInfo {
  readonly data: Uint8Array
  /** Lower-case hexadecimal: what R2 gives as the etag of a value that was written in one piece. */
  readonly md5: string
  /** Copied near the readers too. */
  readonly hot: boolean
}

/** Writes of one chunk before it is given up: a connection may spoil one, not three in a row. */
const ATTEMPTS = 3
/** Reading back may go through a slow line, where an isolate's patience would end too soon. */
const READ_STALL_MS = 30_000

/**
 * The parts of a packed model. Every digest is recomputed, because pushing again could never fix an object under a
 * wrong digest.
 * @throws manifest_invalid
 */
export function chunksOf({ manifest, chunks, hot }: PackedModel): PackedChunk[] {
  checkManifest(manifest, manifest.model, manifest.version)
  checkBlobs(manifest, LIMITS)
  const found = new Map<string, PackedChunk>()
  const add = (blob: BlobInfo, near: boolean): void => {
    const whole = createHash('sha256')
    for (const { sha256, bytes } of blob.chunks) {
      const data = chunks.get(sha256)
      if (data === undefined || data.length !== bytes) throw notPacked(manifest.model, sha256)
      whole.update(data)
      const known = found.get(sha256)
      if (known === undefined) {
        if (createHash('sha256').update(data).digest('hex') !== sha256) throw notPacked(manifest.model, sha256)
        found.set(sha256, { sha256, bytes, data, md5: createHash('md5').update(data).digest('hex'), hot: near })
      } else if (near && !known.hot) {
        found.set(sha256, { ...known, hot: true })
      }
    }
    if (whole.digest('hex') !== blob.sha256) throw notPacked(manifest.model, blob.sha256)
  }
  for (const artifact of manifest.artifacts) {
    add(artifact, hot && artifact.places.includes('edge'))
    // their copies are pages (page-copies.ts)
    if (artifact.pages) add(artifact.pages, false)
  }
  for (const file of Object.values(manifest.files ?? {})) add(file, hot)
  return [...found.values()]
}

/**
 * Whether a store has an intact copy of a chunk. If the etag is the chunk's MD5, the stored value is correct. With any
 * other etag, such as that of a multipart upload, the value is read and its SHA-256 decides. A copy has no etag, and
 * only its size is checked unless `thorough`: its readers verify every chunk, and read the source of truth if it is
 * damaged.
 * @throws store_unavailable, what the signal says
 */
export async function holds(
  store: Store,
  chunk: PackedChunk,
  options: { readonly isTruth: boolean; readonly thorough: boolean; readonly signal: AbortSignal },
): Promise<boolean> {
  const { isTruth, thorough, signal } = options
  const info = await store.head(blobKey(chunk.sha256), { signal })
  if (info === null || info.bytes !== chunk.bytes) return false
  if (!thorough && (!isTruth || hasMd5(info, chunk))) return true
  return readsBack(store, chunk, signal)
}

/**
 * Writes a chunk and verifies it: by the MD5 that the source of truth computed, else by reading it back. A copy is not
 * read back, because KV may report a new key as missing for a minute.
 * @throws weights_corrupt if it arrives damaged repeatedly, store_unavailable, the signal's reason
 */
export async function putChecked(
  store: Store,
  chunk: PackedChunk,
  options: { readonly isTruth: boolean; readonly signal: AbortSignal },
): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const info = await store.put(blobKey(chunk.sha256), chunk.data, { signal: options.signal })
    if (!options.isTruth || hasMd5(info, chunk)) return
    if (await readsBack(store, chunk, options.signal)) return
  }
  throw new VergeError(
    'weights_corrupt',
    `A chunk (sha256 ${chunk.sha256}) arrived damaged in ${store.name} ${ATTEMPTS} times in a row. ` +
      'Nothing went live. Check the proxies between here and the store, and push again.',
    { details: { store: store.name, sha256: chunk.sha256 } },
  )
}

function hasMd5(info: StoredInfo | null, { md5 }: PackedChunk): boolean {
  return info?.etag?.toLowerCase() === md5
}

async function readsBack(store: Store, chunk: PackedChunk, signal: AbortSignal): Promise<boolean> {
  const fault = await readChunk(store, chunk, () => {}, signal, {
    sha256: nodeSha256,
    clock: systemClock,
    limits: { chunkStallMs: READ_STALL_MS },
  })
  if (fault?.kind === 'unavailable') throw fault.cause
  return fault === null
}

function notPacked(model: string, sha256: string): VergeError {
  return new VergeError(
    'manifest_invalid',
    `A packed chunk of model "${model}" differs from its manifest (sha256 ${sha256}). Pack the model again.`,
    { details: { model, sha256 } },
  )
}
