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
  readonly limits: Pick<Limits, 'leaseMs' | 'leaseKeptMs' | 'leasesKept' | 'memoryRateSeconds' | 'tokenSeconds'> &
    PrincipalUsageOptions['limits'] &
    KeyCheckOptions['limits']
  readonly logger: Logger
  /** R2: the truth about keys, and a place for snapshots of the usage. */
  readonly store: Store
}

/** Principals that pay for nothing: addresses of callers without a key, and models. */
const UNPAID = /^(?:address|model):/
/** They end by themselves, and what they are used for is their keys' usage. A site gives one to each of its visitors. */
const TOKEN = /^token:/

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
    const seconds = windowSeconds(request.limits)
    const unpaid = UNPAID.test(principal)
    const ledger = unpaid && seconds <= limits.memoryRateSeconds ? this.#forgetful : this.#kept()
    const answer = ledger.lease(request, clock.now())
    if (ledger === this.#stored) {
      if (unpaid) await this.#endAfter(seconds)
      else if (TOKEN.test(principal)) await this.#endAfter(limits.tokenSeconds)
    }
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
   * What is kept of somebody who pays for nothing ends with its windows, and what is kept of a token with the token:
   * neither has a usage. Of all others the usage is copied.
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

  async #endAfter(seconds: number): Promise<void> {
    const { clock, limits } = this.#deps
    await this.ctx.storage.setAlarm(clock.now() + seconds * 1000 + limits.leaseKeptMs)
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
