import type { Rate } from '../../access/plan.ts'
import type { UsageBlock } from '../usage/block.ts'
import type { Kind, Quantities } from './quantities.ts'

/** Days and months are UTC's. A total never begins again. */
export const PERIODS = ['day', 'month', 'total'] as const
export type Period = (typeof PERIODS)[number]

/** What one principal may use. */
export interface LedgerLimits {
  /** Each of them holds. */
  readonly rates: readonly Rate[]
  /** How much there is in a period; what is left out is not limited. */
  readonly budgets: Readonly<Partial<Record<Period, Quantities>>>
}

/** An isolate asks for a part of what its principal may use, and says what became of earlier parts. */
export interface LeaseRequest {
  /** Chosen by the isolate. A request that is sent again, with the same id, is answered as before and books nothing again. */
  readonly id: string
  /** The isolate. */
  readonly holder: string
  readonly limits: LedgerLimits
  /** What the request at hand needs: less is of no use to it. Nothing where the isolate only says what was used. */
  readonly need: Quantities
  /** What all requests of the isolate need that wait for a lease now. */
  readonly waiting: Quantities
  /** What the isolate expects to use soon. */
  readonly wish: Quantities
  /** Leases that end, with what was not used of them. */
  readonly ended: readonly EndedLease[]
  /** What requests took beyond what had been leased for them; less than nothing where they gave back more than was left to end. */
  readonly owed: Quantities
  /** What the isolate has counted of the principal meanwhile: booked once, by what the block says of itself. */
  readonly usage?: UsageBlock
}

export interface EndedLease {
  readonly id: string
  readonly unused: Quantities
}

export interface LeaseAnswer {
  /** All that was needed, or nothing. */
  readonly amounts: Quantities
  /** How long they may be used: requests of a rate, and the rest. */
  readonly rateMs: number
  readonly budgetMs: number
  /** Why nothing was leased; absent where nothing was needed, too. */
  readonly refused?: Refusal
  readonly lines: readonly Line[]
}

export interface Refusal {
  readonly line: string
  readonly kind: Kind
  readonly retryMs: number
}

/** One limit, and what nobody has leased of it. */
export interface Line {
  /** `rate`, or a period and a kind: `day-tokens`. */
  readonly name: string
  readonly kind: Kind
  readonly period: Period | 'rate'
  readonly quota: number
  readonly remaining: number
  /** Length of the window at hand. */
  readonly seconds: number
  /** Until it ends; a total's never does. */
  readonly resetMs: number
}

/** `revoked`: the principal gets nothing any more, and why. */
export type LeaseReply = LeaseAnswer | { readonly revoked: string }

/**
 * Where leases come from: the ledger of each principal.
 * @public
 */
export interface LedgerClient {
  /** @throws whatever the platform does where the ledger does not answer */
  lease(principal: string, request: LeaseRequest): Promise<LeaseReply>
}
