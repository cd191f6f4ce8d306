import type { OperationsBody, OperationsModel, Traffic } from '../../protocols/verge/operations.ts'

const WHOLE_SECONDS = 300

/** Seconds that "the last five minutes" of an answer are: five whole minutes, and the current one so far. */
export function secondsIn({ at }: Pick<OperationsBody, 'at'>): number {
  return WHOLE_SECONDS + (Math.floor(Date.parse(at) / 1000) % 60)
}

/** Percent of the requests that failed; undefined without requests. */
export function failedPercent({ errors, requests }: Traffic): number | undefined {
  return requests === 0 ? undefined : (100 * errors) / requests
}

/** By what models can be sorted: the key on the keyboard is the first letter. */
export const SORTS = ['requests', 'errors', 'units', 'latency', 'cost', 'name'] as const
export type Sort = (typeof SORTS)[number]

/** The largest first; by name where they are equal. */
export function sorted(models: readonly OperationsModel[], sort: Sort): OperationsModel[] {
  const by: Readonly<Record<Exclude<Sort, 'name'>, (model: OperationsModel) => number>> = {
    requests: ({ traffic }) => traffic?.last5m.requests ?? 0,
    errors: ({ traffic }) => traffic?.last5m.errors ?? 0,
    units: ({ traffic }) => traffic?.last5m.units ?? 0,
    latency: ({ p95Ms }) => p95Ms ?? 0,
    cost: ({ costTodayUsd }) => costTodayUsd ?? 0,
  }
  const value = sort === 'name' ? () => 0 : by[sort]
  return models.toSorted((a, b) => value(b) - value(a) || (a.model < b.model ? -1 : 1))
}
