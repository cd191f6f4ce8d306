import { median, percentile } from '../../src/cli/statistics.ts'

/** Repeated measurements of one thing. */
export interface Summary {
  readonly count: number
  readonly p50: number
  readonly p95: number
  /** Median absolute deviation from the median: the spread, not moved by single disturbances. */
  readonly mad: number
  readonly min: number
}

/** @param values at least one */
export function summarise(values: readonly number[]): Summary {
  const p50 = median(values)
  return {
    count: values.length,
    p50,
    p95: percentile(values, 0.95),
    mad: median(values.map((value) => Math.abs(value - p50))),
    min: Math.min(...values),
  }
}
