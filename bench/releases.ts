import { type SimulatedRelease, simulate } from '../synthetic/releases.ts'
import { markdown } from './lib/table.ts'

/**
 * How soon the rule of docs/canary.md takes bad canaries out, and how often equal ones: thousands of simulated releases,
 * without a Worker. `node bench/releases.ts` prints the table.
 */

const RELEASES = 5_000
const SEED = 17

const base: SimulatedRelease = { requests: 2_000, share: 0.05, stable: {}, canary: {} }

const CASES: readonly (readonly [string, SimulatedRelease])[] = [
  ['equal, no errors', { ...base, shadow: 0.1 }],
  ['equal, 1 % errors', { ...base, stable: { errors: 0.01 }, canary: { errors: 0.01 } }],
  ['equal, 30 % errors', { ...base, stable: { errors: 0.3 }, canary: { errors: 0.3 } }],
  ['equal, an outage of both in every tenth block', { ...base, outage: 0.6 }],
  ['equal, noisy times that drift', { ...base, latency: { noise: 0.8, drift: 3 } }],
  ['equal, 1,000 callers that fail on 0 to 4 %', { ...base, callers: { count: 1_000, most: 0.04 } }],
  ['1 point more errors, as tolerated', { ...base, stable: { errors: 0.01 }, canary: { errors: 0.02 } }],
  ['5 % disagree, as tolerated', { ...base, shadow: 0.1, canary: { wrong: 0.05 } }],
  ['1.5 times as slow, as tolerated', { ...base, latency: { noise: 0.5, drift: 2 }, canary: { slower: 1.5 } }],
  ['20 % wrong, its own requests compared', { ...base, shadow: 1, sides: 'canary', canary: { wrong: 0.2 } }],
  ['20 % wrong, a tenth of all compared', { ...base, shadow: 0.1, canary: { wrong: 0.2 } }],
  ['10 % wrong, a tenth of all compared', { ...base, shadow: 0.1, canary: { wrong: 0.1 } }],
  ['cannot be loaded', { ...base, canary: { errors: 1 } }],
  ['20 % errors', { ...base, canary: { errors: 0.2 } }],
  ['5 % errors', { ...base, canary: { errors: 0.05 } }],
  ['twice the cost units, a tenth compared', { ...base, shadow: 0.1, canary: { cost: 2 } }],
  ['twice as slow, noisy', { ...base, latency: { noise: 0.5, drift: 2 }, canary: { slower: 2 } }],
]

const rows = CASES.map(([name, release]) => {
  const { after, stopped } = simulate(release, { releases: RELEASES, seed: SEED })
  const at = (share: number): string => {
    const value = after[Math.ceil(share * RELEASES) - 1]
    return value === undefined ? '—' : String(value)
  }
  return [name, `${((stopped / RELEASES) * 100).toFixed(2)} %`, at(0.5), at(0.99)]
})

console.info(
  markdown({
    title: `${RELEASES.toLocaleString('en')} simulated releases of each kind`,
    head: ['canary', 'taken out', 'requests until then: half', '99 %'],
    rows,
  }),
)
