import type { Caller } from '../../access/authorize.ts'
import type { RequestUsage } from '../metering.ts'
import { cpuMsOf, nanoUsd, usdOf } from '../prices.ts'
import type { UsageRow } from './block.ts'
import { countsFrom } from './counts.ts'
import { dayOf, NO_MODEL } from './usage-by-day.ts'

/** From here on a status says that a request failed. */
const FIRST_FAILURE = 400

/**
 * Whose usage a caller's requests are. What a browser token is used for is its key's: a key may mint thousands of them. All
 * callers of whom nothing is known are one. Undefined for Verge's own servers, whose requests were counted before.
 */
export function bookedFor(caller: Caller): string | undefined {
  switch (caller.kind) {
    case 'operator':
      return 'operator'
    case 'anonymous':
      return 'anonymous'
    case 'granted':
      return caller.parent?.principal ?? caller.principal
    case 'service':
      return `service:${caller.name}`
    case 'origin':
    case 'relayed':
      return undefined
  }
}

/**
 * What one request took, as it is counted.
 * @param at when it ended, in milliseconds
 * @param begins whether it is a request of its own, and not a part of one that was counted
 */
export function rowOf(usage: RequestUsage, caller: Caller, at: number, begins = true): UsageRow {
  const { cached, inputTokens, model = NO_MODEL, originMs, outputTokens, status, units } = usage
  const requests = begins ? 1 : 0
  // The time of origins is no CPU time of the Worker's, and has prices of its own.
  const spent = { requests, units: Math.max(0, units - (usage.originUnits ?? 0)) }
  return {
    day: dayOf(at),
    model,
    counts: countsFrom({
      requests,
      errors: status >= FIRST_FAILURE ? 1 : 0,
      cached: cached ? 1 : 0,
      byToken: caller.kind === 'granted' && caller.by === 'token' ? requests : 0,
      inputTokens: inputTokens + (usage.cachedTokens ?? 0),
      outputTokens,
      milliUnits: Math.round(units * 1000),
      cpuMicroseconds: Math.round(cpuMsOf(spent) * 1000),
      originMs: Math.round(originMs),
      nanoUsd: nanoUsd(usdOf({ ...spent, originUsd: usage.originUsd ?? 0 })),
    }),
  }
}
