import type { Alias } from '../catalog/alias.ts'
import type { OperationsCanary, OperationsModel } from '../protocols/verge/operations.ts'
import type { HourOfTraffic, TrafficOfModel } from './traffic.ts'

/** What a list says of a model, as far as it is told here. */
export type ListedAlias = Pick<Alias, 'model' | 'visibility' | 'live'> & Partial<Pick<Alias, 'canary' | 'stopped'>>

/** What is known of all models, each part from a source of its own; undefined where it could not be read. */
export interface KnownOfModels {
  readonly aliases: readonly ListedAlias[] | undefined
  readonly traffic: HourOfTraffic | undefined
  /** Today's dollars by model. */
  readonly costs: ReadonlyMap<string, number> | undefined
}

/**
 * The models with the most requests in the last hour, then by name. A model that has traffic is listed even if it has been
 * removed since.
 */
export function modelRows(
  { aliases, costs, traffic }: KnownOfModels,
  most: number,
): { readonly rows: OperationsModel[]; readonly leftOut: number } {
  const byName = new Map((aliases ?? []).map((alias) => [alias.model, alias]))
  const names = [...new Set([...byName.keys(), ...(traffic?.models.keys() ?? [])])]
  const requests = (name: string): number => traffic?.models.get(name)?.lastHour.requests ?? 0
  names.sort((a, b) => requests(b) - requests(a) || (a < b ? -1 : 1))
  const rows = names
    .slice(0, most)
    .map((name) => rowOf(name, byName.get(name), traffic && (traffic.models.get(name) ?? IDLE), costs?.get(name)))
  return { rows, leftOut: Math.max(0, names.length - most) }
}

const NONE = { requests: 0, errors: 0, units: 0, tokens: 0 }
const IDLE: TrafficOfModel = { last5m: NONE, lastHour: NONE, versions: [] }

function rowOf(
  model: string,
  alias: ListedAlias | undefined,
  traffic: TrafficOfModel | undefined,
  costTodayUsd: number | undefined,
): OperationsModel {
  return {
    model,
    ...(alias && { visibility: alias.visibility }),
    live: alias?.live.map(({ version, weight }) => ({ version, weight })) ?? [],
    ...(alias?.canary && { canary: canaryOf(alias, alias.canary) }),
    ...(alias?.stopped && { stopped: stopOf(alias.stopped) }),
    traffic: traffic === undefined ? null : { last5m: traffic.last5m, lastHour: traffic.lastHour },
    versions: [...(traffic?.versions ?? [])],
    ...(costTodayUsd !== undefined && { costTodayUsd }),
  }
}

function canaryOf({ live }: Pick<Alias, 'live'>, canary: NonNullable<Alias['canary']>): OperationsCanary {
  const { against, guarded, shadow, version } = canary
  const total = live.reduce((sum, { weight }) => sum + weight, 0)
  const own = live.find((each) => each.version === version)?.weight ?? 0
  return { version, against, share: own / total, ...(shadow !== undefined && { shadow }), guarded }
}

function stopOf({ at, reason, version }: NonNullable<Alias['stopped']>): NonNullable<OperationsModel['stopped']> {
  return { version, at: new Date(at * 1000).toISOString(), reason }
}
