import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock, Logger } from '../core/runtime.ts'
import type { Tracing } from '../telemetry/traces/create.ts'
import type { TraceSettings } from '../telemetry/traces/settings.ts'
import type { Active } from '../telemetry/traces/tracer.ts'
import { VERSION } from '../version.ts'
import { ORIGIN_LIMITS } from './limits.ts'

/** Where an origin's traces go. Which requests are recorded, its Workers decide. */
export interface OriginTraces extends Pick<TraceSettings, 'url' | 'headers'> {
  readonly serviceName: string
}

export interface TracingParts {
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds since 1970, with fractions. */
  readonly now: () => number
}

/** What continues the traces of Workers; undefined where there is no collector, and nothing of it is loaded then. */
export async function originTracing(
  traces: OriginTraces | undefined,
  parts: TracingParts,
): Promise<Tracing | undefined> {
  if (traces === undefined) return undefined
  const { createTracing } = await import('../telemetry/traces/create.ts')
  return createTracing({
    ...parts,
    limits: ORIGIN_LIMITS,
    settings: { ...traces, sampleRate: 0 },
    // Only Workers that have the key are let in.
    askedPerMinute: Number.POSITIVE_INFINITY,
    refusedPerMinute: 0,
    service: { name: traces.serviceName, version: VERSION, place: 'origin' },
    storage: new AsyncLocalStorage<Active>(),
    fetch: (url, init) => fetch(url, init),
    random: () => 1,
  })
}
