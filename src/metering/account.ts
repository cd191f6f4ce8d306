import { isWithin, type Span } from '../core/span.ts'
import type { EndedLease, LeaseAnswer, LeaseRequest, LedgerLimits, Line } from './ledger/lease.ts'
import { eachKind, isNothing, KINDS, type Kind, leastOf, type Quantities, sumOf } from './ledger/quantities.ts'

interface Held {
  readonly id: string
  readonly amounts: Quantities
  /** What of it nobody has taken. Given back, it may be more than the lease had. */
  readonly left: Record<Kind, number>
  readonly at: number
  /** For how long it may be used: requests of a rate, and the rest. */
  readonly rateMs: number
  readonly budgetMs: number
}

interface Answered {
  readonly lines: readonly Line[]
  readonly at: number
}

export interface AccountOptions {
  readonly limits: LedgerLimits
  /** What a lease should last for. */
  readonly spanMs: number
  /** How long a refusal is believed: others may give something back. */
  readonly refusalMs: number
  /** A request to the ledger that has found no answer for this long is given up with what it said. */
  readonly unsettledMs: number
}

/** Of a first lease, before it is known how much is used. */
const FIRST_LEASE = 8
/** Of what was used since the last lease: how much more or less the next one may be. */
const LARGEST_CHANGE = 4
const SMALLEST_CHANGE = 0.5
/** Less than this share of the last lease: the next one is asked for before it is needed. */
const REFILL_SHARE = 0.25

/** What this isolate holds of what one principal may use. No waiting and no calls: `LeaseBook` makes them. */
export class Account {
  limits: LedgerLimits
  /** What the request to the ledger says that is under way, or that nobody has heard of again. */
  unsettled: { readonly request: LeaseRequest; readonly at: number } | undefined
  /** Requests that wait for a lease. Those that were killed stay for a while. */
  readonly waiting = new Map<object, { readonly need: Quantities; readonly at: number }>()
  readonly #options: Omit<AccountOptions, 'limits'>
  #held: Held[] = []
  #ended: EndedLease[] = []
  #owed: Quantities = {}
  #used: Quantities = {}
  #lastLease: { readonly at: number; readonly amounts: Quantities } | undefined
  #answered: Answered | undefined
  #refused: Span | undefined
  #refilled: Span | undefined
  #lastTake = 0

  constructor({ limits, ...options }: AccountOptions) {
    this.limits = limits
    this.#options = options
  }

  /** When something was taken last. */
  get lastTake(): number {
    return this.#lastTake
  }

