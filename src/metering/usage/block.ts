import type { Counts } from './counts.ts'

/** Counts of one day and model. */
export interface UsageRow {
  /** `2026-11-30` */
  readonly day: string
  /** `name@version`, or one of the names in `usage-by-day.ts`. */
  readonly model: string
  readonly counts: Counts
}

/**
 * What an isolate has counted of a principal since the last block that was booked. A block that may have arrived is sent again
 * unchanged; `source` and `seq` tell whether it was booked already.
 */
export interface UsageBlock {
  /** The isolate. */
  readonly source: string
  /** Higher in every later block of the source. */
  readonly seq: number
  /** When the principal called last, by the isolate's clock. */
  readonly lastUsedAt: number
  readonly rows: readonly UsageRow[]
}
