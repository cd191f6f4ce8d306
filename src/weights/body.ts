import { abortError, throwIfAborted, VergeError } from '../core/errors.ts'
import { GrowingBytes } from '../core/growing-bytes.ts'
import { PLATFORM } from '../core/limits.ts'
import { onAbort, untilAborted } from '../core/runtime.ts'

/** Bytes that come piece by piece. A piece is good until the next call: its memory is used again. */
export interface ByteReader {
  /** Null at the end. */
  next(): Promise<Uint8Array | null>
  /** Cancels the read. Returns at once, because a hanging source must not delay its reader. */
  cancel(reason: unknown): void
}

/**
 * Reads a stream into one buffer that is used again and again, where the stream is one of bytes; a plain reader makes
 * workerd hand out 4 KiB at a time.
 */
export function byteReader(body: ReadableStream<Uint8Array>, pieceBytes: number = PLATFORM.readPieceBytes): ByteReader {
  const reader = byobReader(body)
  if (reader === null) {
    const plain = body.getReader()
    return {
      next: async () => (await plain.read()).value ?? null,
      cancel: (reason) => void plain.cancel(reason).catch(ignore),
    }
  }
  let view = new Uint8Array(pieceBytes)
  return {
    async next() {
      const { done, value } = await reader.read(view)
      if (done || value === undefined) return null
      view = new Uint8Array(value.buffer)
      return value
    },
    cancel: (reason) => void reader.cancel(reason).catch(ignore),
  }
}

function byobReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: 'byob' })
  } catch (error) {
    // a locked stream is refused too, and then the plain reader says so
    if (error instanceof TypeError) return null
    throw error
  }
}

/** Bytes that are in memory already, in pieces that are views of them. */
export function byteReaderOf(bytes: Uint8Array, pieceBytes: number = PLATFORM.readPieceBytes): ByteReader {
  let offset = 0
  return {
    async next() {
      if (offset >= bytes.length) return null
      const piece = bytes.subarray(offset, offset + pieceBytes)
      offset += piece.length
      return piece
    },
    cancel() {
      offset = bytes.length
    },
  }
}

export interface ChunkStreamOptions {
  /** Named in errors. */
  readonly store: string
  /** Bytes to leave out at the beginning. */
  readonly skip?: number
  /** The most bytes to pass on. */
  readonly take?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * A store's body as callers see it: the part asked for, ended by the signal with its typed reason, and with a failure
 * of the source turned into `store_unavailable`. Nothing is read before it is asked for, and nothing is kept.
 */
export function bodyOf(source: ByteReader, options: ChunkStreamOptions): ReadableStream<Uint8Array> {
  const { store, signal } = options
  let skip = options.skip ?? 0
  let left = options.take ?? Number.POSITIVE_INFINITY
  let ended = false
  let detach = (): void => {}
  const end = (): void => {
    ended = true
    detach()
  }
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      if (signal === undefined) return
      detach = onAbort(signal, () => {
        if (ended) return
        end()
        const reason = abortError(signal)
        controller.error(reason)
        source.cancel(reason)
      })
    },
    async pull(controller) {
      try {
        while (!ended) {
          const piece = left > 0 ? await source.next() : null
          if (ended) return
          if (piece === null) {
            end()
            if (left <= 0) source.cancel('the range has been read')
            controller.close()
            // a reader that brought its own buffer waits until that is given back
            controller.byobRequest?.respond(0)
            return
          }
          const wanted = piece.subarray(skip, skip + left)
          skip = Math.max(0, skip - piece.length)
          if (wanted.length === 0) continue
          left -= wanted.length
          handOut(controller, wanted)
          return
        }
      } catch (cause) {
        if (ended) return
        end()
        controller.error(unavailable(store, cause))
      }
    },
    cancel(reason) {
      end()
      source.cancel(reason)
    },
  })
}

/**
 * Copies a piece into the buffer that the reader brought, where it is large enough: a buffer of its own for each piece would
 * be as much garbage as a model has weights, in an isolate that has hardly more memory than that.
 */
function handOut(controller: ReadableByteStreamController, piece: Uint8Array): void {
  const asked = controller.byobRequest
  const { view } = asked ?? {}
  if (view && asked && view.byteLength >= piece.length) {
    new Uint8Array(view.buffer, view.byteOffset, piece.length).set(piece)
    asked.respond(piece.length)
    return
  }
  // not `slice`: a piece may be a Node Buffer, whose `slice` shares a pool that a stream must not transfer
  controller.enqueue(new Uint8Array(piece))
}

/** A store that failed without saying more. */
export function unavailable(store: string, cause: unknown): VergeError {
  return new VergeError('store_unavailable', `The ${store} store did not answer. Try again in a moment.`, {
    cause,
    details: { store },
    retryAfter: 1,
  })
}

/** Waits for a store's service until the signal aborts. @throws store_unavailable, the signal's reason */
export async function asked<T>(store: string, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await untilAborted(work(), signal)
  } catch (cause) {
    throwIfAborted(signal)
    throw unavailable(store, cause)
  }
}

/**
 * The cursor of an incomplete list. A list without a cursor, or with a repeated one, must not count as complete: its
 * remaining objects would count as missing.
 * @throws store_unavailable
 */
export function nextCursor(store: string, next: string | undefined, given: string | undefined): string {
  if (next !== undefined && next !== '' && next !== given) return next
  throw new VergeError('store_unavailable', `A list of the ${store} store is incomplete. Try again in a moment.`, {
    details: { store },
    retryAfter: 1,
  })
}

/**
 * Hands every piece of a body to `use`, in order, waiting for it each time. When the signal fires, or `use` throws, the
 * body is cancelled and no further piece is handed out.
 */
export async function forEachPiece(
  body: ReadableStream<Uint8Array>,
  use: (piece: Uint8Array) => void | Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const pieces = byteReader(body)
  let stop: (reason: unknown) => void = ignore
  const release = onAbort(signal, () => {
    if (signal !== undefined) stop(abortError(signal))
  })
  let failure: unknown = 'given up'
  try {
    for (;;) {
      throwIfAborted(signal)
      const piece = await new Promise<Uint8Array | null>((resolve, reject) => {
        stop = reject
        pieces.next().then(resolve, reject)
      })
      throwIfAborted(signal)
      if (piece === null) {
        failure = undefined
        return
      }
      await use(piece)
    }
  } catch (error) {
    failure = error
    throw error
  } finally {
    release()
    if (failure !== undefined) pieces.cancel(failure)
  }
}

/** Memory for a whole body before any of it has come. */
const FIRST_BYTES = 4 * 1024

/** A whole body of at most `maxBytes`; null, and the rest unread, if it is longer. */
export async function readAtMost(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const content = new GrowingBytes({ first: FIRST_BYTES, most: maxBytes })
  const tooLong = new Error('longer than allowed')
  try {
    await forEachPiece(
      body,
      (piece) => {
        if (content.length + piece.length > maxBytes) throw tooLong
        content.append(piece)
      },
      signal,
    )
  } catch (error) {
    if (error === tooLong) return null
    throw error
  }
  return content.bytes.slice()
}

function ignore(): void {}
