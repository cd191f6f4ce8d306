import { addCounts, type Counts, NO_COUNTS } from './counts.ts'

/** Requests that were refused before their model was known. */
export const NO_MODEL = ''

/** Models of a day beyond those that are kept apart. No model is called so: its version would be missing. */
export const OTHER_MODELS = 'other'

/** Usage of one day, by `name@version`. */
export type UsageByModel = ReadonlyMap<string, Counts>

/** Usage by UTC day, as `2026-11-30`. */
export type UsageByDay = ReadonlyMap<string, UsageByModel>

/** The UTC day of a moment. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 'yyyy-mm-dd'.length)
}

export function monthOf(day: string): string {
  return day.slice(0, 'yyyy-mm'.length)
}

/**
 * Both together. The first `most` names in their order stay apart and the rest are `other`: whichever parts come together
 * first, the sum is the same, because a name that left one of them has enough names before it in all of them.
 */
export function mergeModels(a: UsageByModel, b: UsageByModel, most: number): UsageByModel {
  const sum = new Map(a)
  for (const [model, counts] of b) sum.set(model, addCounts(sum.get(model) ?? NO_COUNTS, counts))
  return bounded(sum, most)
}

function bounded(models: UsageByModel, most: number): UsageByModel {
  const apart = [...models.keys()].filter((model) => model !== OTHER_MODELS)
  if (apart.length <= most) return models
  const kept = new Map<string, Counts>()
  let rest = models.get(OTHER_MODELS) ?? NO_COUNTS
  for (const [at, model] of apart.sort(byName).entries()) {
    const counts = models.get(model) ?? NO_COUNTS
    if (at < most) kept.set(model, counts)
    else rest = addCounts(rest, counts)
  }
  return kept.set(OTHER_MODELS, rest)
}

/** By UTF-16 code units, which for names of models is the order of SQLite, too. */
function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Several days as one. */
export function ofAllDays(days: UsageByDay, most: number): UsageByModel {
  return [...days.values()].reduce<UsageByModel>((sum, models) => mergeModels(sum, models, most), new Map())
}

export function totalOf(models: UsageByModel): Counts {
  return [...models.values()].reduce(addCounts, NO_COUNTS)
}
