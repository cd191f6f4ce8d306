import type { Dim } from './plan.ts'

/** Largest size of an axis, and how many elements a tensor may have: addresses stay far inside 32 bits. */
const MOST_OF_AXIS = 2 ** 24
const MOST_ELEMENTS = 2 ** 26
/** Deepest expression: exporters write sums of a few products. */
const MOST_DEPTH = 24

/** Whether it is an expression over `symbols` symbols. */
export function isDim(value: unknown, symbols: number, depth = 0): value is Dim {
  if (typeof value === 'number') return Number.isSafeInteger(value) && Math.abs(value) <= MOST_ELEMENTS
  if (!Array.isArray(value) || depth > MOST_DEPTH) return false
  const [operator, left, right] = value as unknown[]
  if (operator === 's')
    return value.length === 2 && Number.isInteger(left) && Number(left) >= 0 && Number(left) < symbols
  if (value.length !== 3) return false
  if (operator === '/') {
    return isDim(left, symbols, depth + 1) && typeof right === 'number' && Number.isInteger(right) && right > 0
  }
  if (operator !== '+' && operator !== '-' && operator !== '*') return false
  return isDim(left, symbols, depth + 1) && isDim(right, symbols, depth + 1)
}

/** Whether it is a symbol by itself. */
export function isBare(dim: Dim): dim is readonly ['s', number] {
  return typeof dim !== 'number' && dim[0] === 's'
}

/** An expression's value; not an integer where it leaves what doubles count exactly. */
export function evaluate(dim: Dim, symbols: readonly number[]): number {
  if (typeof dim === 'number') return dim
  switch (dim[0]) {
    case 's':
      return symbols[dim[1]] ?? Number.NaN
    case '+':
      return evaluate(dim[1], symbols) + evaluate(dim[2], symbols)
    case '-':
      return evaluate(dim[1], symbols) - evaluate(dim[2], symbols)
    case '*':
      return evaluate(dim[1], symbols) * evaluate(dim[2], symbols)
    case '/':
      return Math.floor(evaluate(dim[1], symbols) / dim[2])
  }
}

/** Elements of a shape, or undefined where an axis or their product is beyond what the engine takes. */
export function countOf(shape: readonly number[]): number | undefined {
  let count = 1
  let bound = 1
  for (const size of shape) {
    if (!Number.isInteger(size) || size < 0 || size > MOST_OF_AXIS) return undefined
    count *= size
    // An empty axis does not excuse the others: strides are computed from them.
    bound *= Math.max(1, size)
    if (bound > MOST_ELEMENTS) return undefined
  }
  return count
}
