import { DurableObject } from 'cloudflare:workers'
import type { StopOutcome } from '../../catalog/alias-stop.ts'
import type { CanaryStop } from '../../catalog/canary.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, type Logger, untilLate } from '../../core/runtime.ts'
import { KeptWatch } from './kept-watch.ts'
import type { CanaryWatchClient, CanaryWatchState, WatchReply, WatchReport } from './report.ts'
import { soundReport } from './sound.ts'

export interface CanaryWatchDeps {
  /** Its `now` must count from 1970. */
  readonly clock: Clock
  readonly limits: Pick<
    Limits,
    | 'canaryForgottenMs'
    | 'canaryReportCount'
    | 'canaryReportText'
    | 'canarySources'
    | 'canaryStopMs'
    | 'canaryStopRetryMs'
  >
  readonly logger: Logger
  /** Takes a model's canary out of the stored alias. May be repeated. */
  readonly stop: (model: string, stop: CanaryStop) => Promise<StopOutcome>
}

/** After the first failure; it doubles with each. */
const FIRST_RETRY_MS = 2_000

/**
 * Watches one model's canary: adds up what isolates report, and takes the canary out when the rule says so. Isolates
 * learn of it with their next report; the alias is written by an alarm, which is set again until it is.
 */
export class CanaryWatchObject extends DurableObject implements CanaryWatchClient {
  readonly #deps: CanaryWatchDeps
  readonly #watch: KeptWatch

  constructor(state: DurableObjectState, env: unknown, deps: CanaryWatchDeps) {
    super(state, env as never)
    this.#deps = deps
    this.#watch = new KeptWatch(state.storage, deps.limits)
  }

  async report(report: WatchReport): Promise<WatchReply> {
    const { clock, limits, logger } = this.#deps
    const sound = soundReport(report, limits)
    // Refused, it would come again and again.
    if (sound === undefined) {
      logger.warn('canary_report_unsound', { model: this.ctx.id.name })
      return { verdict: 'continue' }
    }
    const reply = this.#watch.report(this.ctx.id.name ?? '', sound, clock.now())
    // Asked with every report, in case an object was reset before the alarm was set.
    if (this.#watch.pendingStop !== undefined && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(clock.now())
    }
    return reply
  }

  async state(): Promise<CanaryWatchState | undefined> {
    return this.#watch.state
  }

  override async alarm(): Promise<void> {
    const { clock, limits, logger, stop: write } = this.#deps
    const pending = this.#watch.pendingStop
    if (pending === undefined) return
    // An object that an alarm wakes does not know its own name.
    const { failed, model, stop } = pending
    try {
      const outcome = await untilLate(write(model, stop), limits.canaryStopMs, clock, () => {
        throw new VergeError('store_unavailable', 'The alias was not written in time.')
      })
      this.#watch.tried(stop, outcome)
      logger.warn(outcome === 'stopped' ? 'canary_stopped' : 'canary_superseded', { model, ...stop })
    } catch (error) {
      this.#watch.tried(stop, 'failed')
      logger.error('canary_not_stopped', { model, version: stop.version, error })
      const wait = Math.min(limits.canaryStopRetryMs, FIRST_RETRY_MS * 2 ** Math.min(failed, 10))
      await this.ctx.storage.setAlarm(clock.now() + wait)
    }
  }
}
