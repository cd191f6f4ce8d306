import type { Plan } from '../access/plan.ts'
import type { Limits } from '../core/limits.ts'
import type { LeaseBookOptions } from './leases.ts'
import { LeaseBook } from './leases.ts'
import { LimitedMetering, type LimitedOptions } from './limited.ts'
import { Slots } from './slots.ts'

export interface LimitingOptions
  extends Omit<LeaseBookOptions, 'limits'>,
    Pick<LimitedOptions, 'addressRate' | 'keyRate' | 'modelLimits'> {
  readonly plans: ReadonlyMap<string, Plan>
  readonly limits: LeaseBookOptions['limits'] & Pick<Limits, 'callLeaseMs' | 'callBeatMs' | 'streamedAnswerMs'>
}

/** The limits of an isolate's callers, over the ledgers of all isolates. */
export function limiting(options: LimitingOptions): LimitedMetering {
  const { clock, limits } = options
  return new LimitedMetering({
    ...options,
    book: new LeaseBook(options),
    slots: new Slots({
      clock,
      leaseMs: limits.callLeaseMs,
      beatMs: limits.callBeatMs,
      mostMs: limits.streamedAnswerMs,
    }),
  })
}
