import type { Amounts, Plan } from '../access/plan.ts'
import { type LedgerLimits, PERIODS, type Period } from './ledger/lease.ts'
import { eachKind, type Kind, type Quantities } from './ledger/quantities.ts'

/** Whole numbers of each kind for one of what people write. */
const WHOLE: Readonly<Record<keyof Amounts, readonly [Kind, number]>> = {
  requests: ['requests', 1],
  tokens: ['tokens', 1],
  units: ['milliUnits', 1000],
  usd: ['nanoUsd', 1_000_000_000],
}

type Budgets = Readonly<Partial<Record<Period, Readonly<Amounts>>>>

/** Amounts as the ledger counts them. Parts of what it counts by count as a whole. */
export function quantitiesOf(amounts: Readonly<Amounts>): Quantities {
  const found: Partial<Record<Kind, number>> = {}
  for (const [name, [kind, whole]] of Object.entries(WHOLE)) {
    const amount = amounts[name as keyof Amounts]
    if (amount !== undefined) found[kind] = Math.ceil(Number((amount * whole).toPrecision(12)))
  }
  return found
}

/** What people write, of a quantity of the ledger. */
export function amountOf(kind: Kind, quantity: number): number {
  const [, whole = 1] = Object.values(WHOLE).find(([each]) => each === kind) ?? []
  return quantity / whole
}

/** What the ledger is to hold: every rate, and of each budget the smallest. */
export function ledgerLimits(plans: readonly Plan[]): LedgerLimits {
  const budgets: Partial<Record<Period, Quantities>> = {}
  for (const period of PERIODS) {
    const each = plans.flatMap(({ budgets }) => {
      const budget = (budgets as Budgets | undefined)?.[period]
      return budget === undefined ? [] : [quantitiesOf(budget)]
    })
    if (each.length > 0) budgets[period] = smallest(each)
  }
  return { rates: plans.flatMap(({ rate }) => (rate === undefined ? [] : [rate])), budgets }
}

/** One plan that is as strict as all of them. Of what is said once, the first that says it. */
export function strictest(plans: readonly Plan[]): Plan {
  const rates = plans.flatMap(({ rate }) => (rate === undefined ? [] : [rate]))
  const [rate] = rates.sort((a, b) => a.requests / a.seconds - b.requests / b.seconds)
  const whenLow = plans.find((plan) => plan.whenLow !== undefined)?.whenLow
  const least = (name: 'concurrency' | 'bodyBytes' | 'batch' | 'maxTokens'): Plan => {
    const values = plans.flatMap((plan) => plan[name] ?? [])
    return values.length === 0 ? {} : { [name]: Math.min(...values) }
  }
  const budgets = strictestBudgets(plans)
  return {
    ...(rate && { rate }),
    ...(budgets && { budgets }),
    ...least('concurrency'),
    ...least('bodyBytes'),
    ...least('batch'),
    ...least('maxTokens'),
    ...(whenLow && { whenLow }),
  }
}

function strictestBudgets(plans: readonly Plan[]): Plan['budgets'] {
  const found: Partial<Record<Period, Amounts>> = {}
  for (const period of PERIODS) {
    for (const { budgets } of plans) {
      const budget = (budgets as Budgets | undefined)?.[period]
      for (const [name, amount] of Object.entries(budget ?? {}) as [keyof Amounts, number | undefined][]) {
        if (amount === undefined) continue
        const least = found[period] ?? {}
        least[name] = Math.min(least[name] ?? amount, amount)
        found[period] = least
      }
    }
  }
  return Object.keys(found).length === 0 ? undefined : found
}

/** Of each kind that any of them limits, the smallest. A budget of nothing is one, too. */
function smallest(budgets: readonly Quantities[]): Quantities {
  const found: Partial<Record<Kind, number>> = {}
  for (const budget of budgets) {
    for (const [kind, quantity] of Object.entries(budget) as [Kind, number][]) {
      found[kind] = Math.min(found[kind] ?? quantity, quantity)
    }
  }
  return found
}

/** What of it is limited at all. */
export function limitedOf(quantities: Quantities, { rates, budgets }: LedgerLimits): Quantities {
  const isLimited = (kind: Kind): boolean =>
    kind === 'rate' ? rates.length > 0 : PERIODS.some((period) => budgets[period]?.[kind] !== undefined)
  return eachKind((kind) => (isLimited(kind) ? (quantities[kind] ?? 0) : 0))
}
