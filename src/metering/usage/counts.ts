/**
 * What is counted of requests. All are whole numbers: sums are then exact, and the same in whichever order parts of them
 * come together.
 */
export const COUNTS = [
  'requests',
  /** Of these, answered with a status from 400 on. */
  'errors',
  /** Of these, answered from the result cache. */
  'cached',
  /** Of these, sent with a browser token of the principal. */
  'byToken',
  'inputTokens',
  'outputTokens',
  /** Thousandths of a unit. */
  'milliUnits',
  /** Estimated, at the edge. */
  'cpuMicroseconds',
  'originMs',
  /** Estimated. */
  'nanoUsd',
] as const

export type CountName = (typeof COUNTS)[number]
export type Counts = Readonly<Record<CountName, number>>

export const NO_COUNTS: Counts = fromEach(() => 0)

export function addCounts(a: Counts, b: Counts): Counts {
  return fromEach((name) => a[name] + b[name])
}

/** Counts from where a newer or an older Verge may have written them: what is missing or no count is nothing. */
export function countsFrom(value: Readonly<Partial<Record<CountName, unknown>>>): Counts {
  return fromEach((name) => {
    const count = value[name]
    return typeof count === 'number' && Number.isSafeInteger(count) && count > 0 ? count : 0
  })
}

function fromEach(countOf: (name: CountName) => number): Counts {
  return Object.fromEntries(COUNTS.map((name) => [name, countOf(name)])) as Record<CountName, number>
}
