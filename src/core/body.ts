import { abortError, VergeError } from './errors.ts'
import { GrowingBytes } from './growing-bytes.ts'
import type { Limits } from './limits.ts'
import { type Clock, onAbort, untilAborted, untilLate } from './runtime.ts'

export interface BodyOptions {
  /** Most bytes taken. */
  readonly maxBytes: number
  readonly signal: AbortSignal
  /** Told that the headers are no reason to refuse the body, before any of it is read. */
  readonly accepted?: () => void
  /** Told how many bytes are held before memory is given for them; may refuse by throwing. */
  readonly hold?: (bytes: number) => void
  /** Told how many bytes have come; `undefined`: all. May refuse by throwing. */
  readonly reading?: (received: number | undefined) => void
  /** How slowly a body may come; as it pleases if left out. */
  readonly pace?: Pace
  /** Unused bytes kept before the body, so that what follows a header of known length can be aligned. */
  readonly padding?: number
}

/** The least rate of a body: `bytesPerSecond` on average, asked for from `graceMs` on; and no pause longer than that. */
export interface Pace {
  readonly clock: Clock
  readonly graceMs: number
  readonly bytesPerSecond: number
}

export function paceOf({ clock, limits }: { readonly clock: Clock; readonly limits: Limits }): Pace {
  return { clock, graceMs: limits.bodyGraceMs, bytesPerSecond: limits.bodyBytesPerSecond }
}

/**
 * Reads a request's body whole, within bounds: the declared length is checked before anything is read, the bytes
 * themselves while they come.
 * @throws unsupported_encoding, body_too_large, body_too_slow, overloaded, invalid_request, cancelled, deadline_exceeded
 */
export async function readBody(request: Request, options: BodyOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { maxBytes, signal } = options
  refuseEncoding(request.headers.get('content-encoding'))
  const declared = declaredLength(request.headers.get('content-length'))
  if (declared !== undefined && declared > maxBytes) throw tooLarge(maxBytes)
  if (request.body === null) return new Uint8Array(0)
  options.accepted?.()
  if (declared !== undefined && declared <= WHOLE_BYTES) return readSmall(request, declared, options)

  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader()
  const progress = new Progress(options, () => void reader.cancel().catch(() => {}))
  const release = onAbort(signal, () => void reader.cancel(signal.reason).catch(() => {}))
  try {
    if (signal.aborted) throw abortError(signal)
    return await collect(reader, declared, options, progress)
  } catch (error) {
    reader.cancel().catch(() => {})
    if (signal.aborted) throw abortError(signal)
    // A read that is cancelled ends as done, or fails: which of them depends on where the bytes come from.
    progress.refuseSlow()
    throw error
  } finally {
    progress.end()
    release()
  }
}

/**
 * A body this small is read in one call, which is cheaper, but does not say how much has come. Larger ones are read in
 * pieces, so that one that comes steadily is not taken for one that does not come at all.
 */
const WHOLE_BYTES = 16 * 1024

/** Memory that a body gets before any of it has come. It grows with the body. */
const FIRST_BYTES = 16 * 1024

/** A body that is known to be small, in one piece: several times faster than piece by piece. */
async function readSmall(
  request: Request,
  declared: number,
  { signal, hold, pace, reading }: BodyOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  hold?.(declared)
  reading?.(0)
  const whole = request.arrayBuffer().catch(endedEarly)
  const inTime =
    pace === undefined
      ? whole
      : untilLate(whole, pace.graceMs + (declared * 1000) / pace.bytesPerSecond, pace.clock, () => {
          throw tooSlow(pace)
        })
  const bytes = new Uint8Array(await untilAborted(inTime, signal))
  reading?.(undefined)
  return bytes.length <= declared ? bytes : bytes.slice(0, declared)
}

const CHECK_MS = 1000

/** How a body that comes in pieces comes on. */
class Progress {
  readonly #options: BodyOptions
  readonly #giveUp: () => void
  readonly #begun: number
  #received = 0
  /** When a piece came last. */
  #last: number
  #slow: Pace | undefined
  #cancelTimer: () => void = () => {}

