import type { Tensors } from '../../src/core/tensors.ts'
import type { Provider } from '../../src/engine/native/support.ts'
import type { Summary } from '../lib/stats.ts'

/** One thing that was measured on one provider. */
export interface Row {
  /** The same on every provider. */
  readonly what: string
  /** Milliseconds. */
  readonly time?: Summary
  /** Items, answers or tokens. */
  readonly perSecond?: number
  /** What else there is to say. */
  readonly note?: string
  /** To be compared with on other providers. */
  readonly answer?: Tensors
  /** Of the worst row from the processor's answer, as `compare.ts` has it; none for the processor itself. */
  readonly distance?: number
  readonly tolerance?: number
  /** What is wrong. */
  readonly fault?: string
}

export type ProviderResult =
  | { readonly provider: Provider; readonly ran: false; readonly reason: string }
  | {
      readonly provider: Provider
      readonly ran: true
      readonly rows: readonly Row[]
      /** All that is wrong; empty where everything agrees. */
      readonly faults: readonly string[]
    }
