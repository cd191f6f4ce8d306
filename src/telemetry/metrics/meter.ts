import type { CounterName, HistogramName, LabelsOf } from './definitions.ts'

/** Counts what happens. A call takes microseconds, never waits and never throws. */
export interface Meter {
  count<N extends CounterName>(name: N, labels: LabelsOf<N>, by?: number): void
  /** @param value in the metric's own unit: seconds */
  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void
}
