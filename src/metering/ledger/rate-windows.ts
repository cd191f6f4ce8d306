import type { Rate } from '../../access/plan.ts'
import type { Line } from './lease.ts'
import { rateWindow } from './periods.ts'

/** Requests that were leased in windows of rates, by `<seconds> <index>`. The newest windows of each rate are kept. */
export type RateWindows = Readonly<Record<string, number>>

/** Windows of one rate: the one at hand, and those that a clock may fall back into. */
const KEPT = 4

/** The windows that a moment is in. */
export function windowsOf(rates: readonly Rate[], clock: number): string[] {
  return rates.map(({ seconds }) => `${seconds} ${rateWindow(seconds, clock).index}`)
}

/** Requests in windows are more, or fewer, by so many; of windows that are not kept any more nothing is given back. */
export function chargeRates(windows: RateWindows, requests: number, keys: readonly string[]): RateWindows {
  if (requests === 0) return windows
  const charged = { ...windows }
  for (const key of keys) {
    if (charged[key] === undefined && requests < 0) continue
    charged[key] = Math.max(0, (charged[key] ?? 0) + requests)
  }
  const kept: Record<string, number> = {}
  const newest = new Map<string, number>()
  // Those that were used last are last.
  const order = [...Object.keys(charged).filter((key) => !keys.includes(key)), ...keys]
  for (const key of order.reverse()) {
    const [seconds = ''] = key.split(' ')
    const count = newest.get(seconds) ?? 0
    const requestsOf = charged[key]
    if (count >= KEPT || requestsOf === undefined) continue
    newest.set(seconds, count + 1)
    kept[key] = requestsOf
  }
  return Object.fromEntries(Object.entries(kept).reverse())
}

export function rateLines(rates: readonly Rate[], windows: RateWindows, clock: number): Line[] {
  return rates.map(({ requests, seconds }) => {
    const { index, leftMs } = rateWindow(seconds, clock)
    const granted = windows[`${seconds} ${index}`] ?? 0
    return {
      name: 'rate',
      kind: 'rate',
      period: 'rate',
      quota: requests,
      remaining: Math.max(0, requests - granted),
      seconds,
      resetMs: leftMs,
    }
  })
}
