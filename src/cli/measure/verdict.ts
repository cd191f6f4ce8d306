import type { Artifact } from '../../catalog/manifest.ts'
import { LIMITS } from '../../core/limits.ts'
import { sessionFootprint } from '../../engine/costs.ts'

export type Fit =
  /** Stays loaded beside another model of its size. */
  | 'fits'
  /** Runs, and pushes every other model out of the isolate. */
  | 'fits-alone'
  /** Does not run in an isolate. */
  | 'origin-only'

export interface Verdict {
  readonly fit: Fit
  /** Why, in a sentence. */
  readonly reason: string
}

/** CPU time of a request that the free plan allows. */
const FREE_PLAN_CPU_MS = 10
/** CPU time of a request unless the paid plan's limit is raised. */
const PAID_PLAN_CPU_MS = 30_000

const MiB = 1024 * 1024

export interface Runs {
  /** Largest size of the engine's memory that was seen while it ran. */
  readonly heapBytes: number
  /** Of one run, its request included. */
  readonly cpuMs: number | null
}

/**
 * A verdict against the isolate's limits.
 * @param artifact the model's artifact for the edge; undefined if it has none
 * @param runs its measurements; undefined if it does not run
 */
export function verdictOf(artifact: Artifact | undefined, runs: Runs | undefined): Verdict {
  if (artifact === undefined)
    return { fit: 'origin-only', reason: 'It has no artifact that loads at the edge, so only origins can run it.' }
  const session = sessionFootprint(artifact)
  const budget = LIMITS.sessionBudgetBytes
  const size = `Loaded, it uses ${mib(session)} of the ${mib(budget)} that an isolate has for models`
  if (session > budget) return { fit: 'origin-only', reason: `${size}: it does not fit.` }
  if (runs === undefined) return { fit: 'origin-only', reason: `${size}, but it does not run there.` }
  if (runs.cpuMs !== null && runs.cpuMs > PAID_PLAN_CPU_MS) {
    return {
      fit: 'origin-only',
      reason: `A run takes ${Math.round(runs.cpuMs / 1000)} s of CPU time; the limit of a request is 30 s.`,
    }
  }
  const plan =
    runs.cpuMs !== null && runs.cpuMs > FREE_PLAN_CPU_MS
      ? ` A request takes ${Math.round(runs.cpuMs)} ms of CPU time here, more than the free plan's ${FREE_PLAN_CPU_MS}.`
      : ''
  if (session > budget / 2) {
    return { fit: 'fits-alone', reason: `${size}. No second model of this size fits beside it.${plan}` }
  }
  // A run uses the same memory as the weights, so a run that fills most of it leaves no room.
  if (runs.heapBytes > LIMITS.engineHeapBytes - session) {
    return {
      fit: 'fits-alone',
      reason: `${size}, but its runs raise the engine's memory to ${mib(runs.heapBytes)} of ${mib(LIMITS.engineHeapBytes)}. No second model of this size fits beside it.${plan}`,
    }
  }
  return { fit: 'fits', reason: `${size}. Other models fit beside it.${plan}` }
}

function mib(bytes: number): string {
  return `${(bytes / MiB).toFixed(1)} MiB`
}
