import type { CanaryStop } from '../../catalog/canary.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, type Logger, untilLate } from '../../core/runtime.ts'
import { isWithin, type Span } from '../../core/span.ts'
import { addedCounts, NO_COUNTS, type WatchCounts } from './judge.ts'
import { type CanaryWatchClient, replaces, type Trial, type WatchReport } from './report.ts'

export interface CanaryReporterOptions {
  /** A model's object. */
  readonly watchOf: (model: string) => Pick<CanaryWatchClient, 'report'>
  /** Has this isolate stop using a canary at once, before the alias says so. */
  readonly stopped: (model: string, stop: CanaryStop, isFirst: boolean) => void
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<
    Limits,
    'canaryFlushMs' | 'canaryFlushRequests' | 'canaryModels' | 'canaryReportMs' | 'canaryRetryMs' | 'canaryWindowMs'
  >
  /** A name of this isolate that no other has. Asked for with the first report: at start-up there is no randomness. */
  readonly randomId: () => string
}

interface Entry {
  readonly trial: Trial
  counts: WatchCounts
  /** When the counts began. */
  since: number
  /** Sent, and maybe counted: it stays as it is until that is known. */
  sent?: WatchReport
  /** Somebody waits to hand over. A request that was killed does not. */
  appointed: Span | undefined
  /** A report is under way, or the object did not answer a moment ago. */
  busy: Span | undefined
  /** The canary was taken out, or another generation is watched: nothing more is reported. */
  over: boolean
}

/** Together shorter than what a platform lets run behind an answer. */
const MOST_TRIES = 2
/** Requests of the stable version that stay, however old, so that a model with few requests has some to compare with. */
const LEAST_STABLE = 20

/**
 * Hands what an isolate has seen of canaries to their objects: after `canaryFlushRequests` of a canary's requests or
 * comparisons, or after `canaryFlushMs`. Where the canary was not seen, nothing is handed over. A report that fails is sent
 * again, and counted once. No request waits for any of it.
 */
export class CanaryReporter {
  readonly #options: CanaryReporterOptions
  readonly #entries = new Map<string, Entry>()
  #source: string | undefined
  #seq = 0

  constructor(options: CanaryReporterOptions) {
    this.#options = options
  }

  /** @param waitUntil keeps work alive behind the answer */
  record(trial: Trial, counts: WatchCounts, waitUntil: (work: Promise<unknown>) => void): void {
    const { clock, limits } = this.#options
    const entry = this.#entryOf(trial)
    if (entry === undefined || entry.over) return
    const now = clock.now()
    if (now - entry.since > limits.canaryWindowMs && !hasCanary(entry.counts)) forgetStable(entry, now)
    entry.counts = addedCounts(entry.counts, counts)
    if (!hasCanary(entry.counts) || isWithin(entry.busy, now)) return
    if (weightOf(entry.counts) >= limits.canaryFlushRequests) waitUntil(this.#handOver(entry))
    else if (!isWithin(entry.appointed, now)) waitUntil(this.#later(entry, now))
  }

  #entryOf(trial: Trial): Entry | undefined {
    const known = this.#entries.get(trial.model)
    if (known !== undefined && !replaces(trial, known.trial)) {
      return known.trial.generation === trial.generation ? known : undefined
    }
    if (known === undefined && this.#entries.size >= this.#options.limits.canaryModels) this.#dropOldest()
    const entry: Entry = {
      trial,
      counts: NO_COUNTS,
      since: this.#options.clock.now(),
      appointed: undefined,
      busy: undefined,
      over: false,
    }
    this.#entries.delete(trial.model)
    this.#entries.set(trial.model, entry)
    return entry
  }

  #dropOldest(): void {
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  async #later(entry: Entry, now: number): Promise<void> {
    const { clock, limits } = this.#options
    const appointed = { at: now, ms: limits.canaryFlushMs }
    entry.appointed = appointed
    await clock.sleep(limits.canaryFlushMs)
    // Another one may have been made since, where the clock has jumped.
    if (entry.appointed === appointed) entry.appointed = undefined
    if (!isWithin(entry.busy, clock.now())) await this.#handOver(entry)
  }

  /** With a further try, because another request may not come for long. Never rejects. */
  async #handOver(entry: Entry): Promise<void> {
    const { clock, limits } = this.#options
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      if (await this.#flush(entry)) return
      entry.busy = { at: clock.now(), ms: limits.canaryRetryMs }
      await clock.sleep(limits.canaryRetryMs)
    }
  }

  /** @returns whether nothing is left of what there was */
  async #flush(entry: Entry): Promise<boolean> {
    const { clock, limits, logger, stopped, watchOf } = this.#options
    const { model } = entry.trial
    const report = this.#take(entry)
    if (report === undefined) return true
    entry.busy = { at: clock.now(), ms: limits.canaryReportMs }
    try {
      const reply = await untilLate(watchOf(model).report(report), limits.canaryReportMs, clock, () => {
        throw new VergeError('store_unavailable', 'The object of the canary does not answer.')
      })
      if (entry.sent === report) delete entry.sent
      if (reply.verdict !== 'continue') entry.over = true
      if (reply.verdict === 'stopped') stopped(model, reply.stop, reply.isFirst === true)
      return true
    } catch (error) {
      logger.warn('canary_not_reported', { model, error })
      return false
    } finally {
      entry.busy = undefined
    }
  }

  /** What is to be sent now: the report that may not have arrived, or all that was counted. */
  #take(entry: Entry): WatchReport | undefined {
    if (entry.sent !== undefined || entry.over || !hasCanary(entry.counts)) return entry.sent
    this.#source ??= this.#options.randomId()
    const { canary, digest, generation } = entry.trial
    entry.sent = { source: this.#source, seq: ++this.#seq, generation, canary, digest, counts: entry.counts }
    entry.counts = NO_COUNTS
    entry.since = this.#options.clock.now()
    return entry.sent
  }
}

/** What says something of the canary, in requests. */
function weightOf({ canary, disagreed, incomparable, skipped, slower }: WatchCounts): number {
  return Math.max(canary.requests, disagreed.of, slower.of, skipped, incomparable)
}

function hasCanary(counts: WatchCounts): boolean {
  return weightOf(counts) > 0
}

function forgetStable(entry: Entry, now: number): void {
  if (entry.counts.stable.requests > LEAST_STABLE) entry.counts = NO_COUNTS
  entry.since = now
}
