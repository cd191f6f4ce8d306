/** Triton's statistics extension. Durations are in nanoseconds. */

export interface StatisticDuration {
  readonly count: number
  readonly ns: number
}

export interface ModelStats {
  readonly name: string
  readonly version: string
  /** Milliseconds since 1970; 0 if there was none. */
  readonly last_inference: number
  readonly inference_count: number
  readonly execution_count: number
  readonly inference_stats: {
    readonly success: StatisticDuration
    readonly fail: StatisticDuration
    readonly queue: StatisticDuration
    readonly compute_infer: StatisticDuration
    readonly cache_hit: StatisticDuration
    readonly cache_miss: StatisticDuration
  }
}

export interface StatisticsAnswer {
  readonly model_stats: readonly ModelStats[]
}
