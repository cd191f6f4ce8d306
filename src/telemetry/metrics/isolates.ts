import type { SeriesDelta, ShardReading } from './block.ts'

/** What one isolate uses over what it is granted, as its last block said. */
export interface IsolateUse {
  readonly isolate: string
  /** Absent: its block did not say. */
  readonly heap?: number
  readonly cpu?: number
  /** How long ago that block came. */
  readonly silentMs: number
}

export interface Spread {
  readonly least: number
  /** Of an even number of isolates the lower one of the two in the middle. */
  readonly median: number
  readonly most: number
}

export const RESOURCES = ['heap', 'cpu'] as const
export type Resource = (typeof RESOURCES)[number]

/** By the gauges `verge_utilization_ratio` of the whole of each isolate. */
export function usesOf(isolates: ShardReading['isolates']): IsolateUse[] {
  return isolates.map(({ gauges, isolate, silentMs = 0 }) => {
    const used = RESOURCES.flatMap((resource) => {
      const whole = gauges.find(
        ({ labels, name }) => name === 'verge_utilization_ratio' && labels[0] === resource && labels[1] === '',
      )
      return whole?.of === undefined || whole.of === 0 ? [] : [[resource, whole.value / whole.of] as const]
    })
    return { isolate, silentMs, ...Object.fromEntries(used) }
  })
}

/** Undefined where no isolate says how much it uses of the resource. */
export function spreadOf(uses: readonly IsolateUse[], resource: Resource): Spread | undefined {
  const sorted = uses.flatMap((use) => use[resource] ?? []).sort((a, b) => a - b)
  const [least] = sorted
  const median = sorted[Math.floor((sorted.length - 1) / 2)]
  const most = sorted.at(-1)
  if (least === undefined || median === undefined || most === undefined) return undefined
  return { least, median, most }
}

/** The distribution over isolates: six series, however many isolates there are. */
export function spreadSeries(uses: readonly IsolateUse[]): SeriesDelta[] {
  return RESOURCES.flatMap((resource) =>
    Object.entries(spreadOf(uses, resource) ?? {}).map(([rank, value]) => ({
      name: 'verge_isolate_utilization_ratio',
      labels: [resource, rank],
      values: [value],
    })),
  )
}
