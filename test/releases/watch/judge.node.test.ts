import { describe, expect, it } from 'vitest'
import { DEFAULT_CANARY_RULES } from '../../../src/catalog/canary-rules.ts'
import { FALSE_STOPS, judge, NO_COUNTS, newWatch, seen } from '../../../src/releases/watch/judge.ts'
import { type SimulatedRelease, simulate } from '../../../synthetic/releases.ts'

/** Chance of a binomial count, so that a count of simulated releases is judged by what chance allows. */
const RELEASES = 200

function stops(release: SimulatedRelease, releases = RELEASES) {
  return simulate(release, { releases, seed: 20261130 })
}

const equal: SimulatedRelease = { requests: 500, share: 0.05, stable: {}, canary: {} }

describe('the rule by which a canary goes back', () => {
  it.each<[string, SimulatedRelease]>([
    ['without errors', { ...equal, shadow: 1 }],
    ['with 1 % errors on both sides', { ...equal, stable: { errors: 0.01 }, canary: { errors: 0.01 } }],
    ['with 30 % errors on both sides', { ...equal, stable: { errors: 0.3 }, canary: { errors: 0.3 } }],
    ['with an outage that hits both', { ...equal, outage: 0.6 }],
    ['with noisy latencies that drift on both sides', { ...equal, latency: { noise: 0.8, drift: 3 } }],
    ['with half of the requests', { ...equal, share: 0.5, stable: { errors: 0.01 }, canary: { errors: 0.01 } }],
    ['with callers that fail differently often', { ...equal, callers: { count: 1_000, most: 0.04 } }],
  ])('an equal canary stays in 99 of 100 releases: %s', (_name, release) => {
    expect(stops(release).stopped / RELEASES).toBeLessThanOrEqual(FALSE_STOPS)
  })

  it.each<[string, SimulatedRelease]>([
    ['errors', { ...equal, canary: { errors: DEFAULT_CANARY_RULES.errors } }],
    ['disagreement', { ...equal, shadow: 1, canary: { wrong: DEFAULT_CANARY_RULES.disagreement } }],
    ['cost', { ...equal, shadow: 1, canary: { cost: DEFAULT_CANARY_RULES.cost } }],
    ['latency', { ...equal, latency: { noise: 0.5, drift: 2 }, canary: { slower: DEFAULT_CANARY_RULES.latency } }],
  ])('a canary that is just as much worse as is tolerated stays: %s', (_name, release) => {
    expect(stops(release).stopped / RELEASES).toBeLessThanOrEqual(FALSE_STOPS)
  })

  it('a canary that answers wrongly on 20 % of requests goes back within 200 of them', () => {
    const found = stops({ ...equal, requests: 200, shadow: 1, sides: 'canary', canary: { wrong: 0.2 } })
    expect(found.stopped / RELEASES).toBeGreaterThan(0.98)
  })

  it('with comparisons from both sides already a tenth of the requests is enough', () => {
    const found = stops({ ...equal, requests: 200, shadow: 0.1, canary: { wrong: 0.2 } })
    expect(found.stopped).toBe(RELEASES)
  })

  it.each<[string, SimulatedRelease, number]>([
    ['cannot be loaded', { ...equal, canary: { errors: 1 } }, 10],
    ['fails on every fifth request', { ...equal, canary: { errors: 0.2 } }, 120],
    ['costs twice as much', { ...equal, shadow: 1, sides: 'canary', canary: { cost: 2 } }, 20],
    ['takes three times as long', { ...equal, latency: { noise: 0.3, drift: 2 }, canary: { slower: 3 } }, 60],
  ])('a canary that %s goes back soon', (_name, release, within) => {
    const found = stops({ ...release, requests: within })
    expect(found.stopped / RELEASES).toBeGreaterThan(0.97)
  })
})

it('evidence that is no number stops nothing', () => {
  const broken = { ...newWatch(DEFAULT_CANARY_RULES), logs: [Number.NaN] }
  expect(judge(broken, DEFAULT_CANARY_RULES).worse).toBeUndefined()
})

it("a group begins with the canary's first request: an outage is not compared with the hours before", () => {
  const hours = { ...NO_COUNTS, stable: { requests: 100_000, errors: 0 } }
  const outage = { ...NO_COUNTS, canary: { requests: 5, errors: 5 }, stable: { requests: 20, errors: 20 } }
  const state = [hours, hours, outage].reduce(
    (all, counts) => seen(all, counts, DEFAULT_CANARY_RULES),
    newWatch(DEFAULT_CANARY_RULES),
  )
  expect(judge(state, DEFAULT_CANARY_RULES).evidence.errors).toBeLessThanOrEqual(1)
  expect(state.total.stable.requests).toBe(200_020)
})
