import type { Limits } from '../../core/limits.ts'
import { type Clock, untilAborted, untilLate } from '../../core/runtime.ts'
import type { MetricBlock, SeriesName, ShardReading, Traffic } from './block.ts'
import { type ForgettingLimits, forgettable } from './forgetting.ts'
import type { IsolateUse } from './isolates.ts'
import { type MetricFamily, mergeReadings } from './merge.ts'

/** What all isolates have counted together. */
export interface MetricsSnapshot {
  readonly families: readonly MetricFamily[]
  /** Of the last hour, by the minute in which blocks arrived, counted from 1970. */
  readonly minutes: readonly (Traffic & { readonly minute: number })[]
  /** Isolates that were heard in the last five minutes. */
  readonly isolates: number
  /** What each of them uses of what it is granted. */
  readonly uses: readonly IsolateUse[]
  /** Requests and events that were not counted. */
  readonly lost: number
  /** Shards that did not answer, and are missing here. */
  readonly unreachable: number
}

/** Reads what all isolates have counted. */
export interface MetricsReader {
  /** Never rejects because of a shard: one that does not answer is missing. @throws cancelled, deadline_exceeded */
  read(signal?: AbortSignal): Promise<MetricsSnapshot>
}

/** A shard, over its binding. */
export interface MetricShard {
  book(block: MetricBlock): Promise<void>
  read(): Promise<ShardReading>
  forget(series: readonly SeriesName[]): Promise<void>
}

export interface ShardedMetricsOptions {
  readonly shardOf: (index: number) => MetricShard
  /** Hands over what this isolate has counted. */
  readonly flush: () => Promise<unknown>
  readonly clock: Clock
  readonly version: string
  readonly limits: ForgettingLimits & Pick<Limits, 'metricShards' | 'metricStoreMs'>
}

/** All shards as one. */
export class ShardedMetrics implements MetricsReader {
  readonly #options: ShardedMetricsOptions

  constructor(options: ShardedMetricsOptions) {
    this.#options = options
  }

  async read(signal?: AbortSignal): Promise<MetricsSnapshot> {
    const { flush, limits, version } = this.#options
    await untilAborted(flush(), signal)
    const shards = Array.from({ length: limits.metricShards }, (_, index) => this.#readShard(index))
    const readings = await untilAborted(Promise.all(shards), signal)
    await untilAborted(this.#forget(readings), signal)
    return mergeReadings(readings, version, limits.metricSeriesMs)
  }

  /** Only who has read all shards knows what none of them counts any more. What fails is done by the next reader. */
  async #forget(readings: readonly (ShardReading | undefined)[]): Promise<void> {
    const { clock, limits, shardOf } = this.#options
    const all = readings.filter((reading) => reading !== undefined)
    const series = all.length === readings.length ? forgettable(all, limits) : []
    if (series.length === 0) return
    const forgotten = all.map((_, index) =>
      untilLate(shardOf(index).forget(series), limits.metricStoreMs, clock, () => undefined),
    )
    await Promise.allSettled(forgotten)
  }

  async #readShard(index: number): Promise<ShardReading | undefined> {
    const { clock, limits, shardOf } = this.#options
    try {
      const reading = await untilLate(shardOf(index).read(), limits.metricStoreMs, clock, () => undefined)
      // An object of another version of Verge may say it in another form.
      return reading !== undefined && isReading(reading) ? reading : undefined
    } catch {
      return undefined
    }
  }
}

function isReading({ isolates, minutes, series }: ShardReading): boolean {
  return [isolates, minutes, series].every((part: unknown) => Array.isArray(part))
}

/** The shard of an isolate. @param source the isolate's name */
export function shardIndex(source: string, shards: number): number {
  let hash = 0
  for (const character of source) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0
  return hash % shards
}