  /** Takes all of it from what is held, or nothing. */
  take(need: Quantities, now: number): boolean {
    this.#endExpired(now)
    if (KINDS.some((kind) => this.#available(kind, now) < (need[kind] ?? 0))) return false
    this.#lastTake = now
    this.#used = sumOf(this.#used, need)
    this.#takeFrom(need, now)
    return true
  }

  /** What was taken and is not needed. */
  giveBack(unused: Quantities, now: number): void {
    const place = (kind: Kind): Held | undefined => this.#held.findLast((held) => isValid(held, kind, now))
    for (const [kind, amount] of Object.entries(unused) as [Kind, number][]) {
      const held = place(kind)
      if (held !== undefined) held.left[kind] += amount
      // Requests of a rate are gone with their window.
      else if (kind !== 'rate') this.#owed = sumOf(this.#owed, { [kind]: -amount })
    }
  }

  /** What was used without having been taken: from what is held, and otherwise the ledger is told. */
  owe(used: Quantities, now: number): void {
    const covered = eachKind((kind) => Math.min(used[kind] ?? 0, Math.max(0, this.#available(kind, now))))
    this.#takeFrom(covered, now)
    this.#owed = sumOf(
      this.#owed,
      eachKind((kind) => (used[kind] ?? 0) - (covered[kind] ?? 0)),
    )
  }

  /** The line that has too little, where the ledger has said so a moment ago. */
  refusedBy(need: Quantities, now: number): Line | undefined {
    if (!isWithin(this.#refused, now) || this.#answered === undefined) return undefined
    return shortOf(need, this.#linesNow(this.#answered, now))
  }

  /** Whether little is left of a lease that did not last long. */
  wantsRefill(now: number): boolean {
    const last = this.#lastLease
    if (last === undefined || this.unsettled !== undefined || now - last.at > this.#options.spanMs) return false
    if (isWithin(this.#refused, now) || isWithin(this.#refilled, now)) return false
    return Object.entries(last.amounts).some(
      ([kind, amount]) => this.#available(kind as Kind, now) < amount * REFILL_SHARE && amount > FIRST_LEASE,
    )
  }

  /** What to say to the ledger: again what may not have arrived, or all that there is to say now. */
  ask(id: string, holder: string, need: Quantities, now: number): LeaseRequest {
    this.#endExpired(now)
    if (this.unsettled !== undefined && now - this.unsettled.at > this.#options.unsettledMs) this.unsettled = undefined
    if (this.unsettled !== undefined) return this.unsettled.request
    if (isNothing(need)) this.#refilled = { at: now, ms: this.#options.refusalMs }
    const request: LeaseRequest = {
      id,
      holder,
      limits: this.limits,
      need,
      waiting: this.#awaited(now),
      wish: this.#wish(need, now),
      ended: this.#ended,
      owed: this.#owed,
    }
    this.#ended = []
    this.#owed = {}
    this.unsettled = { request, at: now }
    return request
  }

  /** What the isolate holds and has not used goes back; a request that only says so needs and wishes nothing. */
  close(id: string, holder: string, now: number): LeaseRequest | undefined {
    for (const held of this.#held.splice(0)) this.#end(held)
    // Requests of a rate are gone with their window, and need no call.
    const hasUnused = this.#ended.some(({ unused }) => !isNothing({ ...unused, rate: 0 }))
    if (this.unsettled === undefined && !hasUnused && isNothing(this.#owed)) return undefined
    const request = this.ask(id, holder, {}, now)
    if (request.id !== id) return request
    const closing = { ...request, waiting: {}, wish: {} }
    this.unsettled = { request: closing, at: now }
    return closing
  }

  settle({ id, owed }: LeaseRequest, answer: LeaseAnswer, now: number): void {
    if (this.unsettled?.request.id !== id) return
    this.unsettled = undefined
    this.#answered = { lines: answer.lines, at: now }
    this.#refused = answer.refused && { at: now, ms: Math.min(this.#options.refusalMs, answer.refused.retryMs) }
    if (isNothing(answer.amounts)) {
      // Said with the next request, so that the ledger need not keep it.
      if (!isNothing(owed)) this.#ended.push({ id, unused: {} })
      return
    }
    this.#used = {}
    this.#lastLease = { at: now, amounts: answer.amounts }
    this.#held.push({
      id,
      amounts: answer.amounts,
      left: { rate: 0, requests: 0, tokens: 0, milliUnits: 0, nanoUsd: 0, ...answer.amounts },
      at: now,
      rateMs: answer.rateMs,
      budgetMs: answer.budgetMs,
    })
    const owedYet = eachKind((kind) => Math.max(0, this.#owed[kind] ?? 0))
    this.#owed = sumOf(
      this.#owed,
      eachKind((kind) => -(owedYet[kind] ?? 0)),
    )
    this.owe(owedYet, now)
  }

  /** Each limit, with what is left of it as far as is known here. */
  lines(now: number): readonly Line[] {
    return this.#answered === undefined ? [] : this.#linesNow(this.#answered, now)
  }

  #linesNow({ lines, at }: Answered, now: number): Line[] {
    const passed = Math.max(0, now - at)
    return lines.map((line) => {
      // A window that is over meanwhile.
      if (passed >= line.resetMs) return { ...line, remaining: line.quota, resetMs: line.seconds * 1000 }
      const held = this.#available(line.kind, now) - (this.#owed[line.kind] ?? 0)
      return {
        ...line,
        remaining: Math.min(line.quota, Math.max(0, line.remaining + held)),
        resetMs: line.resetMs - passed,
      }
    })
  }

  #available(kind: Kind, now: number): number {
    return this.#held.reduce((sum, held) => sum + (isValid(held, kind, now) ? held.left[kind] : 0), 0)
  }

  /** The oldest first. */
  #takeFrom(amounts: Quantities, now: number): void {
    for (const [kind, amount] of Object.entries(amounts) as [Kind, number][]) {
      let missing = amount
      for (const held of this.#held) {
        if (!isValid(held, kind, now)) continue
        const taken = Math.min(missing, held.left[kind])
        held.left[kind] -= taken
        missing -= taken
      }
    }
  }

  #endExpired(now: number): void {
    const [newest] = this.#held.slice(-1)
    const over = this.#held.filter(
      (held) => (!isValid(held, 'rate', now) && !isValid(held, 'tokens', now)) || (held !== newest && isEmpty(held)),
    )
    if (over.length === 0) return
    this.#held = this.#held.filter((held) => !over.includes(held))
    for (const held of over) this.#end(held)
  }

  #end({ id, amounts, left }: Held): void {
    this.#ended.push({ id, unused: leastOf(left, amounts) })
    const more = eachKind((kind) => (kind === 'rate' ? 0 : Math.min(0, (amounts[kind] ?? 0) - left[kind])))
    this.#owed = sumOf(this.#owed, more)
  }

  #awaited(now: number): Quantities {
    let sum: Quantities = {}
    for (const [who, { need, at }] of this.waiting) {
      if (now - at > this.#options.spanMs) this.waiting.delete(who)
      else sum = sumOf(sum, need)
    }
    return sum
  }

  /** As much as was used in the time that a lease should last for, by what was used since the last one. */
  #wish(need: Quantities, now: number): Quantities {
    const last = this.#lastLease
    if (last === undefined) return eachKind((kind) => (need[kind] ?? 0) * FIRST_LEASE)
    const passed = Math.max(0, now - last.at)
    const change = passed === 0 ? LARGEST_CHANGE : this.#options.spanMs / passed
    const factor = Math.min(LARGEST_CHANGE, Math.max(SMALLEST_CHANGE, change))
    return eachKind((kind) => Math.ceil(Math.max(need[kind] ?? 0, (this.#used[kind] ?? 0) * factor)))
  }
}

/** The line that has less than is needed, of several the one that takes longest. */
function shortOf(need: Quantities, lines: readonly Line[]): Line | undefined {
  const [short] = lines
    .filter(({ kind, remaining }) => remaining < (need[kind] ?? 0))
    .sort((a, b) => b.resetMs - a.resetMs)
  return short
}

function isValid({ at, rateMs, budgetMs }: Held, kind: Kind, now: number): boolean {
  return isWithin({ at, ms: kind === 'rate' ? rateMs : budgetMs }, now)
}

function isEmpty({ left }: Held): boolean {
  return KINDS.every((kind) => left[kind] <= 0)
}
