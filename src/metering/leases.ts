import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { type Clock, type Logger, type RequestContext, untilLate } from '../core/runtime.ts'
import { SingleFlight } from '../core/single-flight.ts'
import { isWithin, type Span } from '../core/span.ts'
import { Account } from './account.ts'
import type { LeaseReply, LeaseRequest, LedgerClient, LedgerLimits, Line } from './ledger/lease.ts'
import { isNothing, type Quantities } from './ledger/quantities.ts'
import { limitedOf } from './limits-of.ts'
import { LocalRates } from './local-rates.ts'
import { limitsUnavailable, refusal } from './refusals.ts'
import type { UsageBlock } from './usage/block.ts'

/** `open` admits by the isolate's own count, `closed` refuses. */
export interface WhenUnavailable {
  readonly rates: 'open' | 'closed'
  readonly budgets: 'open' | 'closed'
}

export interface UsageCarrier {
  carry(principal: string): UsageBlock | undefined
  /** The block has arrived. */
  carried(principal: string, block: UsageBlock): void
}

export interface LeaseBookOptions {
  /** Undefined where none is bound: it is away for good. */
  readonly ledger: LedgerClient | undefined
  readonly whenUnavailable: WhenUnavailable
  /** Its `now` must count from 1970. */
  readonly clock: Clock
  readonly logger: Logger
  readonly randomId: () => string
  /** What was counted of a principal goes with what is asked for it, so that both are one call. */
  readonly usage?: UsageCarrier | undefined
  /** A principal gets nothing any more: what was read of its key is out of date. */
  readonly onRevoked?: (principal: string) => void
  readonly limits: Pick<
    Limits,
    | 'leaseCallMs'
    | 'leaseIdleMs'
    | 'leasePollMs'
    | 'leasePrincipals'
    | 'leaseRefusalMs'
    | 'leaseRestMs'
    | 'leaseSpanMs'
    | 'leaseUnsettledMs'
  >
}

/** Who is charged, and what for. */
export interface Principal {
  readonly name: string
  readonly limits: LedgerLimits
}

interface Entry {
  readonly account: Account
  readonly local: LocalRates
  /** The ledger did not answer: it is not asked before. */
  rests?: Span | undefined
  failures: number
  /** Somebody will look whether anything is idle. */
  watched?: Span | undefined
  /** Its principal gets nothing any more, and is not asked for before. */
  revoked?: Span & { readonly why: string }
}

/** Leases that one request waits for at most, one after the other: each but the last was taken by others. */
const MOST_LEASES = 32

/** Looks of one request whether anything is idle: together less than the 30 s that work behind an answer may take. */
const MOST_LOOKS = 4

/**
 * What this isolate has leased of what its callers may use. Most requests take from it without waiting. Of those that find
 * too little one asks the ledger, and the others look from time to time whether it has an answer, because a request must
 * not wait on another one's promise. If the one that asks is killed, another repeats what it said, with the same id.
 */
export class LeaseBook {
  readonly #options: LeaseBookOptions
  readonly #entries = new Map<string, Entry>()
  readonly #flights: SingleFlight<void>
  #holder: string | undefined

  constructor(options: LeaseBookOptions) {
    this.#options = options
    const { clock, limits } = options
    this.#flights = new SingleFlight({ clock, staleMs: limits.leaseCallMs * 2, pollMs: limits.leasePollMs })
  }

  /**
   * Takes what a request needs. Undefined: it was there.
   * @throws rate_limited, budget_spent, limits_unavailable; unauthorized if the principal's key was revoked
   */
  take(principal: Principal, need: Quantities, context: RequestContext): Promise<void> | undefined {
    const limited = limitedOf(need, principal.limits)
    if (isNothing(limited)) return undefined
    const now = this.#options.clock.now()
    const entry = this.#entryOf(principal, context)
    if (!entry.account.take(limited, now)) return this.#wait(principal, entry, limited, context)
    this.#watch(principal.name, entry, context, now)
    if (entry.account.wantsRefill(now) && this.#mayAsk(entry, now)) {
      context.waitUntil(this.#asked(principal.name, entry, {}, context).catch(() => {}))
    }
    return undefined
  }

  /** What was taken and is not needed. */
  giveBack(principal: Principal, unused: Quantities, context: RequestContext): void {
    const limited = limitedOf(unused, principal.limits)
    if (isNothing(limited)) return
    const now = this.#options.clock.now()
    // It may have made room for others meanwhile.
    const entry = this.#entryOf(principal, context)
    entry.account.giveBack(limited, now)
    this.#watch(principal.name, entry, context, now)
  }

  /** What was used beyond what was taken. */
  owe(principal: Principal, used: Quantities, context: RequestContext): void {
    const limited = limitedOf(used, principal.limits)
    if (isNothing(limited)) return
    const now = this.#options.clock.now()
    const entry = this.#entryOf(principal, context)
    entry.account.owe(limited, now)
    this.#watch(principal.name, entry, context, now)
  }

  /** Each limit of a principal, with what is left of it as far as is known here. */
  lines({ name }: Principal, now: number): readonly Line[] {
    return this.#entries.get(name)?.account.lines(now) ?? []
  }

  /** By its clock. */
  now(): number {
    return this.#options.clock.now()
  }

  async #wait(principal: Principal, entry: Entry, need: Quantities, context: RequestContext): Promise<void> {
    const { clock } = this.#options
    const { account } = entry
    const waiting = {}
    try {
      for (let leases = 0; leases < MOST_LEASES; leases++) {
        const now = clock.now()
        if (entry.revoked !== undefined && isWithin(entry.revoked, now)) throw revoked(entry.revoked.why)
        if (account.take(need, now)) return this.#watch(principal.name, entry, context, now)
        const refused = account.refusedBy(need, now)
        if (refused !== undefined) throw refusal(refused, now)
        if (!this.#mayAsk(entry, now)) return this.#without(principal, entry, need, now)
        account.waiting.set(waiting, { need, at: now })
        await this.#asked(principal.name, entry, need, context)
      }
    } finally {
      account.waiting.delete(waiting)
    }
    throw limitsUnavailable()
  }

  #mayAsk({ rests }: Entry, now: number): boolean {
    return this.#options.ledger !== undefined && !isWithin(rests, now)
  }

