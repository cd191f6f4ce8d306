import { VergeError } from '../core/errors.ts'
import type { Line } from './ledger/lease.ts'
import { amountOf } from './limits-of.ts'

const RETRY_UNAVAILABLE_SECONDS = 5

/** @param line what is used up @param now milliseconds since 1970 */
export function refusal({ name, kind, period, quota, seconds, resetMs }: Line, now: number): VergeError {
  const retryAfter = Math.max(1, Math.ceil(resetMs / 1000))
  if (period === 'rate') {
    return new VergeError(
      'rate_limited',
      `The rate of ${quota} requests in ${lasting(seconds)} is used up. Try again in ${lasting(retryAfter)}.`,
      { retryAfter, details: { limit: 'rate', requests: quota, seconds } },
    )
  }
  const budget = name.slice(period.length + 1)
  const amount = amountOf(kind, quota)
  if (period === 'total') {
    return new VergeError(
      'budget_spent',
      `The budget of ${amount} ${budget} is spent. Ask for a new token, or ask the operator for a larger budget.`,
      { details: { limit: 'budget', budget, period, quota: amount } },
    )
  }
  const resetsAt = new Date(now + resetMs).toISOString().replace(/\.\d+Z$/, 'Z')
  return new VergeError(
    'budget_spent',
    `The budget of ${amount} ${budget} a ${period} is spent, or less is left of it than the request needs. It begins again at ` +
      `${resetsAt}. Ask the operator for a larger budget.`,
    { details: { limit: 'budget', budget, period, quota: amount, resets_at: resetsAt } },
  )
}

export function limitsUnavailable(): VergeError {
  return new VergeError(
    'limits_unavailable',
    'Verge cannot count at the moment what this caller uses. Try again in a few seconds.',
    { retryAfter: RETRY_UNAVAILABLE_SECONDS },
  )
}

export function planMissing(plan: string): VergeError {
  return new VergeError(
    'limits_unavailable',
    `The caller's plan "${plan}" is not configured here. The operator must add it to PLANS, or give the key another plan.`,
  )
}

export function tooManyAtOnce(most: number): VergeError {
  return new VergeError(
    'rate_limited',
    `${most} requests of this caller, or of the model, are processed already. Try again when one of them is done.`,
    { retryAfter: 1, details: { limit: 'concurrency', requests: most } },
  )
}

const UNITS = [
  { seconds: 86_400, one: 'day' },
  { seconds: 3_600, one: 'hour' },
  { seconds: 60, one: 'minute' },
] as const

/** A time for people: in the largest unit that it is a whole number of, else in seconds or, where it is long, rounded up. */
function lasting(seconds: number): string {
  const unit = UNITS.find((each) => seconds % each.seconds === 0 || seconds >= 2 * each.seconds)
  if (unit === undefined) return `${seconds} s`
  const count = Math.ceil(seconds / unit.seconds)
  return `${count} ${unit.one}${count === 1 ? '' : 's'}`
}
