/** How one metric is counted, and where its figures come from. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram's buckets, in its own unit. The last one, without a bound, is not among them. */
  readonly buckets?: readonly number[]
  /** How the gauges of several isolates become one; `ratio`: all that is used, over all that is granted. */
  readonly merge?: 'sum' | 'mean' | 'ratio'
  /**
   * `count`: exact, as far as blocks arrive. `isolate clock`: a clock that stands still while an isolate computes, so that
   * in production only waiting is in it. `outside`: as something outside of the isolate said it.
   */
  readonly source: 'count' | 'isolate clock' | 'outside'
}

/** From a result in memory to the deadline of a request. */
const SECONDS = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const

/** Every metric of the Worker. docs/metrics.md is held against it by a test; those of origins are in `origin/metrics.ts`. */
export const METRICS = {
  verge_requests_total: {
    type: 'counter',
    help: 'Inferences that ended, by the place where they ran and by "ok" or the code of their failure.',
    labels: ['model', 'version', 'place', 'code'],
    source: 'count',
  },
  verge_request_seconds: {
    type: 'histogram',
    help: 'Time from the beginning of an inference to the end of its answer.',
    labels: ['model', 'version', 'place'],
    buckets: SECONDS,
    source: 'isolate clock',
  },
  verge_step_seconds: {
    type: 'histogram',
    help: 'Time of the steps of an inference: load, queue, run, and origin.',
    labels: ['model', 'step'],
    buckets: SECONDS,
    source: 'isolate clock',
  },
  verge_cost_units_total: {
    type: 'counter',
    help: 'Cost units charged for runs, known before they are made.',
    labels: ['model', 'version', 'place'],
    source: 'count',
  },
  verge_tokens_total: {
    type: 'counter',
    help: 'Tokens read ("input") and written ("output") by models.',
    labels: ['model', 'version', 'direction'],
    source: 'count',
  },
  verge_loads_total: {
    type: 'counter',
    help: 'Loads of a model\'s weights into an isolate, "ok" or "failed".',
    labels: ['model', 'version', 'outcome'],
    source: 'count',
  },
  verge_evictions_total: {
    type: 'counter',
    help: 'Sessions that left the memory of an isolate for others.',
    labels: ['model'],
    source: 'count',
  },
  verge_result_cache_total: {
    type: 'counter',
    help: 'Inferences by what the result cache had for them: "hit", "miss" or "bypass".',
    labels: ['model', 'outcome'],
    source: 'count',
  },
  verge_store_reads_total: {
    type: 'counter',
    help: 'Reads of a storage layer ("kv", "r2") by what was read, "hit", "miss" or "failed".',
    labels: ['layer', 'kind', 'outcome'],
    source: 'count',
  },
  verge_http_requests_total: {
    type: 'counter',
    help: 'HTTP requests by the pattern of their route and their status.',
    labels: ['route', 'status'],
    source: 'count',
  },
  verge_origin_calls_total: {
    type: 'counter',
    help: 'Tries of isolates to have an origin answer, "ok", "refused" for what the origin found wrong with the request, or the kind of their fault.',
    labels: ['origin', 'outcome'],
    source: 'count',
  },
  verge_origin_call_seconds: {
    type: 'histogram',
    help: 'Time until an origin has begun to answer, as isolates see it.',
    labels: ['origin'],
    buckets: SECONDS,
    source: 'isolate clock',
  },
  verge_origin_up: {
    type: 'gauge',
    help: 'Share of the isolates that send requests to the origin.',
    labels: ['origin'],
    merge: 'mean',
    source: 'outside',
  },
  verge_backlog_units: {
    type: 'gauge',
    help: 'Cost units of accepted runs that have not finished, of all isolates.',
    labels: [],
    merge: 'sum',
    source: 'count',
  },
  verge_heap_bytes: {
    type: 'gauge',
    help: 'WebAssembly memory of all isolates: "used" by loaded sessions, and "granted" by the hard maximum.',
    labels: ['kind'],
    merge: 'sum',
    source: 'count',
  },
  verge_utilization_ratio: {
    type: 'gauge',
    help: 'What is used over what is granted, of "heap" and "cpu", by model; an empty model is the whole isolate.',
    labels: ['resource', 'model'],
    merge: 'ratio',
    source: 'count',
  },
  verge_isolate_utilization_ratio: {
    type: 'gauge',
    help: 'What single isolates use over what they are granted, of "heap" and "cpu": the "least" of them, the "median" and the "most".',
    labels: ['resource', 'rank'],
    source: 'count',
  },
  verge_shadow_total: {
    type: 'counter',
    help: 'Requests whose outputs a canary was compared by: "agree", "disagree", "failed", "skipped" or "incomparable".',
    labels: ['model', 'version', 'outcome'],
    source: 'count',
  },
  verge_canary_stops_total: {
    type: 'counter',
    help: 'Canaries that were taken out, by the rule that they broke.',
    labels: ['model', 'version', 'reason'],
    source: 'count',
  },
  verge_spans_total: {
    type: 'counter',
    help: 'Spans of traces that were "recorded", and those of them that the collector has taken: "exported".',
    labels: ['outcome'],
    source: 'count',
  },
  verge_spans_dropped_total: {
    type: 'counter',
    help: 'Spans of traces that were dropped, by why they could not be exported.',
    labels: ['reason'],
    source: 'count',
  },
  verge_isolates: {
    type: 'gauge',
    help: 'Isolates that were heard in the last five minutes.',
    labels: [],
    source: 'count',
  },
  verge_metrics_lost_total: {
    type: 'counter',
    help: 'Requests and events that were not counted, as far as isolates know of them.',
    labels: [],
    source: 'count',
  },
  verge_metrics_shards_unreachable: {
    type: 'gauge',
    help: 'Shards that did not answer this scrape. Above 0, the scrape has no figures that shards count.',
    labels: [],
    source: 'count',
  },
  verge_info: {
    type: 'gauge',
    help: "Verge's version: always 1.",
    labels: ['version'],
    source: 'count',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>

export type MetricName = keyof typeof METRICS

type NamesOf<T extends MetricDefinition['type']> = {
  [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never
}[MetricName]

export type CounterName = NamesOf<'counter'>
export type HistogramName = NamesOf<'histogram'>

export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof METRICS)[N]['labels'][number], string>>

/** Undefined for names that this version of Verge does not know. */
export function definitionOf(name: string): MetricDefinition | undefined {
  return Object.hasOwn(METRICS, name) ? METRICS[name as MetricName] : undefined
}

/** Values of a series: one, or a histogram's count in each bucket and the sum of all that was observed. */
export function lengthOf({ buckets }: MetricDefinition): number {
  return buckets === undefined ? 1 : buckets.length + 2
}

/** Labels whose values are names of a catalogue or of a configuration. Where there are too many, they become `OTHER`. */
const NAMED: ReadonlySet<string> = new Set(['model', 'version', 'origin', 'route', 'reason'])

export const OTHER = 'other'

/** Whether series come and go with models, versions and the like. */
export function hasNames({ labels }: MetricDefinition): boolean {
  return labels.some((label) => NAMED.has(label))
}

/** The values of a series in which all that could be too many are counted together. */
export function together({ labels }: MetricDefinition, values: readonly string[]): string[] {
  return values.map((value, index) => (NAMED.has(labels[index] ?? '') ? OTHER : value))
}

/** One text for a series, as shards store it. */
export function keyOf(name: string, labels: readonly string[]): string {
  return JSON.stringify([name, ...labels])
}
