import type { Caller } from '../access/authorize.ts'
import type { Amounts, Plan } from '../access/plan.ts'
import type { RequestContext } from '../core/runtime.ts'

/**
 * Who may use how much. Rates, budgets and numbers of requests at once are kept here, and what was used is counted.
 * @public
 */
export interface Metering {
  /**
   * Admits a request before anything of it is read. A permit whose request is killed gives its slot back by itself, and
   * what the request had spent stays spent.
   * @throws rate_limited, budget_spent, limits_unavailable
   */
  admit(caller: Caller, facts: CallerFacts, context: RequestContext): Promise<Permit>
}

/** What is known of a caller beside who it is. */
export interface CallerFacts {
  /** As the platform has it (`cf-connecting-ip`). */
  readonly address?: string
  /** The page that calls (`Origin`). */
  readonly clientOrigin?: string
  /** Part of a request that was counted when it began: a message of a stream. It counts as no request, and has no rate. */
  readonly continued?: boolean
}

/** What one request may use. Where a method returns undefined, there was nothing to wait for. */
export interface Permit {
  /** The strictest of the caller's plan, its own limits, and those of the key that minted its token. */
  readonly plan: Plan
  /** Whether less than `plan.whenLow.below` is left of a budget. */
  readonly low: boolean
  /** For the headers of the answer; undefined for callers without a rate or a budget. */
  readonly state: RateState | undefined
  /** The model's own limits, for all of its callers together. @throws rate_limited, limits_unavailable */
  forModel(model: string): Promise<void> | undefined
  /** Before each run, by its price in cost units. @throws budget_spent, limits_unavailable */
  spend(units: number): Promise<void> | undefined
  /**
   * Reserves tokens before they are read and written: as many as may be written at most. `refund` gives back what was
   * not needed.
   * @throws budget_spent, limits_unavailable
   */
  tokens(input: number, output: number): Promise<void> | undefined
  /** Gives back what was spent or reserved, and not used. */
  refund(amounts: Amounts): void
  /**
   * Ends the request: what it took is counted, and what it took beyond what it had spent is taken from its budgets.
   * Calling it again does nothing.
   */
  finish(usage: RequestUsage): void
}

export interface RequestUsage {
  /** `name@version`; left out where the request was refused before its model was known. */
  readonly model?: string
  readonly status: number
  readonly inputTokens: number
  /** Of inputs that the result cache answered: counted with the others, and paid for by no budget. */
  readonly cachedTokens?: number
  readonly outputTokens: number
  /** Of all runs. */
  readonly units: number
  /** Of these, what origins spent. */
  readonly originUnits?: number
  /** Milliseconds that origins worked for it. */
  readonly originMs: number
  /** Dollars for that time, where `ORIGINS` says what an hour costs. */
  readonly originUsd?: number
  /** Whether the answer came from the result cache. */
  readonly cached: boolean
}

/** What is left of a caller's rates and budgets, as far as this isolate knows. */
export type RateState = readonly LimitState[]

export interface LimitState {
  /** `rate`, or a period and what it limits: `day-tokens`. */
  readonly name: string
  /** How much there is in a window. */
  readonly quota: number
  readonly unit: 'requests' | 'tokens' | 'units' | 'usd'
  /** Length of the window in seconds: a calendar month's is that of the month at hand. */
  readonly seconds: number
  readonly remaining: number
  /** Seconds until the next window begins. */
  readonly reset: number
}
