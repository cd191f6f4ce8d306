import { addressKey } from '../access/address.ts'
import type { Caller } from '../access/authorize.ts'
import type { FloodGuard } from '../access/flood.ts'
import type { Grant } from '../access/grant.ts'
import type { Plan } from '../access/plan.ts'
import type { Limits } from '../core/limits.ts'
import { LruMap } from '../core/lru.ts'
import type { RequestContext } from '../core/runtime.ts'
import type { LeaseBook, Principal } from './leases.ts'
import { ledgerLimits, strictest } from './limits-of.ts'
import type { CallerFacts, Metering, Permit } from './metering.ts'
import { LeasedPermit } from './permit.ts'
import { planMissing } from './refusals.ts'
import type { Slots } from './slots.ts'
import { UNLIMITED } from './unlimited.ts'

export interface LimitedOptions {
  readonly book: LeaseBook
  readonly slots: Slots
  readonly plans: ReadonlyMap<string, Plan>
  readonly modelLimits: ReadonlyMap<string, Pick<Plan, 'rate' | 'concurrency'>>
  /** Of the platform, for addresses and for principals. */
  readonly addressRate?: FloodGuard | undefined
  readonly keyRate?: FloodGuard | undefined
  readonly limits: Pick<Limits, 'leasePrincipals'>
}

/** The plan of callers without a key. */
const ANONYMOUS = 'anonymous'
/** That of callers whom nothing limits. */
const FREE: Plan = {}

/** Who is charged for a request. */
interface Charged {
  readonly plan: Plan
  readonly principals: readonly Principal[]
  /** Requests at once, by whom. */
  readonly slots: readonly { readonly name: string; readonly most: number }[]
}

/**
 * Limits by plans: of keys, people and tokens by what they were given, of callers without a key by their addresses, and of
 * models. The operator, other Workers of the account and origins are not limited.
 */
export class LimitedMetering implements Metering {
  readonly #options: LimitedOptions
  /** What a plan that does not change comes to, by the grant that it is made of. */
  readonly #charged = new WeakMap<Grant, LruMap<Charged>>()

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
    const known = this.#charged.get(grant)?.get(principal)
    if (known !== undefined) return known
    const each = [{ principal, grant }, ...(parent === undefined ? [] : [parent])].map((payer) => ({
      name: payer.principal,
      plans: this.#plansOf(payer.grant),
    }))
    const charged = each.some(({ plans }) => plans.length > 0)
      ? chargedBy(each)
      : { plan: FREE, principals: [], slots: [] }
    // A parent's record may change while a token stays: what depends on both is not kept.
    if (parent === undefined) {
      // Of a rule's grant there may be as many as there are people.
      const ofGrant = this.#charged.get(grant) ?? new LruMap<Charged>(this.#options.limits.leasePrincipals)
      ofGrant.set(principal, charged)
      this.#charged.set(grant, ofGrant)
    }
    return charged
  }

  /** Its own limits first: of what only one plan may say, they have the say. */
  #plansOf({ plan: name, limits }: Grant): Plan[] {
    const own = limits === undefined ? [] : [limits]
    if (name === undefined) return own
    const plan = this.#options.plans.get(name)
    if (plan === undefined) throw planMissing(name)
    return [...own, plan]
  }

  /** Rates are each address's own; budgets are those of all callers without a key together. */
  #anonymous(address: string | undefined): Charged {
    const plan = this.#options.plans.get(ANONYMOUS)
    if (plan === undefined) return { plan: FREE, principals: [], slots: [] }
    const { rates, budgets } = ledgerLimits([plan])
    const name = `address:${addressKey(address)}`
    const principals = [
      { name, limits: { rates, budgets: {} } },
      { name: ANONYMOUS, limits: { rates: [], budgets } },
    ]
    const { concurrency } = plan
    return { plan, principals, slots: concurrency === undefined ? [] : [{ name, most: concurrency }] }
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

function chargedBy(each: readonly { readonly name: string; readonly plans: readonly Plan[] }[]): Charged {
  return {
    plan: strictest(each.flatMap(({ plans }) => plans)),
    principals: each.map(({ name, plans }) => ({ name, limits: ledgerLimits(plans) })),
    slots: each.flatMap(({ name, plans }) => {
      const { concurrency } = strictest(plans)
      return concurrency === undefined ? [] : [{ name, most: concurrency }]
    }),
  }
}
