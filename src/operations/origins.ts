import type { RequestContext } from '../core/runtime.ts'
import type { HealthView } from '../placement/health.ts'
import type { OriginPool } from '../placement/origin-pool.ts'
import type { OperationsOrigin } from '../protocols/verge/operations.ts'

/** How the origins are: by the record that the cron trigger writes, and by this isolate's circuit breakers. */
export async function originStates(
  pool: Pick<OriginPool, 'candidates'>,
  health: Pick<HealthView, 'of' | 'refresh'>,
  context: Pick<RequestContext, 'waitUntil'>,
): Promise<OperationsOrigin[]> {
  await health.refresh(context)
  return pool
    .candidates(undefined, undefined)
    .map(({ answered, origin: { name }, state }): OperationsOrigin => {
      const probed = health.of(name)
      if (probed === undefined) return { name, up: null, here: state, answered, failures: 0 }
      const { checkedAt, detail, failures, latencyMs, ok, provider, queue } = probed
      return {
        name,
        up: ok,
        here: state,
        answered,
        failures,
        latencyMs,
        ...(queue !== undefined && { queue }),
        ...(provider !== undefined && { provider }),
        checkedAt: new Date(checkedAt).toISOString(),
        ...(detail !== undefined && detail !== '' && { detail }),
      }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
