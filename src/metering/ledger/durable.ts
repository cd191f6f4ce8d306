import { DurableObject } from 'cloudflare:workers'
import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import type { Store } from '../../weights/store.ts'
import type { UsageBlock } from '../usage/block.ts'
import type { UsageLedger } from '../usage/ledger-usage.ts'
import { PrincipalUsage, type PrincipalUsageOptions, type UsageAnswer } from '../usage/principal-usage.ts'
import type { UsageQuestion } from '../usage/usage-tables.ts'
import { type KeyCheckOptions, keyRefusal } from './key-check.ts'
import type { LeaseReply, LeaseRequest, LedgerLimits } from './lease.ts'
import { PrincipalLedger } from './ledger.ts'
import { SqlLedgerStore } from './sql-store.ts'
import { type LedgerStore, MemoryLedgerStore } from './store.ts'

export interface LedgerDeps {
  /** Its `now` must count from 1970. */
  readonly clock: Clock
  readonly limits: Pick<Limits, 'leaseMs' | 'leaseKeptMs' | 'leasesKept' | 'memoryRateSeconds'> &
    PrincipalUsageOptions['limits'] &
    KeyCheckOptions['limits']
  readonly logger: Logger
  /** R2: the truth about keys, and a place for snapshots of the usage. */
  readonly store: Store
}

/** Principals that pay for nothing: addresses of callers without a key, and models. */
const UNPAID = /^(?:address|model):/

/**
 * What one principal has leased. Its storage is the truth: what this object remembers is only the connection to it. Rates
 * of addresses and of models are an exception where their windows are short: a reset costs no more than one of them.
 */
export class LedgerObject extends DurableObject implements UsageLedger {
  readonly #deps: LedgerDeps
  readonly #forgetful: PrincipalLedger
  #stored: PrincipalLedger | undefined
  #usage: PrincipalUsage | undefined

  constructor(state: DurableObjectState, env: unknown, deps: LedgerDeps) {
    super(state, env as never)
    this.#deps = deps
    this.#forgetful = this.#over(new MemoryLedgerStore())
  }

  /**
   * A key that was revoked gets nothing from this moment on.
   * @throws store_unavailable if nobody can say whether it was
   */
  async lease(principal: string, request: LeaseRequest): Promise<LeaseReply> {
    const { clock, limits, store } = this.#deps
    // Before anything can refuse: it was used.
    if (request.usage !== undefined) await this.bookUsage(principal, request.usage)
    const refusal = await keyRefusal(principal, { truth: store, clock, limits })
    if (refusal !== undefined) return { revoked: refusal }
    const unpaid = UNPAID.test(principal)
    const ledger = unpaid && windowSeconds(request.limits) <= limits.memoryRateSeconds ? this.#forgetful : this.#kept()
    const answer = ledger.lease(request, clock.now())
    if (unpaid && ledger === this.#stored) await this.#endLater(request.limits)
    return answer
  }

  async bookUsage(principal: string, block: UsageBlock): Promise<void> {
    this.#counted().book(principal, block)
    await this.#ringForUsage()
  }

  async readUsage(question: UsageQuestion): Promise<UsageAnswer> {
    return this.#counted().read(question)
  }

  /**
   * What is kept of somebody who pays for nothing ends with its windows, and has no usage. Of all others the usage is
   * copied.
   */
  override async alarm(): Promise<void> {
    const usage = this.#counted()
    if (usage.owned) {
      await usage.alarm()
      await this.#ringForUsage()
      return
    }
    await this.ctx.storage.deleteAll()
    this.#stored = undefined
    this.#usage = undefined
  }

  async #ringForUsage(): Promise<void> {
    const { storage } = this.ctx
    const at = this.#counted().alarmAt
    if (at === undefined) return
    const set = await storage.getAlarm()
    // One that is set earlier stays: what comes again and again must not put it off.
    if (set === null || set > at) await storage.setAlarm(at)
  }

  #counted(): PrincipalUsage {
    this.#usage ??= new PrincipalUsage({ storage: this.ctx.storage, ...this.#deps })
    return this.#usage
  }

  async #endLater(limits: LedgerLimits): Promise<void> {
    const { storage } = this.ctx
    const end = this.#deps.clock.now() + windowSeconds(limits) * 1000 + this.#deps.limits.leaseKeptMs
    await storage.setAlarm(end)
  }

  #kept(): PrincipalLedger {
    this.#stored ??= this.#over(new SqlLedgerStore(this.ctx.storage))
    return this.#stored
  }

  #over(store: LedgerStore): PrincipalLedger {
    return new PrincipalLedger({ store, ...this.#deps.limits })
  }
}

function windowSeconds({ rates }: LedgerLimits): number {
  return Math.max(0, ...rates.map(({ seconds }) => seconds))
}
