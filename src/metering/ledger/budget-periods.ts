import { type LedgerLimits, type Line, PERIODS, type Period } from './lease.ts'
import { windowAt } from './periods.ts'
import { KINDS, type Kind, type Quantities } from './quantities.ts'

/** What was leased by periods, and which of them are over. */
export interface Periods {
  /** The latest time that was seen. */
  readonly mark: number
  /** By the name of a period: the latest that is not kept any more. It and all before it are over for good. */
  readonly closed: Readonly<Partial<Record<Period, string>>>
  /** By name and key: `day 2026-11-30`. */
  readonly granted: Readonly<Record<string, Quantities>>
}

const DAY_MS = 86_400_000

/** Days, and months, that are kept: a clock that was wrong by no more than this finds what was spent. */
const KEPT = 4

const NAMES: Readonly<Record<Exclude<Kind, 'rate'>, string>> = {
  requests: 'requests',
  tokens: 'tokens',
  milliUnits: 'units',
  nanoUsd: 'usd',
}

/**
 * Time as budgets see it. It never goes back by less than a day: a clock that does is behind, and the period at hand
 * continues. A clock that goes back by more was wrong before; what was leased in the periods that it returns to is known.
 */
export function timeOf({ mark }: Periods, clock: number): number {
  return clock < mark && mark - clock <= DAY_MS ? mark : clock
}

/** At a time: periods that are too many have been left behind for good. */
export function periodsAt(periods: Periods, now: number): Periods {
  const granted = { ...periods.granted }
  const closed = { ...periods.closed }
  for (const period of PERIODS) {
    const { key } = windowAt(period, now)
    if (!isClosed(periods, period, key)) granted[`${period} ${key}`] ??= {}
    const keys = Object.keys(granted)
      .filter((each) => each.startsWith(`${period} `))
      .map((each) => each.slice(period.length + 1))
      .sort()
    for (const old of keys.slice(0, -KEPT)) {
      delete granted[`${period} ${old}`]
      closed[period] = old
    }
  }
  return { mark: now, closed, granted }
}

/** What a lease at this time is charged to. Periods without a budget count, too: one may be set later. */
export function chargeWindows({ budgets }: LedgerLimits, now: number): string[] {
  const limited = Object.values(budgets).some((budget) => Object.keys(budget).length > 0)
  return limited ? PERIODS.map((period) => `${period} ${windowAt(period, now).key}`) : []
}

export function budgetLines({ budgets }: LedgerLimits, periods: Periods, now: number): Line[] {
  return PERIODS.flatMap((period) => {
    const { key, lengthMs, leftMs } = windowAt(period, now)
    const spent = periods.granted[`${period} ${key}`] ?? {}
    const over = isClosed(periods, period, key)
    return KINDS.flatMap((kind): Line[] => {
      const quota = budgets[period]?.[kind]
      if (kind === 'rate' || quota === undefined) return []
      return [
        {
          name: `${period}-${NAMES[kind]}`,
          kind,
          period,
          quota,
          remaining: over ? 0 : Math.max(0, quota - (spent[kind] ?? 0)),
          seconds: Math.round(lengthMs / 1000),
          resetMs: leftMs,
        },
      ]
    })
  })
}

function isClosed({ closed }: Periods, period: Period, key: string): boolean {
  const last = closed[period]
  return last !== undefined && key <= last
}
