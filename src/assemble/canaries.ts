import type { CatalogReader } from '../catalog/reader.ts'
import { Shadows } from '../inference/shadow/shadows.ts'
import type { Placement } from '../placement/placement.ts'
import { ruleOf } from '../releases/watch/judge.ts'
import { CanaryObserver } from '../releases/watch/observer.ts'
import { type CanaryReader, DurableCanaries } from '../releases/watch/reader.ts'
import { CanaryReporter } from '../releases/watch/reporter.ts'
import type { LocalServing } from '../serving/local.ts'
import type { Meter } from '../telemetry/metrics/meter.ts'
import type { Env } from './env.ts'
import type { Shared } from './shared.ts'

/** What watches canaries in this isolate. */
export interface Canaries {
  readonly observer: CanaryObserver
  readonly shadows: Shadows
  readonly reader: CanaryReader
}

interface Watched {
  readonly catalog: Pick<CatalogReader, 'stop'>
  readonly serving: LocalServing
  readonly placement: Placement | undefined
  /** Undefined where nothing is counted. */
  readonly meter: Meter | undefined
}

/** Undefined without the Durable Objects: no canary is watched then. */
export function canariesOf(
  { CANARIES: namespace }: Env,
  { catalog, meter, placement, serving }: Watched,
  shared: Shared,
): Canaries | undefined {
  if (namespace === undefined) return undefined
  const watchOf = (model: string) => namespace.get(namespace.idFromName(model))
  const reporter = new CanaryReporter({
    ...shared,
    watchOf,
    stopped: (model, stop, isFirst) => {
      catalog.stop(model, stop)
      if (isFirst) meter?.count('verge_canary_stops_total', { model, version: stop.version, reason: ruleOf(stop) })
      shared.logger.warn('canary_dropped', { model, version: stop.version })
    },
  })
  const observer = new CanaryObserver(reporter, {
    ...shared,
    compared: (model, version, outcome) => meter?.count('verge_shadow_total', { model, version, outcome }),
  })
  return {
    observer,
    shadows: new Shadows({ ...shared, serving, placement, watch: observer }),
    reader: new DurableCanaries(watchOf, shared),
  }
}
