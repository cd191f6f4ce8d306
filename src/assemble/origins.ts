import { originSignatures } from '../access/origin-signatures.ts'
import type { AppDeps } from '../app.ts'
import type { Config } from '../config/config.ts'
import type { Tracer } from '../core/tracing.ts'
import { HealthView } from '../placement/health.ts'
import { KvHealthStore } from '../placement/health-store.ts'
import type { Origin, OriginFault } from '../placement/origin.ts'
import { OriginPool } from '../placement/origin-pool.ts'
import { PlacementPlanner } from '../placement/planner.ts'
import { resolveOrigins } from '../placement/remote/resolve.ts'
import { runRemotely, sendOn } from '../placement/remote/send.ts'
import { OriginPlacement } from '../placement/route.ts'
import type { Admission } from '../serving/admission.ts'
import type { LocalServing } from '../serving/local.ts'
import type { Env } from './env.ts'
import type { Metrics } from './metrics.ts'
import type { Shared } from './shared.ts'

/** The isolate and the origins together. */
export interface Origins {
  readonly placement: OriginPlacement
  readonly origins: readonly Origin[]
  readonly originPool: OriginPool
  readonly health: HealthView
  /** Of what origins ask for. */
  readonly signatures: NonNullable<AppDeps['signatures']>
}

/** Undefined where there are no origins. @param admission slots of requests that are passed on */
export function originsOf(
  env: Env,
  { origins: configs }: Config,
  edge: LocalServing,
  admission: Admission,
  metrics: Metrics | undefined,
  shared: Shared,
): Origins | undefined {
  if (configs.length === 0) return undefined
  const { clock, limits, logger, random, randomId, tracer } = shared
  const origins = resolveOrigins(configs, {
    secret: (name) => (typeof env[name] === 'string' ? env[name] : undefined),
    binding: (name) => {
      const binding = env[name]
      return isFetcher(binding) ? (request) => binding.fetch(inTrace(request, tracer)) : undefined
    },
    fetch: (request) => fetch(inTrace(request, tracer)),
    clock,
    randomId,
  })
  const health = new HealthView(new KvHealthStore(env.KV, limits), shared)
  const originPool = new OriginPool(origins, {
    clock,
    limits,
    logger,
    health,
    random,
    ...(metrics && { tried: metrics.originTried }),
  })
  metrics?.watchOrigins(() => originPool.states)
  const binaryOrigins = new Map<string, boolean>()
  const onLateFault = (origin: Origin, fault: OriginFault): void => originPool.recordStreamFailure(origin, fault)
  const placement = new OriginPlacement({
    edge,
    planner: new PlacementPlanner({ edge, originPool, health, clock, failedLoadMs: limits.failedLoadMs }),
    originPool,
    clock,
    logger,
    runRemotely: (origin, model, inputs, outputs, context) =>
      asSpan(tracer, origin, () =>
        runRemotely(origin, model, inputs, outputs, context, { clock, limits, binaryOrigins }),
      ),
    admission,
    forward: (origin, model, request, context) =>
      asSpan(tracer, origin, () => sendOn(origin, model, request, context, { clock, limits, onLateFault })),
  })
  const secrets = configs.flatMap(({ auth }) => (auth.type === 'hmac' ? [String(env[auth.key])] : []))
  return { placement, origins, originPool, health, signatures: originSignatures([...new Set(secrets)], clock) }
}

/** One try at an origin, as a span. Of an answer that is a stream it has the time until it begins. */
function asSpan<T>(tracer: Tracer | undefined, { kind, name }: Origin, work: () => Promise<T>): Promise<T> {
  if (tracer === undefined) return work()
  return tracer.span('origin', { 'verge.origin': name, 'verge.origin.kind': kind }, work)
}

/** A request to an origin, with the trace that it belongs to. */
function inTrace(request: Request, tracer: Tracer | undefined): Request {
  for (const [name, value] of Object.entries(tracer?.headers() ?? {})) request.headers.set(name, value)
  return request
}

function isFetcher(value: unknown): value is Fetcher {
  return typeof value === 'object' && value !== null && 'fetch' in value && typeof value.fetch === 'function'
}
