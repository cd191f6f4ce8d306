import type { Alias } from '../../catalog/alias.ts'
import { completeRules } from '../../catalog/canary-rules.ts'
import type { Limits } from '../../core/limits.ts'
import { LruMap } from '../../core/lru.ts'
import type { Clock } from '../../core/runtime.ts'
import type { ShadowOutcome, ShadowWatch } from '../../inference/shadow/shadows.ts'
import type { RequestObservation, RequestObserver } from '../../telemetry/observation.ts'
import { comparisonFailed, countsAgainst } from './faults.ts'
import { NO_COUNTS, type WatchCounts } from './judge.ts'
import { LikeRequests } from './like-requests.ts'
import { replaces, type Trial } from './report.ts'
import type { CanaryReporter } from './reporter.ts'

/** A canary that this isolate has met. */
interface Met {
  readonly trial: Trial
  readonly likes: LikeRequests
}

export interface CanaryObserverOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly limits: Pick<Limits, 'canaryModels' | 'canaryWindowMs'>
  /** Is told of each comparison by a word: `agree`, `disagree`, `failed`, `skipped` or `incomparable`. */
  readonly compared: (model: string, canary: string, outcome: string) => void
}

type WaitUntil = (work: Promise<unknown>) => void

/** Makes counts of what an isolate does for models with a canary. What concerns no canary costs one look into a map. */
export class CanaryObserver implements RequestObserver, ShadowWatch {
  readonly #reporter: Pick<CanaryReporter, 'record'>
  readonly #met: LruMap<Met>

  readonly #options: CanaryObserverOptions

  constructor(reporter: Pick<CanaryReporter, 'record'>, options: CanaryObserverOptions) {
    this.#reporter = reporter
    this.#met = new LruMap(options.limits.canaryModels)
    this.#options = options
  }

  seen({ canary, generation, model, versions }: Alias): void {
    const known = this.#met.get(model)
    if (canary === undefined) {
      // Promoted, taken out or stopped: what its versions do from now on says nothing of a canary.
      if (known !== undefined && known.trial.generation <= generation) this.#met.delete(model)
      return
    }
    const trial: Trial = { model, generation, canary, digest: versions[canary.version] }
    if (known !== undefined && !replaces(trial, known.trial)) return
    const { clock, limits } = this.#options
    this.#met.set(model, { trial, likes: new LikeRequests(clock, limits.canaryWindowMs) })
  }

  observed(observation: RequestObservation, waitUntil: WaitUntil): void {
    const met = this.#met.get(observation.model)
    if (met === undefined) return
    const { likes, trial } = met
    const { against, rules, version } = trial.canary
    const isCanary = observation.version === version
    // Of a release without a canary nothing is told here but what its requests came to: the trial is over.
    if ((observation.generation ?? 0) > trial.generation) this.#met.delete(trial.model)
    if (observation.generation !== trial.generation) return
    // Whoever chooses the version, or sends one message after another to it, would choose what it is judged by.
    if (observation.named || observation.continued || observation.excused) return
    const failed = countsAgainst(observation.code)
    if (failed === undefined || (!isCanary && observation.version !== against)) return
    const side = { requests: 1, errors: failed ? 1 : 0 }
    const slower = likes.seen(observation, isCanary, completeRules(rules).latency)
    const counts = { ...NO_COUNTS, [isCanary ? 'canary' : 'stable']: side, ...(slower && { slower }) }
    this.#reporter.record(trial, counts, waitUntil)
  }

  compared({ generation, model }: Alias, outcome: ShadowOutcome, waitUntil: WaitUntil): void {
    const trial = this.#met.get(model)?.trial
    if (trial?.generation !== generation) return
    const counts = countsOf(outcome, trial)
    this.#options.compared(model, trial.canary.version, wordFor(counts))
    this.#reporter.record(trial, counts, waitUntil)
  }
}

function wordFor({ disagreed, failed, incomparable, skipped }: WatchCounts): string {
  if (incomparable > 0) return 'incomparable'
  if (skipped > 0) return 'skipped'
  if (failed > 0) return 'failed'
  return disagreed.count > 0 ? 'disagree' : 'agree'
}

function countsOf(
  { agreement, canaryBehind, code, costRatio, kind, timeRatio }: ShadowOutcome,
  trial: Trial,
): WatchCounts {
  if (kind === 'incomparable') return { ...NO_COUNTS, incomparable: 1 }
  if (kind === 'skipped' || (code !== undefined && !comparisonFailed(code))) return { ...NO_COUNTS, skipped: 1 }
  // The stable version's failures say nothing against the canary.
  if (kind === 'failed') return { ...NO_COUNTS, failed: 1, ...(canaryBehind && { disagreed: { count: 1, of: 1 } }) }
  const rules = completeRules(trial.canary.rules)
  const over = (ratio: number, tolerated: number) => ({ count: ratio > tolerated ? 1 : 0, of: 1 })
  return {
    ...NO_COUNTS,
    ...(agreement && { disagreed: { count: agreement.agrees ? 0 : 1, of: 1 }, largest: agreement.largest }),
    ...(costRatio !== undefined && { costlier: over(costRatio, rules.cost) }),
    ...(timeRatio !== undefined && { slower: over(timeRatio, rules.latency) }),
  }
}
