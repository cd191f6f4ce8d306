/**
 * What a request is estimated to cost the operator, beyond what Cloudflare's plan includes. The prices are those of
 * `deploy/prices.json`, which `npm run cost` uses; a test compares them. Money is counted in whole thousand millionths of a
 * dollar, so that a sum is the same in any order: a request alone is 806 of them.
 */
const NANO_USD = {
  request: 300,
  cpuMs: 20,
  /** The alias. An isolate reads it at most once in ten seconds; counting a read for every request is the upper bound. */
  kvRead: 500,
} as const

const NANO = 1_000_000_000

/** Milliseconds of a unit (docs/decisions/0008-cost-units.md). */
const UNIT_MS = 0.075

/** Milliseconds of a request beside its runs: reading, placing and answering a short text, as the benchmark measures it. */
const REQUEST_MS = 0.3

/** What of a request costs money. */
export interface Spent {
  readonly requests: number
  /** Of the runs that were made here. */
  readonly units: number
  /** Origins have prices of their own (`ORIGINS`). */
  readonly originUsd?: number
}

/** Estimated CPU time at the edge, in milliseconds. */
export function cpuMsOf({ requests, units }: Pick<Spent, 'requests' | 'units'>): number {
  return requests * REQUEST_MS + units * UNIT_MS
}

/** Estimated dollars. */
export function usdOf(spent: Spent): number {
  const { request, kvRead, cpuMs } = NANO_USD
  return (spent.requests * (request + kvRead) + cpuMsOf(spent) * cpuMs) / NANO + (spent.originUsd ?? 0)
}

/** Dollars as they are stored. */
export function nanoUsd(usd: number): number {
  return Math.round(usd * NANO)
}

export function usdFromNano(nano: number): number {
  return nano / NANO
}
