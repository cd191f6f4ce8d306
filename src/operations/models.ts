import type { Alias } from '../catalog/alias.ts'
import { isoTime } from '../core/time.ts'
import type { OperationsCanary, OperationsModel, Utilization } from '../protocols/verge/operations.ts'
import type { Latency } from './latency.ts'
import type { HourOfTraffic, TrafficOfModel } from './traffic.ts'

/** What a list says of a model. */
export type ListedModel = Pick<Alias, 'model' | 'visibility' | 'live'>

/** What the watch says of a model's canary. */
export type Watched = Pick<OperationsCanary, 'verdict' | 'requests'>

/** What is known of all models, each part from a source of its own; undefined where it could not be read. */
export interface KnownOfModels {
  readonly listed: readonly ListedModel[] | undefined
  /** Of the models that have traffic: these alone say which version is on trial. */
  readonly aliases: readonly Alias[] | undefined
  /** By model. */
  readonly watched?: ReadonlyMap<string, Watched> | undefined
  readonly traffic: HourOfTraffic | undefined
  readonly latencies: ReadonlyMap<string, Latency> | undefined
  readonly utilizations?: ReadonlyMap<string, Utilization> | undefined
  /** Today's dollars by model. */
  readonly costs: ReadonlyMap<string, number> | undefined
}

/**
 * The models with the most requests in the last hour, then by name. A model that has traffic is listed even if it has been
 * removed since.
 */
export function modelRows(
  { aliases = [], costs, latencies, listed = [], traffic, utilizations, watched }: KnownOfModels,
  most: number,
): { readonly rows: OperationsModel[]; readonly leftOut: number } {
  const byName = new Map<string, ListedModel | Alias>([...listed, ...aliases].map((each) => [each.model, each]))
  const busy = traffic === undefined ? [] : busiest(traffic)
  const idle = [...byName.keys()].filter((name) => !busy.includes(name)).sort()
  const names = [...busy, ...idle]
  const rows = names.slice(0, most).map((name) => {
    const costTodayUsd = costs?.get(name)
    const utilization = utilizations?.get(name)
    return {
      ...rowOf(name, byName.get(name), traffic && (traffic.models.get(name) ?? IDLE), watched?.get(name)),
      ...latencies?.get(name),
      ...(utilization !== undefined && { utilization }),
      ...(costTodayUsd !== undefined && { costTodayUsd }),
    }
  })
  return { rows, leftOut: Math.max(0, names.length - most) }
}

/** Models with traffic, those with the most requests first. */
export function busiest({ models }: HourOfTraffic): string[] {
  return [...models]
    .sort(([one, a], [other, b]) => b.lastHour.requests - a.lastHour.requests || (one < other ? -1 : 1))
    .map(([name]) => name)
}

const NONE = { requests: 0, errors: 0, units: 0, tokens: 0 }
const IDLE: TrafficOfModel = { last5m: NONE, lastHour: NONE, versions: [] }

function rowOf(
  model: string,
  known: ListedModel | Alias | undefined,
  traffic: TrafficOfModel | undefined,
  watched: Watched | undefined,
): OperationsModel {
  return {
    model,
    ...(known && { visibility: known.visibility }),
    live: known?.live.map(({ version, weight }) => ({ version, weight })) ?? [],
    ...(known && 'canary' in known && known.canary && { canary: { ...canaryOf(known, known.canary), ...watched } }),
    ...(known && 'stopped' in known && known.stopped && { stopped: stopOf(known.stopped) }),
    traffic: traffic === undefined ? null : { last5m: traffic.last5m, lastHour: traffic.lastHour },
    versions: [...(traffic?.versions ?? [])],
  }
}

function canaryOf({ live }: Pick<Alias, 'live'>, canary: NonNullable<Alias['canary']>): OperationsCanary {
  const { against, guarded, shadow, version } = canary
  const total = live.reduce((sum, { weight }) => sum + weight, 0)
  const own = live.find((each) => each.version === version)?.weight ?? 0
  return { version, against, share: own / total, ...(shadow !== undefined && { shadow }), guarded }
}

function stopOf({ at, reason, version }: NonNullable<Alias['stopped']>): NonNullable<OperationsModel['stopped']> {
  return { version, at: isoTime(at * 1000), reason }
}