  /** @param giveUp ends the wait for the next piece */
  constructor(options: BodyOptions, giveUp: () => void) {
    this.#options = options
    this.#giveUp = giveUp
    this.#begun = options.pace?.clock.now() ?? 0
    this.#last = this.#begun
    if (options.pace !== undefined) this.#check(options.pace)
  }

  /** Notes what has come. @throws body_too_slow, and what `reading` throws */
  note(received: number | undefined): void {
    this.refuseSlow()
    this.#options.reading?.(received)
    if (received === undefined || received === this.#received) return
    this.#received = received
    this.#last = this.#options.pace?.clock.now() ?? 0
  }

  /** @throws body_too_slow */
  refuseSlow(): void {
    if (this.#slow !== undefined) throw tooSlow(this.#slow)
  }

  end(): void {
    this.#cancelTimer()
  }

  #check(pace: Pace): void {
    const now = pace.clock.now()
    const elapsed = now - this.#begun - pace.graceMs
    const slow = now - this.#last >= pace.graceMs || this.#received < (elapsed * pace.bytesPerSecond) / 1000
    if (slow) {
      this.#slow = pace
      this.#giveUp()
    } else this.#cancelTimer = pace.clock.after(CHECK_MS, () => this.#check(pace))
  }
}

function tooSlow({ bytesPerSecond, graceMs }: Pace): VergeError {
  return new VergeError(
    'body_too_slow',
    `The request body arrived too slowly. After ${graceMs / 1000} s, send at least ${bytesPerSecond} bytes per second.`,
    { details: { least_bytes_per_second: bytesPerSecond } },
  )
}

function endedEarly(cause: unknown): never {
  throw new VergeError('invalid_request', 'The request body is incomplete. Send it again.', { cause })
}

async function collect(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  declared: number | undefined,
  { maxBytes, signal, hold, padding = 0 }: BodyOptions,
  progress: Progress,
): Promise<Uint8Array<ArrayBuffer>> {
  const content = new GrowingBytes({
    first: FIRST_BYTES,
    most: declared ?? maxBytes,
    padding,
    ...(hold !== undefined && { hold }),
  })
  progress.note(0)
  for (;;) {
    const { done, value } = await read(reader)
    if (signal.aborted) throw abortError(signal)
    progress.note(done ? undefined : content.length + value.length)
    if (done) return content.bytes
    if (content.length + value.length > maxBytes) throw tooLarge(maxBytes)
    content.append(value)
  }
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read()
  } catch (cause) {
    return endedEarly(cause)
  }
}

function refuseEncoding(encoding: string | null): void {
  if (encoding === null || encoding.trim() === '' || encoding.trim().toLowerCase() === 'identity') return
  throw new VergeError(
    'unsupported_encoding',
    'Compressed request bodies are not accepted. Send the body uncompressed.',
  )
}

function tooLarge(maxBytes: number): VergeError {
  return new VergeError('body_too_large', `The request body may have at most ${maxBytes} bytes.`, {
    details: { limit_bytes: maxBytes },
  })
}

/** A Content-Length header's bytes; undefined where it is missing or is no number. */
export function declaredLength(header: string | null | undefined): number | undefined {
  return header !== undefined && header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}

/** Names that browsers, systems and older programs give to media types, by the names that are registered. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['image/jpg', 'image/jpeg'],
  ['image/pjpeg', 'image/jpeg'],
  ['image/x-png', 'image/png'],
  ['audio/x-wav', 'audio/wav'],
  ['audio/x-pn-wav', 'audio/wav'],
  ['audio/wave', 'audio/wav'],
  ['audio/vnd.wave', 'audio/wav'],
  ['application/csv', 'text/csv'],
  ['application/x-csv', 'text/csv'],
  ['text/x-csv', 'text/csv'],
  ['text/comma-separated-values', 'text/csv'],
  ['text/tsv', 'text/tab-separated-values'],
])

/** A Content-Type header's media type, lower case, by its registered name; empty if there is none. */
export function mediaTypeOf(header: string | null | undefined): string {
  const type = (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return ALIASES.get(type) ?? type
}

/** A Content-Type header's charset, as it is written. */
export function charsetOf(header: string | null | undefined): string | undefined {
  return /;\s*charset\s*=\s*"?([^\s";]{1,64})/i.exec(header ?? '')?.[1]
}
