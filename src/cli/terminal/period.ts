import { UsageError } from './command-line.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** Milliseconds of `90d`, `24h`, `15m`; undefined if it is not written like that. */
export function periodMs(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * (UNITS[unit] ?? Number.NaN)
}

/** A date as an option has it: `2027-01-01`, in UTC, or with a time of day. Milliseconds since 1970; undefined if it is not one. */
function dateMs(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)) return undefined
  const ms = Date.parse(text)
  // 2027-02-30 is read as a day in March
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`)
  return Number.isNaN(ms) || day.toISOString().slice(0, 10) !== text.slice(0, 10) ? undefined : ms
}

/** A time of an option: a date, or a period before or after now. @throws UsageError */
export function timeMs(name: string, text: string, now: number, direction: 'ago' | 'ahead'): number {
  const period = periodMs(text)
  const at = period === undefined ? dateMs(text) : now + (direction === 'ago' ? -period : period)
  // JavaScript has no later dates
  if (at !== undefined && Math.abs(at) <= 8.64e15) return at
  throw new UsageError(
    `--${name} takes a period such as 90d or 24h, or a date such as 2027-01-01; "${text}" is neither.`,
  )
}
