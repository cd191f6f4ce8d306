import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, untilAborted, untilLate } from '../../core/runtime.ts'
import type { CanaryWatchClient, CanaryWatchState, WatchReply, WatchReport } from './report.ts'

/** What is known of canaries, beyond this isolate. */
export interface CanaryReader {
  /** Undefined: no canary of the model was ever watched. @throws store_unavailable if its object does not answer */
  state(model: string, signal?: AbortSignal): Promise<CanaryWatchState | undefined>
  /** Counts what an outside probe has measured. @throws store_unavailable */
  report(model: string, report: WatchReport, signal?: AbortSignal): Promise<WatchReply>
}

/** With one Durable Object for each model. */
export class DurableCanaries implements CanaryReader {
  readonly #watchOf: (model: string) => CanaryWatchClient
  readonly #clock: Clock
  readonly #waitMs: number

  constructor(
    watchOf: (model: string) => CanaryWatchClient,
    { clock, limits }: { readonly clock: Clock; readonly limits: Pick<Limits, 'canaryReportMs'> },
  ) {
    this.#watchOf = watchOf
    this.#clock = clock
    this.#waitMs = limits.canaryReportMs
  }

  state(model: string, signal?: AbortSignal): Promise<CanaryWatchState | undefined> {
    return this.#answered(this.#watchOf(model).state(), signal)
  }

  report(model: string, report: WatchReport, signal?: AbortSignal): Promise<WatchReply> {
    return this.#answered(this.#watchOf(model).report(report), signal)
  }

  async #answered<T>(asked: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const late = (cause?: unknown): VergeError =>
      new VergeError('store_unavailable', 'The object that watches this canary does not answer. Try again later.', {
        retryAfter: 5,
        ...(cause !== undefined && { cause }),
      })
    const asking = asked.catch((error: unknown) => {
      throw late(error)
    })
    return untilLate(untilAborted(asking, signal), this.#waitMs, this.#clock, () => {
      throw late()
    })
  }
}
