import type { KeyReader } from '../access/keys/reader.ts'
import type { Config } from '../config/config.ts'
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
  const usage = usageOf(env, truth, shared)
  const limited = limitedMetering(env, config, keys, usage, floods, shared)
  return { metering: usage?.counting(limited) ?? limited, usage }
}

/** What callers may use, leased from their ledgers. A key that was revoked is read again. */
function limitedMetering(
  { LEDGER }: Env,
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
    ledger: LEDGER && {
      lease: (principal, request) => LEDGER.get(LEDGER.idFromName(principal)).lease(principal, request),
    },
    onRevoked: (principal) => keys.forget(principal.replace(/^key:/, '')),
  })
}

/** What callers use, counted in their ledgers; undefined where there are none. */
function usageOf({ LEDGER }: Env, store: Store, shared: Shared): LedgerUsage | undefined {
  if (LEDGER === undefined) return undefined
  return new LedgerUsage({
    ...shared,
    store,
    ledgerOf: (principal) => LEDGER.get(LEDGER.idFromName(principal)),
  })
}
