import type { CanaryRules } from '../../catalog/canary-rules.ts'
import { logMean, type Share, shareEvidence } from './evidence.ts'
import { errorEvidence, type Group, noEvidence, type Side, withGroup } from './two-sample.ts'

/**
 * The rule by which a canary goes back. Pure: no I/O, no clock, no chance. Each of four questions has an e-process of its
 * own. Their mean is one, too, however they depend on each other (Vovk and Wang, "E-values: calibration, combination and
 * applications", 2021). The canary is worse when the mean reaches 1 / `FALSE_STOPS`.
 */

/** The chance that a canary goes back at some time, though it is no worse than its rules tolerate. */
export const FALSE_STOPS = 0.01

export const QUESTIONS = ['errors', 'disagreement', 'cost', 'latency'] as const
export type Question = (typeof QUESTIONS)[number]

/** What was seen of a canary and of the version that it is compared with. */
export interface WatchCounts {
  readonly canary: Side
  readonly stable: Side
  /** Compared outputs, and those of them that disagree. */
  readonly disagreed: Share
  /** Requests that both versions were asked, and those of them that cost more units than tolerated with the canary. */
  readonly costlier: Share
  /** Like requests at about the same time, and those of them that took longer than tolerated with the canary. */
  readonly slower: Share
  /** Runs for a comparison that failed: the canary's disagree, the stable version's count nowhere else. */
  readonly failed: number
  /** Runs for a comparison that were not made, because the isolate had other work. */
  readonly skipped: number
  /** Requests of the sample that are of a kind that is never compared. */
  readonly incomparable: number
  /** The largest difference of compared outputs. */
  readonly largest: number
}

export const NO_COUNTS: WatchCounts = {
  canary: { requests: 0, errors: 0 },
  stable: { requests: 0, errors: 0 },
  disagreed: { count: 0, of: 0 },
  costlier: { count: 0, of: 0 },
  slower: { count: 0, of: 0 },
  failed: 0,
  skipped: 0,
  incomparable: 0,
  largest: 0,
}

export function addedCounts(one: WatchCounts, other: WatchCounts): WatchCounts {
  return {
    canary: addedSide(one.canary, other.canary),
    stable: addedSide(one.stable, other.stable),
    disagreed: addedShare(one.disagreed, other.disagreed),
    costlier: addedShare(one.costlier, other.costlier),
    slower: addedShare(one.slower, other.slower),
    failed: one.failed + other.failed,
    skipped: one.skipped + other.skipped,
    incomparable: one.incomparable + other.incomparable,
    largest: Math.max(one.largest, other.largest),
  }
}

function addedSide(one: Side, other: Side): Side {
  return { requests: one.requests + other.requests, errors: one.errors + other.errors }
}

function addedShare(one: Share, other: Share): Share {
  return { count: one.count + other.count, of: one.of + other.of }
}

/** All that is known of a canary. */
export interface WatchState {
  readonly total: WatchCounts
  /** Requests that are too few for a group. */
  readonly open: Group
  /** Evidence of the groups. */
  readonly logs: readonly number[]
}

const NO_GROUP: Group = { canary: NO_COUNTS.canary, stable: NO_COUNTS.stable }

export function newWatch(rules: CanaryRules): WatchState {
  return {
    total: NO_COUNTS,
    open: NO_GROUP,
    logs: noEvidence(rules.errors),
  }
}

/** Fewer requests of a side decide nothing: a group is closed by their number alone, never by how they ended. */
const LEAST_IN_GROUP = 5

/** The state after counts of about the same time. @param counts as `soundCounts` lets through */
export function seen(state: WatchState, counts: WatchCounts, rules: CanaryRules): WatchState {
  const total = addedCounts(state.total, counts)
  // A group begins with the canary's first request: how the stable version did long before says nothing of then.
  const open = state.open.canary.requests === 0 ? NO_GROUP : state.open
  const group = {
    canary: addedSide(open.canary, counts.canary),
    stable: addedSide(open.stable, counts.stable),
  }
  if (Math.min(group.canary.requests, group.stable.requests) < LEAST_IN_GROUP) return { ...state, total, open: group }
  return {
    total,
    open: NO_GROUP,
    logs: withGroup(state.logs, group, rules.errors),
  }
}

export interface Judgement {
  /** E-values: against 1 nothing is known, and at 100 times the number of questions one alone is enough. */
  readonly evidence: Readonly<Record<Question, number>>
  /** Their mean. */
  readonly together: number
  /** The question that speaks most against the canary, where all together say that it is worse. */
  readonly worse?: Question
}

/** Of each two like requests one is slower, and one costs more, by chance. */
const EVEN = 0.5
/** Shown e-values end here. */
const MOST_SHOWN = 1e12

export function judge({ logs, total }: WatchState, rules: CanaryRules): Judgement {
  const log: Record<Question, number> = {
    errors: errorEvidence(logs),
    disagreement: shareEvidence(total.disagreed, rules.disagreement),
    cost: shareEvidence(total.costlier, EVEN),
    latency: shareEvidence(total.slower, EVEN),
  }
  const together = logMean(QUESTIONS.map((question) => log[question]))
  const shown = (value: number): number => Math.min(MOST_SHOWN, Math.exp(value))
  const evidence = {
    errors: shown(log.errors),
    disagreement: shown(log.disagreement),
    cost: shown(log.cost),
    latency: shown(log.latency),
  }
  // Also where it is no number: what cannot be judged stops nothing.
  if (!(together >= Math.log(1 / FALSE_STOPS))) return { evidence, together: shown(together) }
  const worse = QUESTIONS.reduce((most, question) => (log[question] > log[most] ? question : most))
  return { evidence, together: shown(together), worse }
}

/** Why a canary goes back, for a person: at most 200 characters. */
export function reasonFor(worse: Question, { total }: WatchState, rules: CanaryRules): string {
  const { canary, costlier, disagreed, slower, stable } = total
  switch (worse) {
    case 'errors':
      return `errors: ${canary.errors} of ${canary.requests} requests failed, and ${stable.errors} of ${stable.requests} with the stable version; tolerated are ${percent(rules.errors)} more`
    case 'disagreement':
      return `disagreement: ${disagreed.count} of ${disagreed.of} compared outputs disagree; tolerated are ${percent(rules.disagreement)}`
    case 'cost':
      return `cost: ${costlier.count} of ${costlier.of} requests cost more than ${rules.cost} times the units of the stable version`
    case 'latency':
      return `latency: ${slower.count} of ${slower.of} like requests took more than ${rules.latency} times as long as with the stable version`
  }
}

/** The question that a reason answers. */
export function ruleOf({ reason }: { readonly reason: string }): Question | 'other' {
  return QUESTIONS.find((question) => reason.startsWith(`${question}: `)) ?? 'other'
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}
