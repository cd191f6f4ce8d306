import { abortError } from './errors.ts'
import type { Clock } from './runtime.ts'

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
