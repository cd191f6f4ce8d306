import { METERS, type Meter, type Prices } from './prices.ts'

/** Usage of an account in a month. */
export type Usage = Readonly<Partial<Record<Meter, number>>>

/** A model as it is stored and as it was measured. */
export interface CostedModel {
  readonly name: string
  /** Of the edge's artifact. */
  readonly artifactBytes: number
  readonly chunks: number
  /** Further files that a load reads. */
  readonly otherBytes: number
  readonly otherChunks: number
  readonly coldCpuMs: number
  readonly warmCpuMs: number
}

export interface ColdLoad {
  readonly bytes: number
  readonly kvReads: number
  readonly r2Reads: number
}

const MILLION = 1_000_000
const DAYS = 30

/**
 * Reads of an isolate for its first request to a model: the alias, the manifest and every chunk, from KV. The chunks of
 * a model that is not hot are only in R2, but Verge asks KV first, and KV bills misses as reads.
 */
export function coldLoad(model: CostedModel, hot: boolean): ColdLoad {
  const chunks = model.chunks + model.otherChunks
  return { bytes: model.artifactBytes + model.otherBytes, kvReads: 2 + chunks, r2Reads: hot ? 0 : chunks }
}

/**
 * Usage of a number of requests. An isolate reads a model's alias again when its copy is ten seconds old. Every request
 * counts as one that does, which is the upper bound.
 * @param coldShare share of requests in isolates that have not loaded the model, 0 to 1
 */
export function usageOf(model: CostedModel, requests: number, coldShare: number, hot: boolean): Usage {
  const cold = requests * coldShare
  const load = coldLoad(model, hot)
  return {
    requests,
    cpuMs: cold * model.coldCpuMs + (requests - cold) * model.warmCpuMs,
    kvReads: requests - cold + cold * load.kvReads,
    r2ClassB: cold * load.r2Reads,
  }
}

/** Dollars a month on the paid plan, its fee included, if this is all that the account uses. */
export function paidBill(usage: Usage, prices: Prices): number {
  return METERS.reduce(
    (sum, name) => sum + charge(name, usage, prices, prices.meters[name].paidIncluded),
    prices.plans.paid.usdPerMonth,
  )
}

/** Dollars on a bill whose included amounts are already used up. */
export function marginalBill(usage: Usage, prices: Prices): number {
  return METERS.reduce((sum, name) => sum + ((usage[name] ?? 0) / MILLION) * prices.meters[name].usdPerMillion, 0)
}

function charge(name: Meter, usage: Usage, { meters }: Prices, included: number): number {
  const { usdPerMillion, roundsUp } = meters[name]
  const millions = Math.max(0, (usage[name] ?? 0) - included) / MILLION
  return (roundsUp ? Math.ceil(millions) : millions) * usdPerMillion
}

/** What stands in the way of the free plan; empty if nothing does. @param usage of a month, evenly spread */
export function freeObstacles(model: CostedModel, usage: Usage, prices: Prices): string[] {
  const { cpuMsPerRequest } = prices.plans.free
  const cpu = ([what, ms]: readonly [string, number]): string[] =>
    ms > cpuMsPerRequest ? [`${what} needs ${round(ms)} ms of CPU; the limit is ${cpuMsPerRequest}`] : []
  const amounts = METERS.flatMap((name) => {
    const { freePerDay, freePerMonth } = prices.meters[name]
    const used = usage[name] ?? 0
    if (freePerDay !== undefined && used / DAYS > freePerDay) {
      return [`${name}: ${Math.round(used / DAYS)} a day; the limit is ${freePerDay}`]
    }
    if (freePerMonth !== undefined && used > freePerMonth) {
      return [`${name}: ${Math.round(used)} a month; the limit is ${freePerMonth}`]
    }
    return []
  })
  return [
    ...cpu(['a warm request', model.warmCpuMs]),
    ...cpu(['the first request in an isolate', model.coldCpuMs]),
    ...amounts,
  ]
}

function round(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toFixed(1)
}
