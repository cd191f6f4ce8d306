import type { Clock } from '../../core/runtime.ts'

/** Deaths in this time count together. */
const WINDOW_MS = 60_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/**
 * When a process that died may be started again: after one death at once, after more within a minute each time twice as
 * late, so that one input asked for again and again does not keep a processor busy with starting.
 */
export class Restarts {
  readonly #clock: Clock
  #recent: number[] = []
  /** Deaths in all. */
  deaths = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  died(): void {
    this.deaths++
    this.#recent.push(this.#clock.now())
  }

  get pauseMs(): number {
    const since = this.#clock.now() - WINDOW_MS
    this.#recent = this.#recent.filter((time) => time > since)
    const doublings = this.#recent.length - 2
    return doublings < 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** doublings)
  }

  async pause(): Promise<void> {
    const { pauseMs } = this
    if (pauseMs > 0) await this.#clock.sleep(pauseMs)
  }
}
