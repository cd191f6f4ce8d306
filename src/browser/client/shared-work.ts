import { VergeError } from '../../client/error.ts'

interface Running<T> {
  readonly result: Promise<T>
  readonly life: AbortController
  readonly settled: boolean
}

/**
 * Work that several callers wait for. Each may leave; when all have left, the work is ended. What failed is forgotten, so that the
 * next caller begins again.
 */
export class SharedWork<T> {
  readonly #work: (signal: AbortSignal) => Promise<T>
  #running: Running<T> | undefined
  #waiting = 0

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#work = work
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** @throws what the work throws; cancelled */
  async join(signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) throw cancelled(signal)
    this.#running ??= this.#begin()
    const running = this.#running
    this.#waiting++
    let release = (): void => {}
    const left = new Promise<never>((_, reject) => {
      if (signal === undefined) return
      const leave = (): void => reject(cancelled(signal))
      signal.addEventListener('abort', leave, { once: true })
      release = () => signal.removeEventListener('abort', leave)
    })
    try {
      return await Promise.race([running.result, left])
    } finally {
      release()
      this.#waiting--
      if (this.#waiting === 0 && this.#running === running) {
        this.#running = undefined
        if (!running.settled) running.life.abort()
      }
    }
  }

  #begin(): Running<T> {
    const life = new AbortController()
    const running = { life, result: this.#work(life.signal), settled: false }
    const settle = (): void => {
      running.settled = true
    }
    // Where all have left, nobody is told how it ended.
    running.result.then(settle, settle)
    return running
  }
}

function cancelled(signal: AbortSignal): VergeError {
  return new VergeError('cancelled', 'The signal of the call ended it.', { cause: signal.reason })
}
