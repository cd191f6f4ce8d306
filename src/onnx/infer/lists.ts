import { intsOf } from '../make.ts'
import { at, hasInput, type RuleContext } from './rule.ts'
import { type Dim, numberOf, numbersOf, sizeOf, type ValueType } from './types.ts'

/** A list that was an attribute in older operator sets and is an input in newer ones; 'unknown' if only a run tells. */
export function listOf(context: RuleContext, attribute: string, index: number): number[] | undefined | 'unknown' {
  const given = intsOf(context.node, attribute)
  if (given !== undefined) return given
  if (!hasInput(context, index)) return undefined
  return numbersOf(at(context, index)) ?? 'unknown'
}

/** How many elements a one-dimensional input has. */
export function lengthOf(type: ValueType): number | undefined {
  const length = type.shape?.length === 1 ? type.shape[0] : undefined
  return typeof length === 'number' ? length : undefined
}

/** The product of dimensions, where it is a number or one of them alone. */
export function productOf(dims: readonly Dim[]): Dim {
  const others = dims.filter((dim) => dim !== 1)
  return others.length === 1 ? (others[0] ?? null) : sizeOf(others)
}

/** The only number of an input that is an axis, a count or a depth. */
export function countAt(context: RuleContext, index: number): number | null {
  return numberOf(at(context, index)) ?? null
}
