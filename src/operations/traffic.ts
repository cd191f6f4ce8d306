import type { OperationsBody, OperationsModel, Traffic } from '../protocols/verge/operations.ts'
import type { MetricsSnapshot } from '../telemetry/metrics/reader.ts'

/** What one version did in one minute; an empty model is requests that were refused before theirs was known. */
export type MinuteOfVersion = Omit<MetricsSnapshot['minutes'][number], 'place'>

/** The last hour, summed. */
export interface HourOfTraffic {
  readonly totals: NonNullable<OperationsBody['totals']>
  readonly minutes: NonNullable<OperationsBody['minutes']>
  readonly models: ReadonlyMap<string, TrafficOfModel>
}

export type TrafficOfModel = Spans & Pick<OperationsModel, 'versions'>
type Spans = NonNullable<OperationsModel['traffic']>

const MINUTE_MS = 60_000
const MINUTES = 60
/** Whole minutes before the current one that count as the last five. */
const SHORT = 5

const NONE: Traffic = { requests: 0, errors: 0, units: 0, tokens: 0 }
const NO_SPANS: Spans = { last5m: NONE, lastHour: NONE }

/**
 * Sums minutes by model and version. The current minute is not over, and counts beside the five whole ones before it: what
 * happened just now is what an operator looks for.
 * @param now milliseconds since 1970
 */
export function hourOf(minutes: readonly MinuteOfVersion[], now: number): HourOfTraffic {
  const current = Math.floor(now / MINUTE_MS)
  const recent = minutes.filter(({ minute }) => minute > current - MINUTES && minute <= current)
  const spansOf = (parts: readonly MinuteOfVersion[]): Spans =>
    parts.reduce<Spans>(
      ({ last5m, lastHour }, part) => ({
        last5m: part.minute >= current - SHORT ? sum(last5m, part) : last5m,
        lastHour: sum(lastHour, part),
      }),
      NO_SPANS,
    )
  const models = new Map(
    [...grouped(recent, ({ model }) => model)].map(([model, parts]) => {
      const versions = [...grouped(parts, ({ version }) => version)]
        .map(([version, own]) => ({ version, ...spansOf(own) }))
        .sort((a, b) => b.lastHour.requests - a.lastHour.requests)
      return [model, { ...spansOf(parts), versions: versions.slice(0, MOST_VERSIONS) }] as const
    }),
  )
  // Refused before a model was known: of all requests, and of no model.
  models.delete('')
  return { totals: spansOf(recent), minutes: minuteByMinute(recent, current), models }
}

/** Versions of a model that are listed apart: the live ones, and those that were asked for by name. */
const MOST_VERSIONS = 8

function minuteByMinute(parts: readonly MinuteOfVersion[], current: number): HourOfTraffic['minutes'] {
  const byMinute = grouped(parts, ({ minute }) => minute)
  return Array.from({ length: MINUTES }, (_, index) => {
    const minute = current - MINUTES + 1 + index
    const { requests, errors } = (byMinute.get(minute) ?? []).reduce<Traffic>(sum, NONE)
    return { at: new Date(minute * MINUTE_MS).toISOString(), requests, errors }
  })
}

function sum(a: Traffic, b: Traffic): Traffic {
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    units: a.units + b.units,
    tokens: a.tokens + b.tokens,
  }
}

function grouped<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}
