import { type CanaryRules, DEFAULT_CANARY_RULES } from '../src/catalog/canary-rules.ts'
import { seededRandom } from '../src/generate/random.ts'
import { judge, newWatch, type Question, seen, type WatchCounts } from '../src/releases/watch/judge.ts'
import type { Side } from '../src/releases/watch/two-sample.ts'

/** How a version behaves. Left out: never fails, answers as the stable version, costs as much, takes as long. */
export interface SimulatedVersion {
  /** Share of requests that fail. */
  readonly errors?: number
  /** Share of requests whose outputs disagree with the stable version's. */
  readonly wrong?: number
  /** Cost units and time, over those of the stable version. */
  readonly cost?: number
  readonly slower?: number
}

/** A release of a canary, request by request, without a Worker. */
export interface SimulatedRelease {
  /** Requests of the canary after which the release ends. */
  readonly requests: number
  /** The canary's share of the requests. */
  readonly share: number
  readonly stable: Pick<SimulatedVersion, 'errors'>
  readonly canary: SimulatedVersion
  /** Share of the requests whose outputs are compared; left out: none. */
  readonly shadow?: number
  /** Whose requests are compared; both if left out. */
  readonly sides?: 'canary'
  /** Share of errors on both sides in every tenth minute, besides their own. */
  readonly outage?: number
  /** Times of like requests: log-normal, with a common level that rises up to `drift` times and falls again. */
  readonly latency?: { readonly noise: number; readonly drift: number }
  /** Callers that keep their version, with shares of errors of their own between 0 and `most`, and very unlike traffic. */
  readonly callers?: { readonly count: number; readonly most: number }
  readonly rules?: Partial<CanaryRules>
}

export interface Simulated {
  /** Releases that went back. */
  readonly stopped: number
  /** Requests of the canary until then, in rising order. */
  readonly after: readonly number[]
  readonly reasons: Readonly<Partial<Record<Question, number>>>
}

/** As many as an isolate reports at a time. */
const BLOCK = 10

/** Many releases of the same kind. Everything about them follows from the seed. */
export function simulate(
  release: SimulatedRelease,
  { releases, seed }: { readonly releases: number; readonly seed: number },
): Simulated {
  const random = seededRandom(seed)
  const ends = Array.from({ length: releases }, () => oneRelease(release, random)).filter((end) => end !== undefined)
  const reasons: Partial<Record<Question, number>> = {}
  for (const { worse } of ends) reasons[worse] = (reasons[worse] ?? 0) + 1
  return { stopped: ends.length, after: ends.map(({ requests }) => requests).sort((a, b) => a - b), reasons }
}

function oneRelease(
  release: SimulatedRelease,
  random: () => number,
): { readonly requests: number; readonly worse: Question } | undefined {
  const rules = { ...DEFAULT_CANARY_RULES, ...release.rules }
  const callers = callersOf(release, random)
  let state = newWatch(rules)
  for (let requests = BLOCK; requests <= release.requests; requests += BLOCK) {
    state = seen(state, block(release, { requests, rules, callers, random }), rules)
    const { worse } = judge(state, rules)
    if (worse !== undefined) return { requests, worse }
  }
  return undefined
}

interface Moment {
  readonly requests: number
  readonly rules: CanaryRules
  /** Errors of each side's own callers. */
  readonly callers: { readonly canary: number; readonly stable: number }
  readonly random: () => number
}

function block(release: SimulatedRelease, { callers, random, requests, rules }: Moment): WatchCounts {
  const { canary, share, stable } = release
  const stables = Math.round((BLOCK * (1 - share)) / share)
  const outage = Math.floor(requests / BLOCK) % 10 === 0 ? (release.outage ?? 0) : 0
  const side = (count: number, errors: number): Side => ({
    requests: count,
    errors: binomial(count, errors + (1 - errors) * outage, random),
  })
  const compared = binomial(BLOCK + (release.sides === 'canary' ? 0 : stables), release.shadow ?? 0, random)
  return {
    canary: side(BLOCK, Math.min(1, (canary.errors ?? 0) + callers.canary)),
    stable: side(stables, Math.min(1, (stable.errors ?? 0) + callers.stable)),
    disagreed: { count: binomial(compared, canary.wrong ?? 0, random), of: compared },
    costlier: { count: (canary.cost ?? 1) > rules.cost ? compared : 0, of: compared },
    slower: slowerOnes(release, requests, rules, random),
    failed: 0,
    skipped: 0,
    incomparable: 0,
    largest: 0,
  }
}

function slowerOnes(
  { canary, latency, requests: all }: SimulatedRelease,
  requests: number,
  rules: CanaryRules,
  random: () => number,
): WatchCounts['slower'] {
  if (latency === undefined) return { count: 0, of: 0 }
  const level = 1 + (latency.drift - 1) * Math.sin((Math.PI * requests) / all) ** 2
  const time = (): number => level * Math.exp(latency.noise * normal(random))
  let count = 0
  for (let i = 0; i < BLOCK; i++) if ((canary.slower ?? 1) * time() > rules.latency * time()) count++
  return { count, of: BLOCK }
}

/** Each caller keeps its version; a few callers send most of the requests. */
function callersOf(
  { callers, share }: SimulatedRelease,
  random: () => number,
): { readonly canary: number; readonly stable: number } {
  if (callers === undefined) return { canary: 0, stable: 0 }
  const sides = { canary: { weight: 0, errors: 0 }, stable: { weight: 0, errors: 0 } }
  for (let i = 1; i <= callers.count; i++) {
    const side = random() < share ? sides.canary : sides.stable
    side.weight += 1 / i
    side.errors += (random() * callers.most) / i
  }
  const rate = ({ errors, weight }: { errors: number; weight: number }): number => (weight === 0 ? 0 : errors / weight)
  return { canary: rate(sides.canary), stable: rate(sides.stable) }
}

function binomial(count: number, chance: number, random: () => number): number {
  if (chance <= 0) return 0
  if (chance >= 1) return count
  let successes = 0
  // From one success to the next, by the geometric distribution.
  const log = Math.log1p(-chance)
  for (let at = skip(log, random); at < count; at += 1 + skip(log, random)) successes++
  return successes
}

function skip(log: number, random: () => number): number {
  return Math.floor(Math.log1p(-random()) / log)
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log1p(-random())) * Math.cos(2 * Math.PI * random())
}
