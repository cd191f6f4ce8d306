import { type FloodGuard, type FloodLimit, floodGuard } from '../access/flood.ts'
import type { Env } from './env.ts'
import type { Platform } from './shared.ts'

/** What refuses requests by limits of the platform; undefined where none is bound. */
export interface FloodGuards {
  readonly addressRate: FloodGuard | undefined
  readonly keyRate: FloodGuard | undefined
}

export function floodGuardsOf({ ADDRESS_RATE, KEY_RATE }: Env, { logger }: Platform): FloodGuards {
  const guard = (limit: FloodLimit | undefined): FloodGuard | undefined => limit && floodGuard(limit, logger)
  return { addressRate: guard(ADDRESS_RATE), keyRate: guard(KEY_RATE) }
}
