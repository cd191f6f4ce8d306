import type { Dim } from '../engine/verge/plan.ts'

/**
 * A size as a sum of products of symbols, in a normal form: equal sizes have equal keys, whatever way they were computed.
 * Quotients that do not divide evenly are symbols of their own.
 */
export interface Size {
  readonly key: string
  readonly terms: readonly Term[]
}

interface Term {
  readonly factor: number
  /** Atoms in the order of their keys, repeated for powers. */
  readonly atoms: readonly Atom[]
}

type Atom =
  | { readonly key: string; readonly symbol: number }
  | { readonly key: string; readonly over: Size; readonly by: number }

export const ZERO = sum([])
export const ONE = size(1)

/** A number as a size. */
export function size(value: number): Size {
  return sum([{ factor: value, atoms: [] }])
}

export function symbol(index: number): Size {
  return sum([{ factor: 1, atoms: [{ key: `s${index}`, symbol: index }] }])
}

/** The number that a size is, where it has no symbols. */
export function numberOf({ terms }: Size): number | undefined {
  const [first, ...others] = terms
  if (first === undefined) return 0
  return others.length === 0 && first.atoms.length === 0 ? first.factor : undefined
}

/** Whether its factors are numbers that doubles count exactly. */
export function isExact({ terms }: Size): boolean {
  return terms.every(({ factor }) => Number.isSafeInteger(factor))
}

export function equal(left: Size, right: Size): boolean {
  return left.key === right.key
}

export function plus(left: Size, right: Size): Size {
  return sum([...left.terms, ...right.terms])
}

export function minus(left: Size, right: Size): Size {
  return plus(left, times(right, size(-1)))
}

export function times(left: Size, right: Size): Size {
  return sum(
    left.terms.flatMap((a) =>
      right.terms.map((b) => ({
        factor: a.factor * b.factor,
        atoms: [...a.atoms, ...b.atoms].sort((x, y) => (x.key < y.key ? -1 : 1)),
      })),
    ),
  )
}

export function product(sizes: readonly Size[]): Size {
  return sizes.reduce(times, ONE)
}

/** The quotient, rounded down, of sizes that are not negative. Undefined where the divisor is no positive number and does not cancel. */
export function over(left: Size, right: Size): Size | undefined {
  const exact = cancelled(left, right)
  if (exact !== undefined) return exact
  const by = numberOf(right)
  if (by === undefined || by <= 0) return undefined
  const value = numberOf(left)
  if (value !== undefined) return size(Math.floor(value / by))
  return sum([{ factor: 1, atoms: [{ key: `(${left.key})/${by}`, over: left, by }] }])
}

/** Division without a rest, by a single product that is contained in each term. */
function cancelled(left: Size, right: Size): Size | undefined {
  const [divisor, ...others] = right.terms
  if (divisor === undefined || others.length > 0) return undefined
  const terms: Term[] = []
  for (const { factor, atoms } of left.terms) {
    if (factor % divisor.factor !== 0) return undefined
    const rest = [...atoms]
    for (const { key } of divisor.atoms) {
      const place = rest.findIndex((atom) => atom.key === key)
      if (place === -1) return undefined
      rest.splice(place, 1)
    }
    terms.push({ factor: factor / divisor.factor, atoms: rest })
  }
  return sum(terms)
}

/** Largest number of a size in a plan, as its reader has it. */
const MOST_IN_PLAN = 2 ** 26

/** Whether a plan can hold it. */
export function fitsPlan({ terms }: Size): boolean {
  return terms.every(
    ({ factor, atoms }) =>
      Math.abs(factor) <= MOST_IN_PLAN && atoms.every((atom) => 'symbol' in atom || fitsPlan(atom.over)),
  )
}

/** As it stands in a plan. */
export function toDim({ terms }: Size): Dim {
  const [first, ...others] = terms.map(termDim)
  if (first === undefined) return 0
  return others.reduce((left, right): Dim => ['+', left, right], first)
}

function termDim({ factor, atoms }: Term): Dim {
  const dims = atoms.map((atom): Dim => ('symbol' in atom ? ['s', atom.symbol] : ['/', toDim(atom.over), atom.by]))
  const [first, ...others] = factor === 1 && dims.length > 0 ? dims : [factor, ...dims]
  return others.reduce((left, right): Dim => ['*', left, right], first as Dim)
}

function sum(terms: readonly Term[]): Size {
  const byKey = new Map<string, Term>()
  for (const { factor, atoms } of terms) {
    const key = atoms.map((atom) => atom.key).join('*')
    byKey.set(key, { factor: (byKey.get(key)?.factor ?? 0) + factor, atoms })
  }
  const kept = [...byKey].filter(([, { factor }]) => factor !== 0).sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    key: kept.map(([key, { factor }]) => (key === '' ? `${factor}` : `${factor}*${key}`)).join('+'),
    terms: kept.map(([, term]) => term),
  }
}
