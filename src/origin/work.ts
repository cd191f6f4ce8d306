import type { Clock } from '../core/runtime.ts'

/** Requests in work, and whether new ones are still taken. */
export class Work {
  readonly #clock: Pick<Clock, 'after'>
  #inWork = 0
  #draining = false
  readonly #idle = new Set<() => void>()

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  get draining(): boolean {
    return this.#draining
  }

  get inWork(): number {
    return this.#inWork
  }

  /** @returns what is to be called once when the request's answer has been sent or its caller has left */
  begin(): () => void {
    this.#inWork++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#inWork--
      if (this.#inWork === 0) for (const wake of this.#idle) wake()
    }
  }

  /**
   * Takes no more, and waits for what is in work.
   * @returns whether all of it was done within the time
   */
  drain(withinMs: number): Promise<boolean> {
    this.#draining = true
    if (this.#inWork === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const settle = (done: boolean): void => {
        this.#idle.delete(wake)
        callOff()
        resolve(done)
      }
      const wake = (): void => settle(true)
      const callOff = this.#clock.after(withinMs, () => settle(false))
      this.#idle.add(wake)
    })
  }
}
