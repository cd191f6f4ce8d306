import { abortError, throwIfAborted, type VergeError } from '../../core/errors.ts'

interface Waiter {
  begin(): void
  refuse(error: VergeError): void
}

/**
 * One piece of work at a time. Who waits is served in order of arrival within a line, and the lines in turn, so that
 * one model's crowd does not keep another's single request waiting. Waiting ends with the caller's signal.
 */
export class WorkQueue {
  /** Lines by key; the first line is served next and then goes to the back. */
  readonly #lines = new Map<unknown, Waiter[]>()
  #busy = false
  #closed: VergeError | undefined

  get idle(): boolean {
    return !this.#busy && this.#lines.size === 0
  }

  /** @throws cancelled, deadline_exceeded, the reason of closing, and errors of `work` */
  async run<T>(line: unknown, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    throwIfAborted(signal)
    if (this.#closed !== undefined) throw this.#closed
    if (this.#busy) await this.#wait(line, signal)
    else this.#busy = true
    try {
      throwIfAborted(signal)
      return await work()
    } finally {
      this.#next()
    }
  }

  /** Refuses all who wait and all who come. Work that has begun is not concerned. */
  close(error: VergeError): void {
    this.#closed = error
    const waiting = [...this.#lines.values()].flat()
    this.#lines.clear()
    for (const waiter of waiting) waiter.refuse(error)
  }

  #wait(line: unknown, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const waiters = this.#lines.get(line)?.filter((other) => other !== waiter) ?? []
        if (waiters.length === 0) this.#lines.delete(line)
        else this.#lines.set(line, waiters)
        reject(abortError(signal))
      }
      const waiter: Waiter = {
        begin() {
          signal.removeEventListener('abort', leave)
          resolve()
        },
        refuse(error) {
          signal.removeEventListener('abort', leave)
          reject(error)
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      const waiters = this.#lines.get(line)
      if (waiters === undefined) this.#lines.set(line, [waiter])
      else waiters.push(waiter)
    })
  }

  #next(): void {
    const [first] = this.#lines
    if (first === undefined) {
      this.#busy = false
      return
    }
    const [line, [waiter, ...rest]] = first
    this.#lines.delete(line)
    if (rest.length > 0) this.#lines.set(line, rest)
    waiter?.begin()
  }
}
