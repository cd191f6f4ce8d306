import { type SimulatedRelease, simulate } from '../../synthetic/releases.ts'
import type { Bench } from './context.ts'

/** Of each kind. */
const RELEASES = { full: 5_000, quick: 200 } as const
const SEED = 17

/** Simulated releases of one kind of canary. */
export interface ReleasesRow {
  readonly canary: string
  readonly kind: Kind
  readonly releases: number
  /** Releases that went back. */
  readonly stopped: number
  /** Requests of the canary until half of the releases, and until 99 % of them, had gone back. Absent: fewer went back. */
  readonly half?: number
  readonly most?: number
}

/** `equal`: no worse than tolerated, taken out by mistake. `wrong`: a fifth of its answers is, and its own requests are compared. */
type Kind = 'equal' | 'wrong' | 'worse'

const base: SimulatedRelease = { requests: 2_000, share: 0.05, stable: {}, canary: {} }

const CASES: readonly (readonly [Kind, string, SimulatedRelease])[] = [
  ['equal', 'equal, no errors', { ...base, shadow: 0.1 }],
  ['equal', 'equal, 1 % errors', { ...base, stable: { errors: 0.01 }, canary: { errors: 0.01 } }],
  ['equal', 'equal, 30 % errors', { ...base, stable: { errors: 0.3 }, canary: { errors: 0.3 } }],
  ['equal', 'equal, an outage of both in every tenth block', { ...base, outage: 0.6 }],
  ['equal', 'equal, noisy times that drift', { ...base, latency: { noise: 0.8, drift: 3 } }],
  ['equal', 'equal, 1,000 callers that fail on 0 to 4 %', { ...base, callers: { count: 1_000, most: 0.04 } }],
  ['equal', '1 point more errors, as tolerated', { ...base, stable: { errors: 0.01 }, canary: { errors: 0.02 } }],
  ['equal', '5 % disagree, as tolerated', { ...base, shadow: 0.1, canary: { wrong: 0.05 } }],
  ['equal', '1.5 times as slow, as tolerated', { ...base, latency: { noise: 0.5, drift: 2 }, canary: { slower: 1.5 } }],
  ['wrong', '20 % wrong, its own requests compared', { ...base, shadow: 1, sides: 'canary', canary: { wrong: 0.2 } }],
  ['worse', '20 % wrong, a tenth of all compared', { ...base, shadow: 0.1, canary: { wrong: 0.2 } }],
  ['worse', '10 % wrong, a tenth of all compared', { ...base, shadow: 0.1, canary: { wrong: 0.1 } }],
  ['worse', 'cannot be loaded', { ...base, canary: { errors: 1 } }],
  ['worse', '20 % errors', { ...base, canary: { errors: 0.2 } }],
  ['worse', '5 % errors', { ...base, canary: { errors: 0.05 } }],
  ['worse', 'twice the cost units, a tenth compared', { ...base, shadow: 0.1, canary: { cost: 2 } }],
  ['worse', 'twice as slow, noisy', { ...base, latency: { noise: 0.5, drift: 2 }, canary: { slower: 2 } }],
]

/** How soon the rule of docs/canary.md takes bad canaries out, and how often equal ones: without a Worker. */
export function measureReleases({ effort, progress }: Pick<Bench, 'effort' | 'progress'>): ReleasesRow[] {
  const releases = effort.everySize ? RELEASES.full : RELEASES.quick
  return CASES.map(([kind, canary, release]) => {
    progress(`${releases} simulated releases: ${canary}`)
    const { after, stopped } = simulate(release, { releases, seed: SEED })
    const [half, most] = [0.5, 0.99].map((share) => after[Math.ceil(share * releases) - 1])
    return { canary, kind, releases, stopped, ...(half !== undefined && { half }), ...(most !== undefined && { most }) }
  })
}
