import { budgetLines, chargeWindows, type Periods, periodsAt, timeOf } from './budget-periods.ts'
import type { EndedLease, LeaseAnswer, LeaseRequest, LedgerLimits, Line, Refusal } from './lease.ts'
import { eachKind, isNothing, type Kind, leastOf, NOTHING, type Quantities, sumOf } from './quantities.ts'
import { chargeRates, type RateWindows, rateLines, windowsOf } from './rate-windows.ts'
import type { LedgerStore } from './store.ts'

export interface LedgerOptions {
  readonly store: LedgerStore
  /** How long a lease may be used. */
  readonly leaseMs: number
  /** For how long what was not used of a lease is credited. */
  readonly leaseKeptMs: number
  /** Leases that are kept for that; the oldest go first. */
  readonly leasesKept: number
}

/** A lease takes at most this share of what is left, or a half divided by the isolates that lease, if that is less. */
const LARGEST_SHARE = 1 / 4

/** What is left for requests whose time this is. */
interface Account {
  readonly lines: readonly Line[]
  readonly left: (kind: Kind) => number
}

interface Saved {
  readonly periods: Periods
  readonly windows: RateWindows
  /** Leases that may come back, the oldest first. */
  readonly open: readonly OpenLease[]
}

interface OpenLease {
  readonly id: string
  readonly holder: string
  readonly at: number
}

/** What is known of a lease, for its end and for the same request sent again. */
interface LeaseRecord {
  readonly at: number
  readonly amounts: Quantities
  readonly periods: readonly string[]
  readonly windows: readonly string[]
  readonly refused?: Refusal
}

const STATE = 'state'
const EMPTY: Saved = { periods: { mark: 0, closed: {}, granted: {} }, windows: {}, open: [] }

/**
 * What one principal has leased of its rates and budgets, over a store that is the truth: nothing is remembered beside it,
 * so that a ledger that was reset knows as much as before. What is leased counts as spent, and is written before it is
 * answered. What comes back of a lease is credited once, to the periods that it was taken from.
 *
 * How much a lease has: what requests wait for, as far as there is as much, and beyond that what is wished for, up to a
 * quarter of what is left, or with `n` isolates that lease to a half divided by `n`. So parts become smaller as a budget runs low, and the
 * last of it goes to whoever needs it.
 */
export class PrincipalLedger {
  readonly #options: LedgerOptions

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  /**
   * @param clock milliseconds since 1970; may jump in both directions
   * @param booked called in the same transaction where the request is new and has anything to book
   */
  lease(request: LeaseRequest, clock: number, booked?: () => void): LeaseAnswer {
    const { store } = this.#options
    return store.transaction(() => {
      const saved = (store.get(STATE) ?? EMPTY) as Saved
      const known = store.get(leaseKey(request.id)) as LeaseRecord | undefined
      if (known !== undefined) return this.#answer(known, request.limits, saved, clock)
      return this.#lease(request, saved, clock, booked)
    })
  }

  #lease(request: LeaseRequest, before: Saved, clock: number, booked: (() => void) | undefined): LeaseAnswer {
    const { id, holder, limits, owed } = request
    const { store } = this.#options
    const now = timeOf(before.periods, clock)
    let saved: Saved = { ...before, periods: periodsAt(before.periods, now) }
    for (const ended of request.ended) saved = this.#end(ended, saved)
    const periods = chargeWindows(limits, now)
    const windows = windowsOf(limits.rates, clock)
    saved = charged(saved, owed, periods, windows)
    const account = accountOf(limits, saved, now, clock)
    const holders = new Set([...this.#lately(saved, clock), holder]).size
    const refused = refusalOf(request.need, account)
    const amounts = refused === undefined ? partOf(request, account, holders) : NOTHING
    const record: LeaseRecord = { at: clock, amounts, periods, windows, ...(refused && { refused }) }
    if (isNothing(amounts) && isNothing(owed) && booked === undefined) {
      // Refusals write nothing, so that many of them cost nothing.
      if (request.ended.length > 0) store.set(STATE, saved)
      return this.#answer(record, limits, saved, clock)
    }
    saved = charged(saved, amounts, periods, windows)
    booked?.()
    store.set(leaseKey(id), record)
    saved = this.#kept({ ...saved, open: [...saved.open, { id, holder, at: clock }] }, clock)
    store.set(STATE, saved)
    return this.#answer(record, limits, saved, clock)
  }

  /** Credits what was not used of a lease, unless it has ended before or was dropped. */
  #end({ id, unused }: EndedLease, saved: Saved): Saved {
    const { store } = this.#options
    const record = store.get(leaseKey(id)) as LeaseRecord | undefined
    if (record === undefined) return saved
    store.delete(leaseKey(id))
    const back = leastOf(positive(unused), record.amounts)
    const open = saved.open.filter((each) => each.id !== id)
    return charged({ ...saved, open }, negative(back), record.periods, record.windows)
  }

