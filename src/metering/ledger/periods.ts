import type { Period } from './lease.ts'

const DAY_MS = 86_400_000

/** A total has no end: its window is as long as numbers of seconds can be told in headers. */
const FOREVER_MS = 999_999_999_999

export interface Window {
  /** Sorts as time does. */
  readonly key: string
  readonly lengthMs: number
  readonly leftMs: number
}

/** The period that a moment is in. */
export function windowAt(period: Period, now: number): Window {
  if (period === 'total') return { key: 'total', lengthMs: FOREVER_MS, leftMs: FOREVER_MS }
  const iso = new Date(now).toISOString()
  if (period === 'day') {
    return { key: iso.slice(0, 'yyyy-mm-dd'.length), lengthMs: DAY_MS, leftMs: DAY_MS - mod(now, DAY_MS) }
  }
  const date = new Date(now)
  const begin = Date.UTC(date.getUTCFullYear(), date.getUTCMonth())
  const end = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1)
  return { key: iso.slice(0, 'yyyy-mm'.length), lengthMs: end - begin, leftMs: end - now }
}

/** The window of a rate: they begin at multiples of its length. */
export function rateWindow(seconds: number, now: number): { readonly index: number; readonly leftMs: number } {
  const length = seconds * 1000
  return { index: Math.floor(now / length), leftMs: length - mod(now, length) }
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by
}
