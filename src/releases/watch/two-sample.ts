import { logMean } from './evidence.ts'

/**
 * Evidence that one side fails more often than another by more than is tolerated. Pure: no I/O, no clock, no chance.
 *
 * The safe test of two proportions by Turner, Ly and Grünwald ("Generic E-variables for exact sequential k-sample tests
 * that allow for optional stopping", 2024), with the null hypothesis "canary <= stable + tolerated" of Turner and Grünwald
 * ("Exact anytime-valid confidence intervals for contingency tables and beyond", 2023). Requests come in groups of both
 * sides from the same few seconds. The factor of a group is its likelihood under a pair of rates (canary, stable), over
 * its likelihood under the pair on the border of the hypothesis that is nearest to it by relative entropy. By convexity
 * that factor has an expectation of at most 1 whatever the true rates are, even if they differ from request to request and
 * from group to group, as long as in each group the canary's mean rate is at most the stable one's and the tolerated
 * share. A disturbance that hits both sides is therefore no evidence. The evidence is the mean over several pairs.
 */

/** Requests of one side, and how many of them failed. */
export interface Side {
  readonly requests: number
  readonly errors: number
}

/** One group of requests: both sides, at about the same time. */
export interface Group {
  readonly canary: Side
  readonly stable: Side
}

interface Rates {
  readonly canary: number
  readonly stable: number
}

/** Rates of the stable side that are bet on, from nearly none to every third request. */
const STABLE_RATES = [0.001, 0.02, 0.1, 0.33] as const
/** By how much the canary's rate exceeds what is tolerated. */
const EXCESSES = [0.04, 0.15, 0.4, 0.9] as const
const HIGHEST_RATE = 0.99

/** The pairs of rates that are bet on. */
function pairsBeyond(tolerated: number): readonly Rates[] {
  return STABLE_RATES.flatMap((stable) =>
    EXCESSES.map((excess) => ({ stable, canary: stable + tolerated + excess })).filter(
      ({ canary }) => canary <= HIGHEST_RATE,
    ),
  )
}

/** A beginning without evidence: one logarithm for each pair of rates. */
export function noEvidence(tolerated: number): readonly number[] {
  return pairsBeyond(tolerated).map(() => 0)
}

/** The evidence after one more group. */
export function withGroup(logs: readonly number[], group: Group, tolerated: number): readonly number[] {
  return pairsBeyond(tolerated).map((rates, i) => (logs[i] ?? 0) + factor(group, rates, tolerated))
}

/** The natural logarithm of the e-value. */
export function errorEvidence(logs: readonly number[]): number {
  return logs.length === 0 ? 0 : logMean(logs)
}

function factor({ canary, stable }: Group, rates: Rates, tolerated: number): number {
  const border = nearest(canary.requests, stable.requests, rates, tolerated)
  return likelihoodRatio(canary, rates.canary, border + tolerated) + likelihoodRatio(stable, rates.stable, border)
}

function likelihoodRatio({ errors, requests }: Side, rate: number, other: number): number {
  return errors * Math.log(rate / other) + (requests - errors) * Math.log((1 - rate) / (1 - other))
}

const MOST_HALVINGS = 60
const CLOSE = 1e-12

/**
 * The stable side's rate on the border of the hypothesis that is nearest to a pair beyond the border. The distance is
 * convex along the border, so that its slope has one zero, between the two rates.
 */
function nearest(canaries: number, stables: number, rates: Rates, tolerated: number): number {
  let low = rates.stable
  let high = rates.canary - tolerated
  let at = (canaries * high + stables * low) / (canaries + stables)
  for (let i = 0; i < MOST_HALVINGS && high - low > CLOSE; i++) {
    const other = at + tolerated
    const [spread, otherSpread] = [at * (1 - at), other * (1 - other)]
    const slope = (canaries * (other - rates.canary)) / otherSpread + (stables * (at - rates.stable)) / spread
    if (Math.abs(slope) < CLOSE) break
    if (slope > 0) high = at
    else low = at
    // Newton's step, where it stays between the bounds.
    const curve =
      (canaries * curvature(other, rates.canary)) / otherSpread ** 2 +
      (stables * curvature(at, rates.stable)) / spread ** 2
    const next = at - slope / curve
    const better = next > low && next < high ? next : (low + high) / 2
    if (Math.abs(better - at) < CLOSE) return better
    at = better
  }
  return at
}

/** Of relative entropy, times the square of the spread. */
function curvature(at: number, rate: number): number {
  return at * at - 2 * at * rate + rate
}
