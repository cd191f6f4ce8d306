import type { Alias } from '../../catalog/alias.ts'
import type { Canary } from '../../catalog/canary.ts'
import { completeRules } from '../../catalog/canary-rules.ts'
import { isoTime } from '../../core/time.ts'
import type { Probes, ReleaseBody } from '../../protocols/verge/releases.ts'
import { FALSE_STOPS, NO_COUNTS, type WatchCounts } from '../../releases/watch/judge.ts'
import type { CanaryWatchState } from '../../releases/watch/report.ts'

/** A release as it is told of. @param watched undefined where no canary of the model was ever watched */
export function releaseBody(alias: Alias, watched: CanaryWatchState | 'unreachable' | undefined): ReleaseBody {
  const { canary, generation, live, model, stopped } = alias
  return {
    model,
    generation,
    live: live.map(({ version, weight }) => ({ version, weight })),
    canary: canary === undefined ? null : canaryOf(canary),
    stopped: stopped === undefined ? null : { ...partOf(stopped), at: isoTime(stopped.at * 1000) },
    watch: watched === undefined || watched === 'unreachable' ? null : watchOf(watched),
    unreachable: watched === 'unreachable',
  }
}

function canaryOf({ against, guarded, shadow, version }: Canary): NonNullable<ReleaseBody['canary']> {
  return { version, against, guarded, ...(shadow !== undefined && { shadow }) }
}

function partOf({ reason, version }: NonNullable<Alias['stopped']>) {
  return { version, reason }
}

function watchOf(state: CanaryWatchState): NonNullable<ReleaseBody['watch']> {
  const { canary, counts, evidence, failedStops, generation, lastReportAt, reason, rules, since, together, verdict } =
    state
  return {
    generation,
    version: canary.version,
    against: canary.against,
    guarded: canary.guarded,
    verdict,
    ...(reason !== undefined && { reason }),
    rules,
    counts,
    evidence,
    together,
    threshold: 1 / FALSE_STOPS,
    since: isoTime(since),
    lastReportAt: isoTime(lastReportAt),
    failedStops,
  }
}

/** Counts of what a probe has measured. */
export function probedCounts(canary: Canary, pairs: Probes['pairs']): WatchCounts {
  const { latency } = completeRules(canary.rules)
  const slower = pairs.filter(({ canaryMs, stableMs }) => canaryMs > latency * stableMs).length
  return { ...NO_COUNTS, slower: { count: slower, of: pairs.length } }
}
