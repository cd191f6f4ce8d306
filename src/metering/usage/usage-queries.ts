import type { UsageAnswer } from './principal-usage.ts'
import type { UsageQuestion } from './usage-tables.ts'

/** Principals that have been counted, one page of them. */
export interface PrincipalPage {
  /** Each with the last month of which a snapshot exists. */
  readonly principals: readonly { readonly principal: string; readonly month: string }[]
  /** For the next page; absent on the last one. */
  readonly cursor?: string
}

/** Answers what was used. */
export interface UsageQueries {
  /**
   * From the principal's ledger, with what this isolate has not handed over yet. Other isolates hand over what they have
   * counted within `usageFlushMs`.
   * @throws limits_unavailable
   */
  of(principal: string, question: UsageQuestion, signal: AbortSignal): Promise<UsageAnswer>
  /** From R2. @throws store_unavailable */
  principals(cursor: string | undefined, signal: AbortSignal): Promise<PrincipalPage>
}
