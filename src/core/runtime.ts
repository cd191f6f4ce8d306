import { abortError, errorFields, throwIfAborted } from './errors.ts'
import { withoutSecrets } from './secrets.ts'

/**
 * Time as the core sees it, passed in so that it can be frozen in tests. In production `now` stands still during pure
 * CPU work and advances at I/O; nothing may be decided by the time that a computation took.
 */
export interface Clock {
  /** Milliseconds since some fixed point. */
  now(): number
  /** Resolves after at least `ms` milliseconds; rejects with the signal's reason as a typed error. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls back once, after at least `ms` milliseconds. @returns a function that calls it off */
  after(ms: number, callback: () => void): () => void
}

/** Counts runs of models in this isolate. A run blocks the event loop; between two counts the loop may not have turned. */
export interface RunCounter {
  finished: number
}

/** Degrees; south and west are negative. */
export interface Coordinates {
  readonly latitude: number
  readonly longitude: number
}

/** Context of a request for all code that works for it. */
export interface RequestContext {
  readonly requestId: string
  /** Raised when the caller leaves or its deadline passes (`signal.reason` is then a `deadline_exceeded` error). */
  readonly signal: AbortSignal
  /** When the caller stops waiting, by the clock; absent if there is no deadline. */
  readonly deadline?: number
  /** Keeps work alive past the end of the request that began it. */
  waitUntil(work: Promise<unknown>): void
}

/** SHA-256 over a stream of bytes. An update's bytes may be reused once its promise has resolved. */
export interface Sha256 {
  update(bytes: Uint8Array): Promise<void>
  /** Lower-case hexadecimal. Ends the digest. */
  hex(): Promise<string>
}

export type Sha256Factory = () => Sha256

export interface LogFields {
  readonly [name: string]: unknown
}

/** Structured logging for operators. Full reasons go here; credentials never do. */
export interface Logger {
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

export const silentLogger: Logger = { info() {}, warn() {}, error() {} }

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
  sleep(ms, signal) {
    throwIfAborted(signal)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        release()
        resolve()
      }, ms)
      const release = onAbort(signal, () => {
        clearTimeout(timer)
        reject(abortError(signal as AbortSignal))
      })
    })
  },
}

/**
 * Calls back once when a signal is raised; at once if it has been raised already.
 * @returns a function that removes the callback
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return ignore
  if (signal.aborted) {
    callback()
    return ignore
  }
  signal.addEventListener('abort', callback, { once: true })
  return () => signal.removeEventListener('abort', callback)
}

/**
 * Waits for work that cannot be interrupted, but no longer than the signal allows. The work itself continues.
 * @param discard gets the result if it comes after the signal
 * @throws what the work throws; the signal's reason as a typed error
 */
export function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  discard: (late: T) => void = ignore,
): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    let aborted = false
    const release = onAbort(signal, () => {
      aborted = true
      reject(abortError(signal))
    })
    work
      .then((value) => {
        if (aborted) discard(value)
        else resolve(value)
      }, reject)
      .finally(release)
  })
}

/**
 * Waits for work, but no longer than `ms`. The work itself continues, and its failure after that is ignored.
 * @param late gives the result once the time is over, or throws
 */
export function untilLate<T, L>(
  work: Promise<T>,
  ms: number,
  clock: Pick<Clock, 'after'>,
  late: () => L,
): Promise<T | L> {
  return new Promise((resolve, reject) => {
    const callOff = clock.after(ms, () => {
      try {
        resolve(late())
      } catch (error) {
        reject(error)
      }
    })
    work.then(resolve, reject).finally(callOff)
  })
}

function ignore(): void {}

/** One JSON object a line, which Workers Logs indexes by field. */
export const consoleLogger: Logger = {
  info: (event, fields) => console.log(line('info', event, fields)),
  warn: (event, fields) => console.warn(line('warn', event, fields)),
  error: (event, fields) => console.error(line('error', event, fields)),
}

function line(level: string, event: string, fields: LogFields = {}): string {
  return withoutSecrets(JSON.stringify({ level, event, ...fields }, (_, value: unknown) => errorFields(value)))
}

/** Request ids that may be echoed into headers and logs without escaping. */
export const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** The caller's own id where it may be echoed, otherwise a new one. */
export function requestIdFrom(given: string | null | undefined, randomId: () => string): string {
  return given !== undefined && given !== null && REQUEST_ID.test(given) ? given : randomId()
}
