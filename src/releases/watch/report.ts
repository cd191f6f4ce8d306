import type { Canary, CanaryStop } from '../../catalog/canary.ts'
import type { CanaryRules } from '../../catalog/canary-rules.ts'
import type { Judgement, WatchCounts } from './judge.ts'

/** A canary of one generation of a model's alias. */
export interface Trial {
  readonly model: string
  readonly generation: number
  readonly canary: Canary
  /** Of the canary's manifest. Generations begin again where a model was removed and pushed anew; its versions are others. */
  readonly digest?: string | undefined
}

/** Whether a trial is not the known one, nor an earlier one of the same version. */
export function replaces({ digest, generation }: Trial, known: Trial): boolean {
  return generation > known.generation || digest !== known.digest
}

/**
 * What an isolate has seen of a canary since its last report. A report that may have arrived is sent again unchanged;
 * `source` and `seq` tell whether it was counted already.
 */
export interface WatchReport {
  /** The isolate, or a probe. */
  readonly source: string
  /** Higher in every later report of the source. */
  readonly seq: number
  readonly generation: number
  readonly canary: Canary
  /** As `Trial` has it. */
  readonly digest?: string | undefined
  readonly counts: WatchCounts
}

/** `outdated`: another generation is watched by now. */
export type WatchReply =
  | { readonly verdict: 'continue' | 'outdated' }
  /** `isFirst`: by this very report. */
  | { readonly verdict: 'stopped'; readonly stop: CanaryStop; readonly isFirst?: boolean }

/**
 * `watching`; `worse`: the rules say so, and the canary is not guarded; `stopping`: isolates are told, and the alias is not
 * written yet; `stopped`; `superseded`: a newer release came first.
 */
export type WatchVerdict = 'watching' | 'worse' | 'stopping' | 'stopped' | 'superseded'

/** What is known of a model's last canary. */
export interface CanaryWatchState extends Trial, Pick<Judgement, 'evidence' | 'together'> {
  readonly rules: CanaryRules
  readonly verdict: WatchVerdict
  /** Why it is worse, where it is. */
  readonly reason?: string
  readonly counts: WatchCounts
  /** Milliseconds since 1970, by the object's clock. */
  readonly since: number
  readonly lastReportAt: number
  /** Tries to write the alias that failed. */
  readonly failedStops: number
}

/** What the Durable Object of a model answers. */
export interface CanaryWatchClient {
  report(report: WatchReport): Promise<WatchReply>
  /** Undefined: no canary of the model was ever watched. */
  state(): Promise<CanaryWatchState | undefined>
}
