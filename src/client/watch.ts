import { VergeError } from './error.ts'
import type { ClientClock } from './runtime.ts'

/** Longer than any timer of JavaScript can wait. */
const NEVER = 2 ** 31 - 1

/** The caller's signal and the time limit of one call, as one signal for `fetch`. */
export class Watch {
  readonly #clock: ClientClock
  readonly #limitMs: number
  readonly #caller: AbortSignal | undefined
  readonly #controller = new AbortController()
  readonly #left = (): void => this.#controller.abort(this.#caller?.reason)
  #endsAt = Number.POSITIVE_INFINITY
  #callOff: (() => void) | undefined
  #expired = false

  constructor(clock: ClientClock, limitMs: number, caller: AbortSignal | undefined) {
    this.#clock = clock
    this.#limitMs = limitMs
    this.#caller = caller
    caller?.addEventListener('abort', this.#left)
    if (caller?.aborted) this.#left()
    this.arm()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Milliseconds that are left. */
  get leftMs(): number {
    return this.#endsAt - this.#clock.now()
  }

  /** Starts the time limit anew. */
  arm(): void {
    this.disarm()
    if (this.#limitMs > NEVER) return
    this.#endsAt = this.#clock.now() + this.#limitMs
    this.#callOff = this.#clock.after(this.#limitMs, () => {
      this.#expired = true
      this.#controller.abort()
    })
  }

  disarm(): void {
    this.#callOff?.()
    this.#callOff = undefined
  }

  end(): void {
    this.disarm()
    this.#caller?.removeEventListener('abort', this.#left)
  }

  /** Waits for what other calls may wait for, too: this call's end does not end it. @throws VergeError */
  wait<T>(work: Promise<T>): Promise<T> {
    const { signal } = this
    return new Promise((resolve, reject) => {
      const left = (): void => reject(this.failure(signal.reason))
      signal.addEventListener('abort', left)
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', left))
      if (signal.aborted) left()
    })
  }

  /** @throws VergeError if the call ends before */
  sleep(ms: number): Promise<void> {
    const { signal } = this
    return new Promise((resolve, reject) => {
      const left = (): void => {
        callOff()
        reject(this.failure(signal.reason))
      }
      const callOff = this.#clock.after(ms, () => {
        signal.removeEventListener('abort', left)
        resolve()
      })
      signal.addEventListener('abort', left)
      if (signal.aborted) left()
    })
  }

  /** What an exception of `fetch` or of a body means. */
  failure(cause: unknown): VergeError {
    if (cause instanceof VergeError) return cause
    if (this.#caller?.aborted) {
      return new VergeError('cancelled', 'The signal of the call ended it.', { cause: this.#caller.reason })
    }
    if (this.#expired) {
      return new VergeError(
        'deadline_exceeded',
        `The server did not answer within ${this.#limitMs} ms. Try again, or set a larger "timeoutMs".`,
        { details: { timeout_ms: this.#limitMs } },
      )
    }
    return new VergeError(
      'network_error',
      'The connection to the server failed. Check the url and the network, and try again.',
      { cause },
    )
  }
}
