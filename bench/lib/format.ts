import type { Summary } from './stats.ts'

/** Figures as the reports write them. */

export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`
}

/** Milliseconds: two digits behind the point below ten, as a rule. */
export function ms(value: number, digits = value < 10 ? 2 : 1): string {
  return `${value.toFixed(digits)} ms`
}

/** The median and the 95th percentile. */
export function both({ p50, p95 }: Pick<Summary, 'p50' | 'p95'>, digits?: number): string {
  return `${ms(p50, digits)} / ${ms(p95, digits)}`
}

/** Bytes in megabytes of 10^6. */
export function mega(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

export function verdict(reached: boolean): string {
  return reached ? 'reached' : 'missed'
}
