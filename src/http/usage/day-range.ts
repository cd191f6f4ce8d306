import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { dayOf } from '../../metering/usage/usage-by-day.ts'
import type { DayRange } from '../../metering/usage/usage-tables.ts'

const DAY_MS = 86_400_000
const DAY = /^\d{4}-\d{2}-\d{2}$/

interface AskedRange {
  readonly from: string | undefined
  readonly to: string | undefined
}

/** The days asked for; left out: the month at hand, up to today. @throws invalid_request */
export function dayRange(asked: AskedRange, now: number, { usageQueryDays }: Pick<Limits, 'usageQueryDays'>): DayRange {
  const to = checkedDay('to', asked.to) ?? dayOf(now)
  const from = checkedDay('from', asked.from) ?? `${to.slice(0, 'yyyy-mm'.length)}-01`
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1
  if (days < 1) throw wrong('from', 'may not be after "to"')
  if (days > usageQueryDays) throw wrong('from', `may be at most ${usageQueryDays - 1} days before "to"`)
  return { from, to }
}

function checkedDay(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const at = DAY.test(value) ? Date.parse(value) : Number.NaN
  // The 31st of a shorter month is read as a day of the next one.
  if (Number.isNaN(at) || dayOf(at) !== value) throw wrong(name, 'must be a day such as 2026-11-30')
  return value
}

function wrong(name: string, what: string): VergeError {
  return new VergeError('invalid_request', `The parameter "${name}" ${what}.`, { details: { field: name } })
}
