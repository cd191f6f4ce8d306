import { addressKey } from '../access/address.ts'
import type { Caller } from '../access/authorize.ts'
import type { FloodGuard } from '../access/flood.ts'
import type { Grant } from '../access/grant.ts'
import type { Plan } from '../access/plan.ts'
import type { RequestContext } from '../core/runtime.ts'
import type { LeaseBook, Principal } from './leases.ts'
import type { LedgerLimits } from './ledger/lease.ts'
import { ledgerLimits, strictest } from './limits-of.ts'
import type { CallerFacts, Metering, Permit } from './metering.ts'
import { LeasedPermit } from './permit.ts'
import { planMissing } from './refusals.ts'
import type { Slots } from './slots.ts'

export interface LimitedOptions {
  readonly book: LeaseBook
  readonly slots: Slots
  readonly plans: ReadonlyMap<string, Plan>
  readonly modelLimits: ReadonlyMap<string, Pick<Plan, 'rate' | 'concurrency'>>
  /** Of the platform, for addresses and for principals. */
  readonly addressRate?: FloodGuard | undefined
  readonly keyRate?: FloodGuard | undefined
}

/** The plan of callers without a key. */
const ANONYMOUS = 'anonymous'
/** No limits. */
const FREE: Plan = {}

/** Who is charged for a request. */
interface Charged {
  readonly plan: Plan
  readonly principals: readonly Principal[]
  /** Requests at once, by whom. */
  readonly slots: readonly { readonly name: string; readonly most: number }[]
}

/** Of callers whom nothing limits. */
const NOT_CHARGED: Charged = { plan: FREE, principals: [], slots: [] }

/** What a grant allows whoever has it. */
interface Terms {
  readonly plan: Plan
  readonly limits: LedgerLimits
}

const UNLIMITED_TERMS: Terms = { plan: FREE, limits: { rates: [], budgets: {} } }

const UNLIMITED_PERMIT: Permit = {
  plan: FREE,
  low: false,
  state: undefined,
  forModel: () => undefined,
  spend: () => undefined,
  tokens: () => undefined,
  refund() {},
  finish() {},
}

/**
 * Of callers whom nothing limits.
 * @public
 */
export const UNLIMITED: Metering = { admit: () => Promise.resolve(UNLIMITED_PERMIT) }

/**
 * Limits by plans: of keys, people and tokens by what they were given, of callers without a key by their addresses, and of
 * models. The operator, other Workers of the account and origins are not limited.
 */
export class LimitedMetering implements Metering {
  readonly #options: LimitedOptions
  /** What the plans of a grant come to. Many people may have one grant, so nothing of a principal is in it. */
  readonly #termsOf = new WeakMap<Grant, Terms>()

  constructor(options: LimitedOptions) {
    this.#options = options
  }

  async admit(caller: Caller, facts: CallerFacts, context: RequestContext): Promise<Permit> {
    if (caller.kind !== 'granted' && caller.kind !== 'anonymous') return UNLIMITED.admit(caller, facts, context)
    if (facts.continued !== true) await this.#refuseFloods(caller, facts)
    const { plan, principals, slots } = this.#chargedOf(caller, facts)
    // Most Workers limit nothing.
    if (plan === FREE && this.#options.modelLimits.size === 0) return UNLIMITED.admit(caller, facts, context)
    const leave = this.#enter(slots)
    const permit = new LeasedPermit({
      book: this.#options.book,
      context,
      plan,
      principals,
      leave,
      enterModel: (model) => this.#enterModel(model),
    })
    if (facts.continued !== true) await permit.begin()
    return permit
  }

  /** @throws rate_limited */
  async #refuseFloods(caller: Caller, { address }: CallerFacts): Promise<void> {
    const { addressRate, keyRate } = this.#options
    // Calls that come over no address would all be one: they have no key, and are not counted.
    if (caller.kind === 'granted') await keyRate?.(caller.principal)
    else await addressRate?.(addressKey(address))
  }

  /** @throws limits_unavailable for a plan that is not configured */
  #chargedOf(caller: Extract<Caller, { kind: 'granted' | 'anonymous' }>, { address }: CallerFacts): Charged {
    if (caller.kind === 'anonymous') return this.#anonymous(address)
    const { principal, grant, parent } = caller
    const own = { name: principal, terms: this.#terms(grant) }
    const each = parent === undefined ? [own] : [own, { name: parent.principal, terms: this.#terms(parent.grant) }]
    const limited = each.filter(({ terms }) => terms !== UNLIMITED_TERMS)
    const [only] = limited
    if (only === undefined) return NOT_CHARGED
    return {
      plan: limited.length === 1 ? only.terms.plan : strictest(limited.map(({ terms }) => terms.plan)),
      principals: limited.map(({ name, terms }) => ({ name, limits: terms.limits })),
      slots: limited.flatMap(({ name, terms }) => slotsOf(name, terms.plan)),
    }
  }

  /** Its own limits first: of what only one plan may say, they have the say. @throws limits_unavailable */
  #terms(grant: Grant): Terms {
    const known = this.#termsOf.get(grant)
    if (known !== undefined) return known
    const named = grant.plan === undefined ? undefined : this.#options.plans.get(grant.plan)
    if (grant.plan !== undefined && named === undefined) throw planMissing(grant.plan)
    const plans = [grant.limits, named].filter((plan) => plan !== undefined)
    const terms = plans.length === 0 ? UNLIMITED_TERMS : { plan: strictest(plans), limits: ledgerLimits(plans) }
    this.#termsOf.set(grant, terms)
    return terms
  }

  /** Rates are each address's own; budgets are those of all callers without a key together. */
  #anonymous(address: string | undefined): Charged {
    const plan = this.#options.plans.get(ANONYMOUS)
    if (plan === undefined) return NOT_CHARGED
    const { rates, budgets } = ledgerLimits([plan])
    const name = `address:${addressKey(address)}`
    const principals = [
      { name, limits: { rates, budgets: {} } },
      { name: ANONYMOUS, limits: { rates: [], budgets } },
    ]
    return { plan, principals, slots: slotsOf(name, plan) }
  }

  /** @returns gives the slots back @throws rate_limited */
  #enter(slots: Charged['slots']): () => void {
    const entered: (() => void)[] = []
    const leave = (): void => {
      for (const each of entered.splice(0)) each()
    }
    try {
      for (const { name, most } of slots) entered.push(this.#options.slots.enter(name, most))
    } catch (error) {
      leave()
      throw error
    }
    return leave
  }

  #enterModel(model: string): { readonly principal: Principal; readonly leave: () => void } | undefined {
    const limits = this.#options.modelLimits.get(model)
    if (limits === undefined) return undefined
    const name = `model:${model}`
    const leave = limits.concurrency === undefined ? () => {} : this.#options.slots.enter(name, limits.concurrency)
    return { principal: { name, limits: ledgerLimits([limits]) }, leave }
  }
}

function slotsOf(name: string, { concurrency }: Plan): Charged['slots'] {
  return concurrency === undefined ? [] : [{ name, most: concurrency }]
}
