import { KeyReader } from '../access/keys/reader.ts'
import { type AppDeps, createApp } from '../app.ts'
import type { IndexSweep } from '../catalog/index/sweep.ts'
import { CatalogReader } from '../catalog/reader.ts'
import type { Config } from '../config/config.ts'
import type { Limits } from '../core/limits.ts'
import type { Metering } from '../metering/metering.ts'
import type { Origin } from '../placement/origin.ts'
import { DurableStreams } from '../stream/durable.ts'
import { openRefused } from '../stream/refusing.ts'
import type { StreamDeps } from '../stream/stream-context.ts'
import type { Tracing } from '../telemetry/traces/create.ts'
import { VERSION } from '../version.ts'
import { ChunkPassage } from '../weights/passage.ts'
import { credentialsOf } from './access.ts'
import { admissionsOf } from './admission.ts'
import { canariesOf } from './canaries.ts'
import type { Env } from './env.ts'
import { floodGuardsOf } from './floods.ts'
import { indexOf } from './lists.ts'
import { metersOf } from './metering.ts'
import { metricsOf } from './metrics.ts'
import { analyticsOf, observedBy } from './observers.ts'
import { operationsOf } from './operations.ts'
import { originsOf } from './origins.ts'
import { givenToOrigins, releaseCheckOf } from './releases.ts'
import { type Services, servicesOf } from './services.ts'
import { servingOf } from './serving.ts'
import { type Platform, sharedBy } from './shared.ts'
import { storesOf } from './stores.ts'

/** A Worker put together. */
export interface Verge extends Services {
  readonly limits: Limits
  readonly app: ReturnType<typeof createApp>
  readonly streams: StreamDeps
  readonly metering: Metering
  readonly origins: readonly Origin[]
  /** What the cron trigger does for lists. */
  readonly index: IndexSweep
}

/**
 * A Worker of what is bound, what is configured and what the platform has. Once for each isolate.
 * @param tracing as `tracingOf` made it
 */
export function assemble(env: Env, config: Config, platform: Platform, tracing?: Tracing): Verge {
  const { limits } = config
  const tracer = tracing?.tracer
  const shared = sharedBy(platform, limits, tracer)
  const metrics = metricsOf(env, shared)
  if (metrics !== undefined) tracing?.exporter.watch(metrics.spans)
  const stores = storesOf(env, metrics, tracer)
  const releases = releaseCheckOf(env, config, shared)
  const catalog = new CatalogReader([stores.copies, stores.truth], { ...shared, releases })
  const serving = servingOf(env, config, stores, catalog, metrics, shared)
  const admissions = admissionsOf(shared)
  const remote = originsOf(env, config, serving, admissions.forwarded, metrics, shared)
  const canaries = canariesOf(env, { catalog, serving, placement: remote?.placement, meter: metrics?.meter }, shared)
  const keys = new KeyReader(stores.copies, stores.truth, shared)
  const floods = floodGuardsOf(env, platform)
  const { metering, usage } = metersOf(env, config, keys, stores.truth, floods, shared)
  const deps: AppDeps = {
    ...shared,
    serving,
    residence: serving,
    ...(remote && {
      placement: remote.placement,
      signatures: remote.signatures,
      weights: givenToOrigins(stores.truth, releases, shared),
    }),
    credentials: credentialsOf(env, config, keys, floods.addressRate, shared),
    metering,
    limited: { plans: config.plans, models: config.modelLimits },
    ...(usage && { usage }),
    operations: operationsOf(env, config, stores, keys, serving, remote, metrics, canaries, shared),
    ...(metrics && { metrics: metrics.reader, countHttp: metrics.countHttp }),
    ...(canaries && { canaries: canaries.reader, shadows: canaries.shadows }),
    ...observedBy([metrics?.observer, canaries?.observer, analyticsOf(env)]),
    admission: admissions.requests,
    downloads: {
      chunks: new ChunkPassage(stores.passed.copies, stores.passed.truth, shared),
      admission: admissions.downloads,
    },
    config: {
      version: VERSION,
      corsOrigins: config.corsOrigins,
      ...(config.tokenKey && { tokenKey: config.tokenKey }),
      deadlineMs: limits.requestDeadlineMs,
      defaultProtocol: config.defaultProtocol,
      defaultModel: config.defaultModel,
      modelNames: config.modelNames,
    },
    requestLog: { sampleRate: config.logSampleRate, random: platform.random },
    ...(config.playground && env.ASSETS && { page: documentOf(env.ASSETS) }),
    refuseSocket: openRefused,
    ...(env.STREAMS && { streams: new DurableStreams(env.STREAMS) }),
  }
  return {
    app: createApp(deps),
    ...servicesOf({ ...deps, admission: admissions.calls }, config),
    streams: deps,
    metering,
    origins: remote?.origins ?? [],
    index: indexOf(stores.truth, shared),
    limits,
  }
}

/** The playground's document. The host of the address means nothing. */
function documentOf(assets: Fetcher): NonNullable<AppDeps['page']> {
  return async () => {
    const { body, ok } = await assets.fetch('https://assets.internal/index.html')
    return ok ? (body ?? undefined) : undefined
  }
}
