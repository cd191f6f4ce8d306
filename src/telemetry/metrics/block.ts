/** What a series is known by. */
export interface SeriesName {
  readonly name: string
  /** Values of the metric's labels, in their order. */
  readonly labels: readonly string[]
}

/** One series of a metric, with what was counted since the last block. */
export interface SeriesDelta extends SeriesName {
  /** As `lengthOf` says. */
  readonly values: readonly number[]
}

/** The state of one gauge of an isolate. */
export interface GaugeReading {
  readonly name: string
  readonly labels: readonly string[]
  readonly value: number
  /** Of a ratio: what is granted. */
  readonly of?: number
}

/** What requests came to, for the table of minutes. */
export interface Traffic {
  readonly model: string
  readonly version: string
  readonly place: string
  readonly requests: number
  /** Failures with a status of 500 or more: those that are not their callers'. */
  readonly errors: number
  readonly units: number
  readonly tokens: number
}

/**
 * What an isolate has counted since the last block that was booked. A block that may have arrived is sent again unchanged;
 * `source` and `seq` tell whether it was booked already.
 */
export interface MetricBlock {
  /** The isolate. */
  readonly source: string
  /** Higher in every later block of the source. */
  readonly seq: number
  readonly series: readonly SeriesDelta[]
  readonly traffic: readonly Traffic[]
  readonly gauges: readonly GaugeReading[]
  /** Requests and events that found no room. */
  readonly lost: number
}

/** All that a shard has counted of a series. */
export interface SeriesTotal extends SeriesDelta {
  /** For how long no block had it, by the shard's clock. A shard of another version of Verge may not say it. */
  readonly idleMs?: number
}

/** What one shard knows. */
export interface ShardReading {
  readonly series: readonly SeriesTotal[]
  readonly minutes: readonly (Traffic & { readonly minute: number })[]
  /** Of the isolates that were heard of late, the last gauges of each. */
  readonly isolates: readonly {
    readonly isolate: string
    readonly gauges: readonly GaugeReading[]
    /** How long ago it was heard, by the shard's clock. A shard of another version of Verge may not say it. */
    readonly silentMs?: number
  }[]
}
