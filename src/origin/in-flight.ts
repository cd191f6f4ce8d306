import type { Clock } from '../core/runtime.ts'

/** Requests in work, and whether new ones are still taken. */
export class InFlight {
  readonly #clock: Pick<Clock, 'after'>
  #count = 0
  #draining = false
  readonly #idle = new Set<() => void>()

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  get draining(): boolean {
    return this.#draining
  }

  get count(): number {
    return this.#count
  }

  /** @returns a function to call once when the answer was sent or the caller has left */
  begin(): () => void {
    this.#count++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#count--
      if (this.#count === 0) for (const wake of this.#idle) wake()
    }
  }

  /**
   * Refuses new requests, and waits for those in progress.
   * @returns whether all finished in time
   */
  drain(withinMs: number): Promise<boolean> {
    this.#draining = true
    if (this.#count === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const settle = (done: boolean): void => {
        this.#idle.delete(wake)
        cancelTimer()
        resolve(done)
      }
      const wake = (): void => settle(true)
      const cancelTimer = this.#clock.after(withinMs, () => settle(false))
      this.#idle.add(wake)
    })
  }
}
