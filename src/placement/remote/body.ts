import { GrowingBytes } from '../../core/growing-bytes.ts'
import { identityStream } from '../../core/identity-stream.ts'
import type { ExchangeTimeouts } from './exchange.ts'

/** What is read at once. workerd's own default of 4 KiB costs several times the time for a large body. */
const PIECE_BYTES = 64 * 1024
/**
 * The same where an origin is quick. In workerd each piece leaves 5 KB of garbage behind, however small it is, which stays
 * until its collector runs: 9 MB for each 100 MB in pieces of 64 KiB.
 */
const QUICK_PIECE_BYTES = 256 * 1024
/** How soon a piece comes from a quick origin. */
const QUICK_MS = 100

/** Reads a body piece by piece; undefined at its end. */
export interface AnswerReader {
  /** @param memory of an earlier piece that nobody needs any more */
  next(memory?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** Lets go of the body, and of what sends it. */
  cancel(reason: unknown): void
}

/**
 * The pieces of an origin's answer, under the exchange's time limits: the wait for each counts, not the time that the
 * reader takes between two.
 * @param large whether to read in large pieces, for bodies that are not read for each little event
 */
export function answerReader(
  body: ReadableStream<Uint8Array>,
  timeouts: ExchangeTimeouts,
  large: boolean,
): AnswerReader {
  const read = readerOf(body, large)
  // Bytes to wait for. One of them, unless the origin is quick: what comes slowly is passed on as it comes, and is no
  // silence that a time limit could take it for.
  let least = 1
  return {
    async next(memory) {
      const { done, value } = await timeouts.piece(read.read(least, memory))
      if (done || value === undefined) {
        timeouts.done()
        return undefined
      }
      least = timeouts.waitedMs < QUICK_MS ? Math.max(1, Math.min(2 * value.length, QUICK_PIECE_BYTES)) : 1
      return value
    },
    cancel(reason) {
      timeouts.end(reason)
      read.cancel(reason).catch(() => {})
    },
  }
}

interface Reading {
  /** @param least bytes, but for the last piece; only large pieces wait for them */
  read(
    least: number,
    memory?: ArrayBuffer,
  ): Promise<{ readonly done: boolean; readonly value?: Uint8Array<ArrayBuffer> | undefined }>
  cancel(reason: unknown): Promise<void>
}

/** By the standard; TypeScript's own types do not know `min` yet. */
interface PatientReader {
  read(view: Uint8Array<ArrayBuffer>, options: { readonly min: number }): ReturnType<Reading['read']>
  cancel: Reading['cancel']
}

function readerOf(body: ReadableStream<Uint8Array>, large: boolean): Reading {
  if (large) {
    try {
      const reader: PatientReader = body.getReader({ mode: 'byob' })
      return {
        read(least, memory) {
          const size = least > PIECE_BYTES ? QUICK_PIECE_BYTES : PIECE_BYTES
          const piece = memory !== undefined && memory.byteLength >= size ? memory : new ArrayBuffer(size)
          return reader.read(new Uint8Array(piece), { min: least })
        },
        cancel: (reason) => reader.cancel(reason),
      }
    } catch {
      // Not a stream of bytes: only those of this platform's own fetch are sure to be.
    }
  }
  const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>
  return { read: () => reader.read(), cancel: (reason) => reader.cancel(reason) }
}

/** What was read of a body within a bound. */
export interface Collected {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Whether that is all of it; if not, the rest is still to come. */
  readonly complete: boolean
}

/**
 * Reads until the end, or until there is more than `most`.
 * @param declared length that the answer declares
 */
export async function collect(from: AnswerReader, most: number, declared: number | undefined): Promise<Collected> {
  const content = new GrowingBytes({ first: declared ?? PIECE_BYTES, most })
  for (;;) {
    const piece = await from.next()
    if (piece === undefined) return { bytes: content.bytes, complete: true }
    content.append(piece)
    if (content.length > most) return { bytes: content.bytes, complete: false }
  }
}

/**
 * A body passed on as it comes: one piece is held at a time. In workerd a stream of the platform's own takes the pieces,
 * and their memory is used again for the next: a hundred megabytes would leave as much garbage behind, faster than it is
 * collected.
 * @param first what has been read of it already
 * @param length of all of it, where it is known: the answer then declares it
 */
export function relay(from: AnswerReader, first: Uint8Array<ArrayBuffer>, length?: number): ReadableStream<Uint8Array> {
  const { native, readable, writable } = identityStream(length)
  const writer = writable.getWriter()
  // Told of a reader that leaves while nothing comes.
  writer.closed.catch((reason: unknown) => from.cancel(reason))
  const pump = async (): Promise<void> => {
    try {
      if (first.length > 0) await writer.write(first)
      for (let piece = await from.next(); piece !== undefined; ) {
        if (piece.length > 0) await writer.write(piece)
        piece = await from.next(native ? piece.buffer : undefined)
      }
      await writer.close()
    } catch (error) {
      from.cancel(error)
      await writer.abort(error)
    }
  }
  // Whoever reads is told by the stream itself.
  pump().catch(() => {})
  return readable
}
