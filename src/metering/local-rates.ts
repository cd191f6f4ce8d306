import type { Rate } from '../access/plan.ts'
import type { Line } from './ledger/lease.ts'
import { rateWindow } from './ledger/periods.ts'

/** Requests in windows of rates, by this isolate's own count: for as long as the ledger does not answer. */
export class LocalRates {
  readonly #windows = new Map<number, { readonly index: number; requests: number }>()

  /** @returns what is used up; undefined if the requests were counted */
  take(rates: readonly Rate[], requests: number, now: number): Line | undefined {
    const windows = rates.map(({ seconds }) => this.#windowAt(seconds, now))
    for (const [at, { requests: quota, seconds }] of rates.entries()) {
      const used = windows[at]?.requests ?? 0
      if (used + requests <= quota) continue
      const resetMs = rateWindow(seconds, now).leftMs
      return {
        name: 'rate',
        kind: 'rate',
        period: 'rate',
        quota,
        remaining: Math.max(0, quota - used),
        seconds,
        resetMs,
      }
    }
    for (const window of new Set(windows)) window.requests += requests
    return undefined
  }

  #windowAt(seconds: number, now: number): { requests: number } {
    const { index } = rateWindow(seconds, now)
    const known = this.#windows.get(seconds)
    if (known?.index === index) return known
    const begun = { index, requests: 0 }
    this.#windows.set(seconds, begun)
    return begun
  }
}
