import { LIMITS } from '../../core/limits.ts'
import { usdFromNano } from '../../metering/prices.ts'
import type { Counts } from '../../metering/usage/counts.ts'
import { NO_MODEL } from '../../metering/usage/usage-by-day.ts'
import { duration, minuteOf, table } from '../terminal/format.ts'
import type { Group, ReadUsage } from './read.ts'

const HEADS: Readonly<Record<Group, string>> = { key: 'principal', day: 'day (UTC)', model: 'model' }
const COLUMNS = [
  'requests',
  'errors',
  'cached',
  'tokens in',
  'tokens out',
  'units',
  'CPU s',
  'origin s',
  'USD',
] as const

/** How usage was grouped. */
export interface Grouping {
  readonly group: Group
  /** Names of keys, by principal. */
  readonly names: ReadonlyMap<string, string>
}

/** A month's usage for a person, with its sum. */
export function usageTable({ groups, lastUsedAt, total }: ReadUsage, { group, names }: Grouping): string {
  const byCaller = (...cells: string[]): string[] => (group === 'key' ? cells : [])
  const last = (name: string): string => {
    const at = lastUsedAt.get(name)
    return at === undefined ? '' : minuteOf(at)
  }
  const rows = [...groups].map(([name, counts]) => [
    nameOf(name, group),
    ...byCaller(names.get(name) ?? ''),
    ...cells(counts),
    ...byCaller(last(name)),
  ])
  const head = [HEADS[group], ...byCaller('name'), ...COLUMNS, ...byCaller('last used (UTC)')]
  return table([head, ...rows, ['total', ...byCaller(''), ...cells(total), ...byCaller('')]])
}

/** How old the numbers are. */
export function ageOf({ written }: ReadUsage, now: number): string {
  if (written === undefined) return ''
  const age = (at: number): string => duration(Math.max(0, now - at))
  const { newest, oldest } = written
  const ages = newest === oldest ? `${age(newest)} ago` : `${age(newest)} to ${age(oldest)} ago`
  return (
    `From snapshots that were written ${ages}. A ledger writes one a minute at most, and isolates hand over what they ` +
    `count within ${LIMITS.usageFlushMs / 1000} s. CPU time and dollars are estimates (docs/usage.md).`
  )
}

/** The same for programs. */
export function usageJson(usage: ReadUsage, { names, ...asked }: Grouping & { readonly month: string }): object {
  const { groups, lastUsedAt, total, written, faults } = usage
  const time = (at: number | undefined): string | null => (at === undefined ? null : new Date(at).toISOString())
  return {
    ...asked,
    written: { oldest: time(written?.oldest), newest: time(written?.newest) },
    data: [...groups].map(([name, counts]) => ({
      [asked.group]: asked.group === 'model' && name === NO_MODEL ? null : name,
      ...(asked.group === 'key' && names.has(name) && { name: names.get(name) }),
      ...fields(counts),
      ...(asked.group === 'key' && { lastUsedAt: time(lastUsedAt.get(name)) }),
    })),
    total: fields(total),
    faults,
  }
}

function fields({ cpuMicroseconds, milliUnits, nanoUsd, ...counts }: Counts): object {
  return { ...counts, units: milliUnits / 1000, cpuMs: cpuMicroseconds / 1000, usd: usdFromNano(nanoUsd) }
}

function nameOf(name: string, group: Group): string {
  return group === 'model' && name === NO_MODEL ? '(refused before)' : name
}

const COUNT = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

function cells(counts: Counts): string[] {
  const { cached, cpuMicroseconds, errors, inputTokens, milliUnits, nanoUsd, originMs, outputTokens, requests } = counts
  return [
    ...[requests, errors, cached, inputTokens, outputTokens, milliUnits / 1000].map((count) => COUNT.format(count)),
    (cpuMicroseconds / 1_000_000).toFixed(3),
    (originMs / 1000).toFixed(1),
    usdFromNano(nanoUsd).toFixed(6),
  ]
}
