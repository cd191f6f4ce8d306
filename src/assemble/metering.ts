import type { KeyReader } from '../access/keys/reader.ts'
import type { Config } from '../config/config.ts'
import type { LeaseRequest, LedgerClient } from '../metering/ledger/lease.ts'
import { limiting } from '../metering/limiting.ts'
import type { Metering } from '../metering/metering.ts'
import { LedgerUsage } from '../metering/usage/ledger-usage.ts'
import type { Store } from '../weights/store.ts'
import type { Env } from './env.ts'
import type { FloodGuards } from './floods.ts'
import type { Shared } from './shared.ts'

/** What callers may use and have used. */
export interface Meters {
  readonly metering: Metering
  /** Undefined where nothing is counted. */
  readonly usage: LedgerUsage | undefined
}

export function metersOf(
  env: Env,
  config: Config,
  keys: KeyReader,
  truth: Store,
  floods: FloodGuards,
  shared: Shared,
): Meters {
  const { LEDGER } = env
  const ledgerOf = LEDGER && ((principal: string) => LEDGER.get(LEDGER.idFromName(principal)))
  // Without ledgers nothing is counted.
  const usage = ledgerOf && new LedgerUsage({ ...shared, store: truth, ledgerOf })
  const ledger = ledgerOf && { lease: (name: string, request: LeaseRequest) => ledgerOf(name).lease(name, request) }
  const limited = limitedMetering(ledger, config, keys, usage, floods, shared)
  return { metering: usage?.counting(limited) ?? limited, usage }
}

/** What callers may use, leased from their ledgers. A key that was revoked is read again. */
function limitedMetering(
  ledger: LedgerClient | undefined,
  config: Config,
  keys: KeyReader,
  usage: LedgerUsage | undefined,
  floods: FloodGuards,
  shared: Shared,
): Metering {
  const { plans, modelLimits, limitsWhenUnavailable: whenUnavailable } = config
  return limiting({
    ...shared,
    ...floods,
    plans,
    modelLimits,
    whenUnavailable,
    usage: usage?.carrier,
    ledger,
    onRevoked: (principal) => keys.forget(principal.replace(/^key:/, '')),
  })
}
