import type { Plan } from '../access/plan.ts'
import type { Limits } from '../core/limits.ts'
import { usdFromNano } from '../metering/prices.ts'
import { addCounts, type Counts, NO_COUNTS } from '../metering/usage/counts.ts'
import { monthSnapshotKeys, snapshotAt } from '../metering/usage/month-snapshots.ts'
import type { UsageSnapshot } from '../metering/usage/snapshot.ts'
import { dayOf, monthOf, totalOf, type UsageByModel } from '../metering/usage/usage-by-day.ts'
import type { OperationsBody, OperationsBudget, OperationsCaller } from '../protocols/verge/operations.ts'
import type { Store } from '../weights/store.ts'

/** What a key is called and may use. */
export interface KnownKey {
  readonly name: string
  /** Of the key and its plan together. */
  readonly budgets: Plan['budgets']
}

export interface SpendingOptions {
  /** R2. */
  readonly store: Store
  /** Undefined for a key that is not there any more. */
  readonly keyOf: (id: string, signal: AbortSignal) => Promise<KnownKey | undefined>
  readonly limits: Pick<
    Limits,
    'operationsCallers' | 'operationsSnapshots' | 'operationsUsagePages' | 'parallelFetches' | 'usageSnapshotBytes'
  >
}

/** What was used today and this month, by all callers. */
export interface Spending {
  readonly cost: NonNullable<OperationsBody['cost']>
  readonly callers: OperationsCaller[]
  /** Today's dollars by model. */
  readonly models: ReadonlyMap<string, number>
  /** Whether there are callers that were not read. */
  readonly truncated: boolean
}

/** Of a caller's snapshot, what the report needs: the snapshot itself may have megabytes. */
interface Used {
  readonly principal: string
  readonly lastUsedAt: number
  readonly at: number
  readonly today: Counts
  readonly month: Counts
}

/**
 * Adds up what the ledgers have written to R2: one read for each caller, and no ledger is woken up. Each writes a minute
 * after it has counted something.
 * @param now milliseconds since 1970
 * @throws store_unavailable, the signal's reason
 */
export async function readSpending(
  { keyOf, limits, store }: SpendingOptions,
  now: number,
  signal: AbortSignal,
): Promise<Spending> {
  const day = dayOf(now)
  const month = monthOf(day)
  const { keys, truncated } = await monthSnapshotKeys(
    store,
    { month, most: limits.operationsSnapshots, pages: limits.operationsUsagePages },
    signal,
  )
  const used: Used[] = []
  const models = new Map<string, number>()
  await inTurns(keys, limits.parallelFetches, async (key) => {
    const snapshot = await snapshotAt(store, key, limits.usageSnapshotBytes, signal)
    if (snapshot === undefined) return
    used.push(usedIn(snapshot, day))
    for (const [model, { nanoUsd }] of snapshot.days.get(day) ?? []) {
      const name = model.replace(/@.*$/, '')
      models.set(name, (models.get(name) ?? 0) + usdFromNano(nanoUsd))
    }
  })
  const sorted = used
    .sort((a, b) => b.today.nanoUsd - a.today.nanoUsd || b.month.nanoUsd - a.month.nanoUsd)
    .slice(0, limits.operationsCallers)
  const callers: OperationsCaller[] = []
  await inTurns(sorted, limits.parallelFetches, async (each) => {
    const [, id] = /^key:(.+)$/.exec(each.principal) ?? []
    const key = id === undefined ? undefined : await keyOf(id, signal)
    callers.push(callerOf(each, key))
  })
  const usd = (of: 'today' | 'month'): number => usdFromNano(used.reduce((sum, each) => sum + each[of].nanoUsd, 0))
  return {
    cost: {
      day,
      todayUsd: usd('today'),
      monthUsd: usd('month'),
      ...(used.length > 0 && { countedAt: isoOf(Math.min(...used.map(({ at }) => at))) }),
    },
    callers: callers.sort((a, b) => b.spentTodayUsd - a.spentTodayUsd || b.spentMonthUsd - a.spentMonthUsd),
    models,
    truncated,
  }
}

const NO_MODELS: UsageByModel = new Map()

function usedIn({ at, days, lastUsedAt, principal }: UsageSnapshot, day: string): Used {
  return {
    principal,
    lastUsedAt,
    at,
    today: totalOf(days.get(day) ?? NO_MODELS),
    month: [...days.values()].map(totalOf).reduce(addCounts, NO_COUNTS),
  }
}

function callerOf({ lastUsedAt, month, principal, today }: Used, key: KnownKey | undefined): OperationsCaller {
  return {
    principal,
    ...(key !== undefined && { name: key.name }),
    requestsToday: today.requests,
    errorsToday: today.errors,
    spentTodayUsd: usdFromNano(today.nanoUsd),
    spentMonthUsd: usdFromNano(month.nanoUsd),
    lastUsedAt: isoOf(lastUsedAt),
    budgets: [...budgetsOf('day', key, today), ...budgetsOf('month', key, month)],
  }
}

function budgetsOf(period: 'day' | 'month', key: KnownKey | undefined, counts: Counts): OperationsBudget[] {
  const used = {
    requests: counts.requests,
    tokens: counts.inputTokens + counts.outputTokens,
    units: counts.milliUnits / 1000,
    usd: usdFromNano(counts.nanoUsd),
  }
  const limits = key?.budgets?.[period] ?? {}
  return BUDGETED.flatMap((kind) => {
    const limit = limits[kind]
    return limit === undefined ? [] : [{ period, kind, used: used[kind], limit }]
  })
}

const BUDGETED = ['requests', 'tokens', 'units', 'usd'] as const

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

/** All of them, so many at a time: the platform opens few connections at once. */
async function inTurns<T>(items: readonly T[], most: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: Math.min(most, items.length) }, async () => {
      for (const item of left) await work(item)
    }),
  )
}