  /** Isolates whose leases may still be used. */
  #lately({ open }: Saved, clock: number): string[] {
    return open.filter(({ at }) => Math.abs(clock - at) < this.#options.leaseMs).map(({ holder }) => holder)
  }

  /** Without the leases that are too old, and without the oldest where they are too many: they stay spent. */
  #kept(saved: Saved, clock: number): Saved {
    const { store, leaseKeptMs, leasesKept } = this.#options
    const fresh = saved.open.filter(({ at }) => Math.abs(clock - at) < leaseKeptMs).slice(-leasesKept)
    const kept = new Set(fresh.map(({ id }) => id))
    for (const { id } of saved.open) if (!kept.has(id)) store.delete(leaseKey(id))
    return { ...saved, open: fresh }
  }

  #answer({ amounts, at, refused }: LeaseRecord, limits: LedgerLimits, saved: Saved, clock: number): LeaseAnswer {
    const now = timeOf(saved.periods, clock)
    const { lines } = accountOf(limits, saved, now, clock)
    const leftMs = Math.max(0, this.#options.leaseMs - Math.abs(clock - at))
    const until = (of: (line: Line) => boolean): number =>
      Math.min(leftMs, ...lines.filter(of).map(({ resetMs }) => resetMs))
    return {
      amounts,
      rateMs: until(({ period }) => period === 'rate'),
      budgetMs: until(({ period }) => period !== 'rate'),
      ...(refused && { refused }),
      lines,
    }
  }
}

function leaseKey(id: string): string {
  return `lease ${id}`
}

function charged(saved: Saved, amounts: Quantities, periods: readonly string[], windows: readonly string[]): Saved {
  if (isNothing(amounts)) return saved
  const { rate = 0, ...budgets } = amounts
  return {
    ...saved,
    periods: chargePeriods(saved.periods, budgets, periods),
    windows: chargeRates(saved.windows, rate, windows),
  }
}

function chargePeriods(periods: Periods, amounts: Quantities, keys: readonly string[]): Periods {
  const granted = { ...periods.granted }
  for (const key of keys) {
    const known = granted[key]
    // A period that was left behind is not kept any more, and begins at no time again.
    if (known !== undefined || !isNothing(positive(amounts))) granted[key] = positive(sumOf(known ?? {}, amounts))
  }
  return { ...periods, granted }
}

function accountOf(limits: LedgerLimits, saved: Saved, now: number, clock: number): Account {
  const lines = [...rateLines(limits.rates, saved.windows, clock), ...budgetLines(limits, saved.periods, now)]
  return {
    lines,
    left: (kind) => Math.min(...lines.filter((line) => line.kind === kind).map(({ remaining }) => remaining)),
  }
}

/** Of the lines that have less than is needed, the one that takes longest. */
function refusalOf(need: Quantities, { lines }: Account): Refusal | undefined {
  const [short] = lines
    .filter(({ kind, remaining }) => remaining < (need[kind] ?? 0))
    .sort((a, b) => b.resetMs - a.resetMs)
  return short && { line: short.name, kind: short.kind, retryMs: short.resetMs }
}

/** @param holders isolates that lease, this one included */
function partOf({ need, waiting, wish }: LeaseRequest, { left }: Account, holders: number): Quantities {
  const share = Math.min(LARGEST_SHARE, 1 / (2 * holders))
  return eachKind((kind) => {
    const most = left(kind)
    // Of what is not limited nothing needs to be leased.
    if (most === Number.POSITIVE_INFINITY) return 0
    const needed = Math.max(need[kind] ?? 0, Math.min(waiting[kind] ?? 0, most))
    return Math.max(needed, Math.min(wish[kind] ?? 0, Math.floor(most * share)))
  })
}

function positive(quantities: Quantities): Quantities {
  return eachKind((kind) => Math.max(0, quantities[kind] ?? 0))
}

function negative(quantities: Quantities): Quantities {
  return eachKind((kind) => -(quantities[kind] ?? 0))
}
