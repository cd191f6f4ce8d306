import type { Amounts, Plan } from '../access/plan.ts'
import type { RequestContext } from '../core/runtime.ts'
import type { LeaseBook, Principal } from './leases.ts'
import { windowAt } from './ledger/periods.ts'
import { eachKind, isNothing, type Quantities, sumOf } from './ledger/quantities.ts'
import { amountOf, quantitiesOf } from './limits-of.ts'
import type { LimitState, Permit, RateState, RequestUsage } from './metering.ts'
import { nanoUsd, usdOf } from './prices.ts'

/** Name of a rate's line. */
const RATE = 'rate'

export interface PermitOptions {
  readonly book: LeaseBook
  readonly context: RequestContext
  readonly plan: Plan
  /** All that are charged: a token, and the key that minted it. */
  readonly principals: readonly Principal[]
  /** A model's own limits, where it has any. @throws rate_limited */
  readonly enterModel: (model: string) => { readonly principal: Principal; readonly leave: () => void } | undefined
  /** Gives the request's slots back. */
  readonly leave: () => void
}

/** What one request may use, of what is leased for its caller. */
export class LeasedPermit implements Permit {
  readonly #options: PermitOptions
  readonly #leaving: (() => void)[]
  readonly #day: string
  #spent: Quantities = {}
  #finished = false

  constructor(options: PermitOptions) {
    this.#options = options
    this.#leaving = [options.leave]
    this.#day = dayAt(options.book.now())
  }

  get plan(): Plan {
    return this.#options.plan
  }

  get low(): boolean {
    const { book, plan, principals } = this.#options
    const below = plan.whenLow?.below
    if (below === undefined) return false
    const now = book.now()
    return principals.some((principal) =>
      book
        .lines(principal, now)
        .some(({ period, quota, remaining }) => period !== 'rate' && (quota === 0 || remaining / quota < below)),
    )
  }

  get state(): RateState | undefined {
    const { book, principals } = this.#options
    const now = book.now()
    const states = principals.flatMap((principal) => book.lines(principal, now)).map(stateOf)
    return states.length === 0 ? undefined : distinct(states)
  }

  /** The request itself. @throws rate_limited, budget_spent, limits_unavailable, unauthorized */
  begin(): Promise<void> | undefined {
    const begun = this.#charge({ rate: 1, requests: 1, nanoUsd: nanoUsd(usdOf({ requests: 1, units: 0 })) })
    return begun?.catch((error: unknown) => {
      this.#leave()
      throw error
    })
  }

  forModel(model: string): Promise<void> | undefined {
    const { book, context, enterModel } = this.#options
    const entered = enterModel(model)
    if (entered === undefined) return undefined
    this.#leaving.push(entered.leave)
    // After the request has ended: whoever asks then gets the slot back at once.
    if (this.#finished) this.#leave()
    return book.take(entered.principal, { rate: 1 }, context)
  }

  spend(units: number): Promise<void> | undefined {
    return this.#charge(pricedOf({ units }))
  }

  tokens(input: number, output: number): Promise<void> | undefined {
    return this.#charge({ tokens: input + output })
  }

  refund(amounts: Amounts): void {
    // The end of the request has settled what it took.
    if (this.#finished) return
    const back = pricedOf(amounts)
    this.#giveBack(eachKind((kind) => Math.min(back[kind] ?? 0, this.#spent[kind] ?? 0)))
  }

  finish({ inputTokens, outputTokens, units, originUnits = 0, originUsd = 0 }: RequestUsage): void {
    if (this.#finished) return
    this.#finished = true
    this.#leave()
    const usd = usdOf({ requests: this.#spent.requests ?? 0, units: Math.max(0, units - originUnits), originUsd })
    const took: Quantities = {
      ...quantitiesOf({ tokens: inputTokens + outputTokens, units }),
      nanoUsd: nanoUsd(usd),
    }
    const more = (kind: keyof Quantities): number => (took[kind] ?? 0) - (this.#spent[kind] ?? 0)
    const owed = eachKind((kind) => (kind in took ? Math.max(0, more(kind)) : 0))
    this.#giveBack(eachKind((kind) => (kind in took ? Math.max(0, -more(kind)) : 0)))
    const { book, context, principals } = this.#options
    if (isNothing(owed)) return
    for (const principal of principals) book.owe(principal, owed, context)
  }

  #charge(need: Quantities): Promise<void> | undefined {
    const { book, context, principals } = this.#options
    for (const [at, principal] of principals.entries()) {
      const waiting = book.take(principal, need, context)
      if (waiting !== undefined) return this.#chargeRest(at, waiting, need)
    }
    this.#spent = sumOf(this.#spent, need)
    return undefined
  }

  /** @param at of the principal that has to wait: those before it are charged already */
  async #chargeRest(at: number, waiting: Promise<void>, need: Quantities): Promise<void> {
    const { book, context, principals } = this.#options
    let charged = at
    try {
      await waiting
      for (const principal of principals.slice(at + 1)) {
        charged++
        await book.take(principal, need, context)
      }
    } catch (error) {
      for (const principal of principals.slice(0, charged)) book.giveBack(principal, need, context)
      throw error
    }
    this.#spent = sumOf(this.#spent, need)
    // It waited for longer than its request lasted.
    if (this.#finished) this.#giveBack(need)
  }

  /** What was taken on another day stays spent: given back, it would be there for today. */
  #giveBack(unused: Quantities): void {
    const { book, context, principals } = this.#options
    if (isNothing(unused) || dayAt(book.now()) !== this.#day) return
    this.#spent = sumOf(
      this.#spent,
      eachKind((kind) => -(unused[kind] ?? 0)),
    )
    for (const principal of principals) book.giveBack(principal, unused, context)
  }

  #leave(): void {
    for (const leave of this.#leaving.splice(0)) leave()
  }
}

/** The period that is over first: months end with one of their days. */
function dayAt(now: number): string {
  return windowAt('day', now).key
}

/**
 * Each name once, as the standard wants it. Rates of several lengths are named by them; of what both a token and its key
 * have, there is as much as is left of the one that has less.
 */
function distinct(states: readonly LimitState[]): LimitState[] {
  const lengths = new Set(states.filter(({ name }) => name === RATE).map(({ seconds }) => seconds))
  const named = new Map<string, LimitState>()
  for (const state of states) {
    const name = state.name === RATE && lengths.size > 1 ? `${RATE}-${state.seconds}` : state.name
    const known = named.get(name)
    if (known === undefined || state.remaining < known.remaining) named.set(name, { ...state, name })
  }
  return [...named.values()]
}

/** With what the units cost. */
function pricedOf(amounts: Amounts): Quantities {
  const priced = quantitiesOf(amounts)
  if (amounts.units === undefined || amounts.units === 0) return priced
  return sumOf(priced, { nanoUsd: nanoUsd(usdOf({ requests: 0, units: amounts.units })) })
}

function stateOf({
  name,
  kind,
  period,
  quota,
  remaining,
  seconds,
  resetMs,
}: ReturnType<LeaseBook['lines']>[number]): LimitState {
  return {
    name,
    unit: period === 'rate' ? 'requests' : (name.slice(period.length + 1) as LimitState['unit']),
    quota: amountOf(kind, quota),
    remaining: amountOf(kind, remaining),
    seconds,
    reset: Math.max(1, Math.ceil(resetMs / 1000)),
  }
}
