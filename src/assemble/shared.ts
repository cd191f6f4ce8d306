import type { Limits } from '../core/limits.ts'
import type { Clock, Logger, RunCounter, Sha256Factory } from '../core/runtime.ts'
import { sha256Factory } from '../core/sha256.ts'
import type { RequestTracer } from '../core/tracing.ts'
import { WorkLane } from '../core/work.ts'

/** What is neither bound nor configured. */
export interface Platform {
  readonly clock: Clock
  readonly logger: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly randomId: () => string
}

/** What many parts of an isolate take, each one of it. */
export interface Shared extends Platform {
  readonly limits: Limits
  readonly sha256: Sha256Factory
  readonly runs: RunCounter
  readonly lane: WorkLane
  /** Undefined where no traces are recorded. */
  readonly tracer: RequestTracer | undefined
}

export function sharedBy(platform: Platform, limits: Limits, tracer: RequestTracer | undefined): Shared {
  return {
    ...platform,
    limits,
    tracer,
    sha256: sha256Factory(),
    runs: { finished: 0 },
    lane: new WorkLane({
      clock: platform.clock,
      stepsBetweenPauses: limits.stepsBetweenPauses,
      leaseMs: limits.turnLeaseMs,
      mostStepsAhead: limits.readingStepsAhead,
    }),
  }
}
