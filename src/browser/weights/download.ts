import { doublingPauseMs } from '../../core/backoff.ts'
import { isVergeError, throwIfAborted, VergeError } from '../../core/errors.ts'
import { type Clock, untilAborted } from '../../core/runtime.ts'
import { forEachPiece } from '../../weights/body.ts'
import { guardAgainstStall } from '../../weights/stall.ts'
import type { BlobAddress, WeightsHttp } from './http.ts'
import type { KeptWriter } from './kept.ts'
import type { WeightsLimits } from './limits.ts'
import { IncrementalSha256 } from './sha256.ts'

export interface DownloadOptions {
  readonly http: WeightsHttp
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly limits: Pick<WeightsLimits, 'attempts' | 'chunkStallMs' | 'firstPauseMs' | 'longestPauseMs'>
}

export interface ChunkDownload {
  readonly address: BlobAddress
  readonly bytes: number
  /** What an earlier download has brought. */
  readonly beginning: Uint8Array
  /** Opens what keeps the bytes from an offset on; null where nothing does. */
  readonly keep: (from: number) => Promise<KeptWriter | null>
  /** The bytes can no longer be kept. */
  readonly onUnkept: (cause: unknown) => void
  readonly write: (offset: number, data: Uint8Array) => void
  readonly signal: AbortSignal
}

/** Told apart from failures of the network: another attempt would end in the same way. */
class WriteFailure {
  readonly cause: unknown
  constructor(cause: unknown) {
    this.cause = cause
  }
}

/**
 * Downloads a chunk, continues where it breaks off, and compares its SHA-256. Bytes are handed on while they arrive; they are
 * to be used only once this has resolved.
 * @throws weights_unavailable, weights_corrupt, what the server refuses with, errors of `write`, the signal's reason
 */
export async function downloadChunk(chunk: ChunkDownload, options: DownloadOptions): Promise<void> {
  const { address, beginning, bytes, signal } = chunk
  const transfer = new Transfer(chunk, options)
  try {
    transfer.take(beginning.subarray(0, bytes))
    await receiveAll(transfer, chunk, options)
    if ((await transfer.digest()) !== address.sha256) {
      // What was kept, or a cache of HTTP, may have been damaged.
      await transfer.restart()
      await receiveAll(transfer, chunk, options)
      if ((await transfer.digest()) !== address.sha256) throw corrupt(address.sha256)
    }
    await transfer.end(true)
  } catch (error) {
    throwIfAborted(signal)
    throw error instanceof WriteFailure ? error.cause : error
  } finally {
    await transfer.end(false)
  }
}

async function receiveAll(transfer: Transfer, chunk: ChunkDownload, options: DownloadOptions): Promise<void> {
  const { attempts, firstPauseMs, longestPauseMs } = options.limits
  let failed = 0
  while (transfer.at < chunk.bytes) {
    const before = transfer.at
    const failure = await transfer.receive()
    if (transfer.at === chunk.bytes) return
    failed = transfer.at > before ? 1 : failed + 1
    const askedMs = isVergeError(failure) ? (failure.retryAfter ?? 0) * 1000 : 0
    if (failed >= attempts || askedMs > longestPauseMs) throw unavailable(chunk.address.sha256, failure)
    const pauseMs = Math.max(askedMs, doublingPauseMs(failed, firstPauseMs, options.random()))
    await options.clock.sleep(pauseMs, chunk.signal)
  }
}

/** One chunk on its way, through all of its attempts. */
class Transfer {
  /** Bytes that have been handed on. */
  at = 0
  readonly #chunk: ChunkDownload
  readonly #options: DownloadOptions
  #digest = new IncrementalSha256()
  /** Null where nothing keeps the bytes; undefined until there are some. */
  #writer: KeptWriter | null | undefined
  #fresh = false

  constructor(chunk: ChunkDownload, options: DownloadOptions) {
    this.#chunk = chunk
    this.#options = options
  }

  take(data: Uint8Array): void {
    if (data.length === 0) return
    try {
      this.#chunk.write(this.at, data)
    } catch (cause) {
      throw new WriteFailure(cause)
    }
    this.#digest.add(data)
    this.at += data.length
  }

  digest(): Promise<string> {
    return this.#digest.hex()
  }

  async restart(): Promise<void> {
    await this.end(false)
    this.at = 0
    this.#digest = new IncrementalSha256()
    this.#writer = undefined
    this.#fresh = true
  }

  /** Requests what is missing, once. @returns why not all of it came */
  async receive(): Promise<unknown> {
    const { address, bytes, signal } = this.#chunk
    const { clock, http, limits } = this.#options
    const guard = guardAgainstStall(signal, clock, limits.chunkStallMs)
    const whole = new Error('All bytes are there.')
    try {
      const request = { from: this.at, fresh: this.#fresh, signal: guard.signal }
      const { body, from } = await untilAborted(http.open(address, request), guard.signal)
      // A server that ignores ranges sends the beginning again.
      let skip = this.at - from
      if (skip < 0) throw new Error('The server sent a later part of the chunk.')
      await forEachPiece(
        body,
        async (piece) => {
          guard.progress()
          const data = piece.subarray(skip, skip + bytes - this.at)
          const more = piece.length > skip + data.length
          skip = Math.max(0, skip - piece.length)
          if (data.length > 0) await this.#keep(data)
          this.take(data)
          // More than the chunk has is not read.
          if (more) throw whole
        },
        guard.signal,
      )
      return new Error('The connection ended early.')
    } catch (error) {
      throwIfAborted(signal)
      if (error === whole) return undefined
      const refused = isVergeError(error) && error.code !== 'store_unavailable'
      if (refused || error instanceof WriteFailure) throw error
      return error
    } finally {
      guard.stop()
    }
  }

  /** @param complete whether all bytes have come, and are those of the digest */
  async end(complete: boolean): Promise<void> {
    const writer = this.#writer
    this.#writer = null
    try {
      await writer?.close(complete)
    } catch (cause) {
      this.#chunk.onUnkept(cause)
    }
  }

  async #keep(data: Uint8Array): Promise<void> {
    try {
      if (this.#writer === undefined) this.#writer = await this.#chunk.keep(this.at)
      await this.#writer?.append(data)
    } catch (cause) {
      await this.end(false)
      this.#chunk.onUnkept(cause)
    }
  }
}

function unavailable(sha256: string, cause: unknown): VergeError {
  return new VergeError(
    'weights_unavailable',
    'The download of the weights broke off. Check the network, and try again: what has arrived is kept.',
    { cause, details: { sha256 }, retryAfter: 1 },
  )
}

function corrupt(sha256: string): VergeError {
  return new VergeError(
    'weights_corrupt',
    'The downloaded weights are not those that the server names. Look for a proxy that changes them.',
    { details: { sha256 } },
  )
}
