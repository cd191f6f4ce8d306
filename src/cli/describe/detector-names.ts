import type { LabelOutcome } from './labels.ts'

interface Names {
  readonly names: string[]
  readonly notes: readonly string[]
}

/** Names of a detector's classes. @param count of them, where its outputs say it */
export function namesOf(named: readonly string[] | undefined, count: number | undefined): LabelOutcome<Names> {
  if (named !== undefined && (count === undefined || named.length === count)) {
    return { value: { names: [...named], notes: [] } }
  }
  if (named !== undefined) return { problem: `there are ${named.length} labels, but its output has ${count} classes` }
  if (count === undefined || count < 1) return { problem: 'no file names its labels' }
  return {
    value: {
      names: Array.from({ length: count }, (_, i) => `LABEL_${i}`),
      notes: [`labels: no file names the ${count} classes, so they are called LABEL_0 to LABEL_${count - 1}`],
    },
  }
}

/** A dimension that is fixed. */
export function sideOf(dimension: number | string | undefined): number | undefined {
  return typeof dimension === 'number' && dimension > 0 ? dimension : undefined
}
