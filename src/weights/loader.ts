import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Logger, Sha256Factory } from '../core/runtime.ts'
import type { ByteSource } from '../engine/engine.ts'
import { type BlobInfo, type ChunkInfo, checkBlob } from './blob.ts'
import { type ChunkFault, readChunk } from './chunk.ts'
import { faultError, isTransient } from './fault.ts'
import { inLanes } from './lanes.ts'
import type { Store } from './store.ts'

/** An unusable copy of a chunk in a store, for logs and repairs. */
export interface ChunkReport {
  readonly store: string
  readonly chunk: ChunkInfo
  /** Position in the blob, from 0. */
  readonly index: number
  readonly fault: ChunkFault
}

type LoaderLimits = Pick<
  Limits,
  'artifactBytes' | 'chunkBytes' | 'parallelFetches' | 'chunkStallMs' | 'chunkRetryPauseMs'
>

export interface BlobLoaderOptions {
  readonly sha256: Sha256Factory
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: LoaderLimits
  readonly report?: (report: ChunkReport) => void
}

type Write = (offset: number, data: Uint8Array) => void

/**
 * Reads blobs chunk by chunk from layers of stores, nearest first, the truth last. Each chunk is verified by its SHA-256
 * while it streams to where it is wanted; a copy that is missing, too short or long, corrupt, stalled or unavailable is
 * reported, and the chunk is read again, alone, from the next layer. Keeps nothing between calls.
 */
export class BlobLoader {
  readonly #layers: readonly Store[]
  readonly #options: BlobLoaderOptions
  readonly #limits: LoaderLimits

  constructor(layers: readonly Store[], options: BlobLoaderOptions) {
    this.#layers = layers
    this.#options = options
    this.#limits = options.limits
  }

  /**
   * A blob's bytes for an engine to load. `deliver` rejects with `weights_unavailable` or `weights_corrupt`, naming the
   * chunk, if no store has an intact copy; all other fetches are cancelled before.
   * @throws manifest_invalid, model_too_large if the blob's declaration is invalid
   */
  source(blob: BlobInfo): ByteSource {
    checkBlob(blob, this.#limits)
    return { bytes: blob.bytes, deliver: (write, signal) => this.#deliver(blob, write, signal) }
  }

  /**
   * A small blob, whole.
   * @throws model_too_large if it is larger than `maxBytes`, and what `source` throws and rejects with
   */
  async bytes(blob: BlobInfo, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const source = this.source(blob)
    if (blob.bytes > maxBytes) {
      throw new VergeError(
        'model_too_large',
        `A file of this model has ${blob.bytes} bytes; the limit is ${maxBytes}. Make it smaller and push again.`,
      )
    }
    const whole = new Uint8Array(blob.bytes)
    await source.deliver((offset, data) => whole.set(data, offset), signal)
    return whole
  }

  async #deliver(blob: BlobInfo, write: Write, signal?: AbortSignal): Promise<void> {
    const fetch = (chunk: LocatedChunk, inner: AbortSignal) => this.#fetch(chunk, blob.chunks.length, write, inner)
    // every lane has stopped writing before the caller may free the memory
    await inLanes(located(blob.chunks), this.#limits.parallelFetches, fetch, signal)
  }

  async #fetch(located: LocatedChunk, count: number, write: Write, signal: AbortSignal): Promise<void> {
    const { chunk, index, offset } = located
    const { clock, logger, report } = this.#options
    let fault: ChunkFault = { kind: 'missing' }
    const attempt = async (store: Store): Promise<boolean> => {
      const result = await readChunk(store, chunk, (within, data) => write(offset + within, data), signal, {
        ...this.#options,
        limits: this.#limits,
      })
      if (result === null) return true
      fault = result
      // a copy is a cache, and its absence is not news
      const log = result.kind === 'missing' && store !== this.#layers.at(-1) ? 'info' : 'warn'
      logger[log]('chunk_unusable', { store: store.name, sha256: chunk.sha256, index, ...described(result) })
      report?.({ store: store.name, chunk, index, fault: result })
      return false
    }
    for (const store of this.#layers) if (await attempt(store)) return
    const truth = this.#layers.at(-1)
    if (truth !== undefined && isTransient(fault)) {
      await clock.sleep(this.#limits.chunkRetryPauseMs, signal)
      if (await attempt(truth)) return
    }
    throw faultError(fault, which(located, count), { sha256: chunk.sha256, index })
  }
}

interface LocatedChunk {
  readonly chunk: ChunkInfo
  readonly index: number
  readonly offset: number
}

function located(chunks: readonly ChunkInfo[]): LocatedChunk[] {
  let offset = 0
  return chunks.map((chunk, index) => {
    const located = { chunk, index, offset }
    offset += chunk.bytes
    return located
  })
}

function which({ chunk, index }: LocatedChunk, count: number): string {
  return `Chunk ${index + 1} of ${count} of the weights (sha256 ${chunk.sha256})`
}

function described(fault: ChunkFault): Readonly<Record<string, unknown>> {
  const { kind, ...rest } = fault
  return { fault: kind, ...rest }
}
