import type { Size } from './size.ts'

/**
 * What whole numbers lie between, both ends included. INT64 is 32 bits wide in the engine: what is shown to stay within
 * them needs no check in a run.
 */
export interface Range {
  readonly least: number
  readonly most: number
}

/** What the engine holds. */
export const HELD: Range = { least: -(2 ** 31), most: 2 ** 31 - 1 }
export const TRUTHS: Range = { least: 0, most: 1 }
export const UNKNOWN: Range = { least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY }

export function isHeld({ least, most }: Range): boolean {
  return least >= HELD.least && most <= HELD.most
}

/** What is left of a range once a run has refused what is not held. */
export function held({ least, most }: Range): Range {
  return {
    least: Math.min(HELD.most, Math.max(HELD.least, least)),
    most: Math.max(HELD.least, Math.min(HELD.most, most)),
  }
}

export function rangeOf(values: readonly number[]): Range {
  return values.reduce(({ least, most }, value) => ({ least: Math.min(least, value), most: Math.max(most, value) }), {
    least: values[0] ?? 0,
    most: values[0] ?? 0,
  })
}

/** Of numbers of one range or the other. */
export function either(...ranges: readonly Range[]): Range {
  return rangeOf(ranges.flatMap(({ least, most }) => [least, most]))
}

/** Of a size whose symbols are at most so large. */
export function boundsOf({ terms }: Size, most: (symbol: number) => number): Range {
  return terms
    .map(({ factor, atoms }) =>
      atoms
        .map((atom): Range => {
          if ('symbol' in atom) return { least: 0, most: most(atom.symbol) }
          const whole = boundsOf(atom.over, most)
          return { least: Math.floor(whole.least / atom.by), most: Math.floor(whole.most / atom.by) }
        })
        .reduce(multiplied, { least: factor, most: factor }),
    )
    .reduce(added, { least: 0, most: 0 })
}

function added(a: Range, b: Range): Range {
  return { least: a.least + b.least, most: a.most + b.most }
}

function negated({ least, most }: Range): Range {
  return { least: 0 - most, most: 0 - least }
}

function multiplied(a: Range, b: Range): Range {
  const times = (x: number, y: number): number => (x === 0 || y === 0 ? 0 : x * y)
  return rangeOf([a.least, a.most].flatMap((x) => [times(x, b.least), times(x, b.most)]))
}

export function hasZero({ least, most }: Range): boolean {
  return least <= 0 && most >= 0
}

/** What a step of two whole numbers gives, by its kind in a plan. */
export function combined(kind: string, a: Range, b: Range): Range {
  switch (kind) {
    case 'add':
      return added(a, b)
    case 'sub':
      return added(a, negated(b))
    case 'mul':
      return multiplied(a, b)
    case 'min':
      return { least: Math.min(a.least, b.least), most: Math.min(a.most, b.most) }
    case 'max':
      return { least: Math.max(a.least, b.least), most: Math.max(a.most, b.most) }
    case 'div':
      return quotients(a, b)
    case 'mod':
      return { least: Math.min(0, b.least + 1), most: Math.max(0, b.most - 1) }
    case 'fmod': {
      const most = Math.max(-b.least, b.most, 1) - 1
      return { least: a.least < 0 ? Math.max(a.least, -most) : 0, most: a.most > 0 ? Math.min(a.most, most) : 0 }
    }
    case 'pow':
      return powers(a, b)
    default:
      return UNKNOWN
  }
}

/** What a step of one whole number gives, by its kind in a plan. */
export function alone(kind: string, range: Range): Range {
  const { least, most } = range
  if (kind === 'neg') return negated(range)
  if (kind === 'abs') return { least: Math.max(0, least, -most), most: Math.max(-least, most) }
  return kind === 'sign' ? { least: -1, most: 1 } : UNKNOWN
}

/** What is left of numbers that are moved to the ends that they lie beyond. */
export function within(range: Range, min: number, max: number): Range {
  return combined('min', combined('max', range, { least: min, most: min }), { least: max, most: max })
}

/** Cut off towards 0. Those by 0 are none. */
function quotients(a: Range, b: Range): Range {
  const divisors = [b.least, b.most, -1, 1].filter((by) => by !== 0 && by >= b.least && by <= b.most)
  return rangeOf([a.least, a.most].flatMap((value) => divisors.map((by) => Math.trunc(value / by))))
}

function powers(a: Range, b: Range): Range {
  if (b.least < 0) return UNKNOWN
  const most = Math.max(1, Math.max(-a.least, a.most) ** b.most)
  return { least: a.least < 0 ? -most : 0, most }
}

/** Sums of so many numbers of a range. */
export function sums(each: Range, count: Range): Range {
  return multiplied(each, { least: Math.max(0, count.least), most: Math.max(0, count.most) })
}

/** Products of so many numbers of a range. */
export function products({ least, most }: Range, count: Range): Range {
  const largest = Math.max(1, Math.max(-least, most) ** Math.max(0, count.most))
  return { least: least < 0 ? -largest : 0, most: largest }
}
