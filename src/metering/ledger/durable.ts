import { DurableObject } from 'cloudflare:workers'
import type { Limits } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'
import type { LeaseReply, LeaseRequest, LedgerLimits } from './lease.ts'
import { PrincipalLedger } from './ledger.ts'
import { SqlLedgerStore } from './sql-store.ts'
import { type LedgerStore, MemoryLedgerStore } from './store.ts'

export interface LedgerDeps {
  /** Its `now` must count from 1970. */
  readonly clock: Clock
  readonly limits: Pick<Limits, 'leaseMs' | 'leaseKeptMs' | 'leasesKept' | 'memoryRateSeconds'>
}

/** Principals that pay for nothing: addresses of callers without a key, and models. */
const UNPAID = /^(?:address|model):/

/**
 * What one principal has leased. Its storage is the truth: what this object remembers is only the connection to it. Rates
 * of addresses and of models are an exception where their windows are short: a reset costs no more than one of them.
 */
export class LedgerObject extends DurableObject {
  readonly #deps: LedgerDeps
  readonly #forgetful: PrincipalLedger
  #stored: PrincipalLedger | undefined

  constructor(state: DurableObjectState, env: unknown, deps: LedgerDeps) {
    super(state, env as never)
    this.#deps = deps
    this.#forgetful = this.#over(new MemoryLedgerStore())
  }

  async lease(principal: string, request: LeaseRequest): Promise<LeaseReply> {
    const { clock, limits } = this.#deps
    const unpaid = UNPAID.test(principal)
    const ledger = unpaid && windowSeconds(request.limits) <= limits.memoryRateSeconds ? this.#forgetful : this.#kept()
    const answer = ledger.lease(request, clock.now())
    if (unpaid && ledger === this.#stored) await this.#endLater(request.limits)
    return answer
  }

  /** What is kept of somebody who pays for nothing ends with its windows. */
  override async alarm(): Promise<void> {
    await this.ctx.storage.deleteAll()
    this.#stored = undefined
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
