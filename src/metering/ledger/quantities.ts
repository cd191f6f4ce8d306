/**
 * What is counted, in whole numbers, so that sums are exact and what is given back is what was taken: requests of a rate,
 * and requests, tokens, thousandths of a cost unit and thousand millionths of a dollar of budgets.
 */
export const KINDS = ['rate', 'requests', 'tokens', 'milliUnits', 'nanoUsd'] as const
export type Kind = (typeof KINDS)[number]

/** So much of each kind; what is left out is none. */
export type Quantities = Readonly<Partial<Record<Kind, number>>>

export const NOTHING: Quantities = Object.freeze({})

/** Of both together, without kinds of which there is none. */
export function sumOf(a: Quantities, b: Quantities): Quantities {
  return eachKind((kind) => (a[kind] ?? 0) + (b[kind] ?? 0))
}

/** Of each kind the smaller quantity. */
export function leastOf(a: Quantities, b: Quantities): Quantities {
  return eachKind((kind) => Math.min(a[kind] ?? 0, b[kind] ?? 0))
}

export function isNothing(quantities: Quantities): boolean {
  return KINDS.every((kind) => (quantities[kind] ?? 0) === 0)
}

/** One quantity of each kind, without kinds of which there is none. */
export function eachKind(quantity: (kind: Kind) => number): Quantities {
  const found: Partial<Record<Kind, number>> = {}
  for (const kind of KINDS) {
    const value = quantity(kind)
    if (value !== 0) found[kind] = value
  }
  return found
}
