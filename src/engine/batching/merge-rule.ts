import type { Logger } from '../../core/runtime.ts'
import type { BatchState } from './types.ts'

/** Runs of an artifact that go alone after a batch of it ended the engine; twice as many after the next. */
const FIRST_SUSPENSION = 64

/**
 * Artifacts whose runs are not batched for a while, because the engine crashed on a batch: one run may be the cause,
 * and would crash the others again when their callers repeat them. Outlives sessions, which are lost in the crash.
 */
export class Suspensions {
  readonly #suspended = new Map<string, { left: number; next: number }>()

  begin(key: string): void {
    const next = this.#suspended.get(key)?.next ?? FIRST_SUSPENSION
    this.#suspended.set(key, { left: next, next: 2 * next })
  }

  active(key: string): boolean {
    return (this.#suspended.get(key)?.left ?? 0) > 0
  }

  /** Counts a run that went alone. */
  count(key: string): void {
    const suspension = this.#suspended.get(key)
    if (suspension !== undefined && suspension.left > 0) suspension.left--
  }
}

/** State of a session's batching: whether it is allowed, and the maximum size. */
export class MergeRule {
  /** SHA-256 of the artifact. */
  readonly key: string
  readonly #suspensions: Suspensions
  readonly #logger: Logger
  #state: BatchState = 'unproven'
  #maxRows: number

  /** @param maxRows maximum rows of a batch; 1 disables batching */
  constructor(key: string, maxRows: number, suspensions: Suspensions, logger: Logger) {
    this.key = key
    this.#maxRows = maxRows
    this.#suspensions = suspensions
    this.#logger = logger
    if (maxRows < 2) this.#state = 'off'
  }

  get state(): BatchState {
    return this.#state
  }

  /** Most rows of the next run; 1: it goes alone. */
  get maxRows(): number {
    return this.#state === 'off' || this.#suspensions.active(this.key) ? 1 : this.#maxRows
  }

  prove(): void {
    if (this.#state === 'unproven') this.#state = 'proven'
  }

  /** For good. The model is served as before, run by run. */
  turnOff(reason: string): void {
    if (this.#state === 'off') return
    this.#state = 'off'
    this.#logger.warn('batching_off', { key: this.key, reason })
  }

  /** Records a rejected batch of this many rows whose runs succeed one by one. */
  tooLarge(rows: number): void {
    const half = Math.floor(rows / 2)
    if (half >= this.#maxRows) return
    if (half < 2) {
      this.turnOff('the model rejects batches although it accepts their runs')
      return
    }
    this.#maxRows = half
    this.#logger.warn('batching_smaller', { key: this.key, rejected: rows, rows: half })
  }

  /** The engine died over a batch. */
  fatal(): void {
    this.#suspensions.begin(this.key)
    this.#logger.warn('batching_suspended', { key: this.key })
  }

  wentAlone(): void {
    this.#suspensions.count(this.key)
  }
}
