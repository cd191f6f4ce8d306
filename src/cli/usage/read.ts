import { LIMITS } from '../../core/limits.ts'
import { addCounts, type Counts, NO_COUNTS } from '../../metering/usage/counts.ts'
import { monthSnapshotKeys, snapshotAt } from '../../metering/usage/month-snapshots.ts'
import type { UsageSnapshot } from '../../metering/usage/snapshot.ts'
import { ofAllDays, totalOf, type UsageByModel } from '../../metering/usage/usage-by-day.ts'
import type { Store } from '../../weights/store.ts'
import { inParallel } from '../push/pool.ts'

export const GROUPS = ['key', 'day', 'model'] as const
export type Group = (typeof GROUPS)[number]

export interface UsageRequest {
  /** `2026-11` */
  readonly month: string
  readonly group: Group
  /** Left out: of all. */
  readonly principal?: string | undefined
}

export interface ReadUsage {
  /** By principal, day or model. */
  readonly groups: UsageByModel
  readonly total: Counts
  /** When each principal that was read called last. */
  readonly lastUsedAt: ReadonlyMap<string, number>
  /** When the oldest and the newest snapshot were written; undefined where there are none. */
  readonly written: { readonly oldest: number; readonly newest: number } | undefined
  /** What could not be read, a line each. */
  readonly faults: readonly string[]
}

/** Principals of one report. More are narrowed down by `--principal`. */
const MOST_PRINCIPALS = 10_000

/** Adds up the snapshots of a month as they are read, so that no more than the sums is held. @throws store_unavailable */
export async function readUsage(truth: Store, request: UsageRequest, signal: AbortSignal): Promise<ReadUsage> {
  const { keys, truncated } = await monthSnapshotKeys(truth, { ...request, most: MOST_PRINCIPALS }, signal)
  const groups = new Map<string, Counts>()
  const lastUsedAt = new Map<string, number>()
  const times: number[] = []
  const faults = truncated
    ? [`There are more than ${MOST_PRINCIPALS} principals; the others are left out. Use --principal.`]
    : []
  await inParallel(
    keys,
    LIMITS.parallelFetches,
    async (key) => {
      const snapshot = await snapshotAt(truth, key, LIMITS.usageSnapshotBytes, signal)
      if (snapshot === undefined) {
        faults.push(`"${key}" is not a snapshot that this version of Verge can read.`)
        return
      }
      for (const [name, counts] of grouped(snapshot, request.group))
        groups.set(name, addCounts(groups.get(name) ?? NO_COUNTS, counts))
      lastUsedAt.set(snapshot.principal, snapshot.lastUsedAt)
      times.push(snapshot.at)
    },
    signal,
  )
  const sorted = new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)))
  const written = times.length === 0 ? undefined : { oldest: Math.min(...times), newest: Math.max(...times) }
  return { groups: sorted, total: totalOf(sorted), lastUsedAt, written, faults }
}

function grouped({ days, principal }: UsageSnapshot, group: Group): UsageByModel {
  if (group === 'day') return new Map([...days].map(([day, models]) => [day, totalOf(models)]))
  const models = ofAllDays(days, LIMITS.usageModels)
  return group === 'model' ? models : new Map([[principal, totalOf(models)]])
}