  /** One call for all requests that wait for it. What it answers is in the account. */
  #asked(name: string, entry: Entry, need: Quantities, context: RequestContext): Promise<void> {
    return this.#flights.run(
      name,
      () => {
        const { clock, randomId } = this.#options
        return this.#send(name, entry, entry.account.ask(randomId(), this.#isolate(), need, clock.now()))
      },
      context,
    )
  }

  /** Never rejects: an account without an answer rests. */
  async #send(name: string, entry: Entry, request: LeaseRequest): Promise<void> {
    const { clock, ledger, limits, logger, onRevoked, usage } = this.#options
    if (ledger === undefined) return
    const block = usage?.carry(name)
    try {
      const reply = await untilLate<LeaseReply, never>(
        ledger.lease(name, { ...request, ...(block && { usage: block }) }),
        limits.leaseCallMs,
        clock,
        () => {
          throw new Error('the ledger did not answer in time')
        },
      )
      if (block !== undefined) usage?.carried(name, block)
      const now = clock.now()
      entry.failures = 0
      if ('revoked' in reply) {
        entry.account.unsettled = undefined
        entry.revoked = { why: reply.revoked, at: now, ms: limits.leaseRefusalMs }
        onRevoked?.(name)
      } else entry.account.settle(request, reply, now)
    } catch (error) {
      const ms = Math.min(limits.leaseRestMs, 2 ** entry.failures * limits.leaseRefusalMs)
      entry.failures++
      entry.rests = { at: clock.now(), ms }
      logger.warn('ledger_unavailable', { principal: loggedName(name), error })
    }
  }

  /** @throws rate_limited, limits_unavailable */
  #without({ limits }: Principal, entry: Entry, { rate = 0, ...budgets }: Quantities, now: number): void {
    const { whenUnavailable } = this.#options
    if (rate > 0 && whenUnavailable.rates === 'closed') throw limitsUnavailable()
    if (!isNothing(budgets) && whenUnavailable.budgets === 'closed') throw limitsUnavailable()
    const over = rate > 0 ? entry.local.take(limits.rates, rate, now) : undefined
    if (over !== undefined) throw refusal(over, now)
    entry.account.owe(budgets, now)
  }

  /** What is idle goes back, by a timer of whichever request comes first. One that was killed leaves it to a later one. */
  #watch(name: string, entry: Entry, context: RequestContext, now: number): void {
    const { clock, ledger, limits } = this.#options
    if (ledger === undefined || isWithin(entry.watched, now)) return
    entry.watched = { at: now, ms: limits.leaseIdleMs * (MOST_LOOKS + 1) }
    const look = async (): Promise<void> => {
      for (let looks = 0; looks < MOST_LOOKS; looks++) {
        await clock.sleep(limits.leaseIdleMs)
        if (clock.now() - entry.account.lastTake >= limits.leaseIdleMs / 2) return this.#close(name, entry)
      }
      // Busy: the next request looks.
      entry.watched = undefined
    }
    context.waitUntil(look())
  }

  async #close(name: string, entry: Entry): Promise<void> {
    entry.watched = undefined
    const { clock, randomId } = this.#options
    // Twice where a call without an answer has to be repeated first.
    for (let calls = 0; calls < 2; calls++) {
      if (!this.#mayAsk(entry, clock.now())) return
      const request = entry.account.close(randomId(), this.#isolate(), clock.now())
      if (request === undefined) return
      await this.#send(name, entry, request)
    }
  }

  #entryOf({ name, limits }: Principal, context: RequestContext): Entry {
    const known = this.#entries.get(name)
    const entry = known ?? this.#made(limits)
    entry.account.limits = limits
    // The last of the map is the one that was used last.
    if (known !== undefined) this.#entries.delete(name)
    this.#entries.set(name, entry)
    if (known === undefined) this.#makeRoom(context)
    return entry
  }

  #made(limits: LedgerLimits): Entry {
    const { leaseRefusalMs, leaseSpanMs, leaseUnsettledMs } = this.#options.limits
    return {
      account: new Account({
        limits,
        spanMs: leaseSpanMs,
        refusalMs: leaseRefusalMs,
        unsettledMs: leaseUnsettledMs,
      }),
      local: new LocalRates(),
      failures: 0,
    }
  }

  /** The principal that was used longest ago makes room, and gives back what was leased for it. */
  #makeRoom(context: RequestContext): void {
    for (const [name, entry] of this.#entries) {
      if (this.#entries.size <= this.#options.limits.leasePrincipals) return
      this.#entries.delete(name)
      context.waitUntil(this.#close(name, entry))
    }
  }

  #isolate(): string {
    this.#holder ??= this.#options.randomId()
    return this.#holder
  }
}

/** Addresses of callers are no business of the log's. */
function loggedName(name: string): string {
  return name.startsWith('address:') ? 'address' : name
}

function revoked(why: string): VergeError {
  return new VergeError('unauthorized', why)
}
