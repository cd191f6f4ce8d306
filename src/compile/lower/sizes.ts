import { DataType, integersOf } from '../../onnx/data.ts'
import { hasZero } from '../range.ts'
import { equal, isExact, minus, numberOf, ONE, over, plus, product, type Size, size, times, ZERO } from '../size.ts'
import { broadcast } from './broadcast.ts'
import type { Builder } from './builder.ts'
import { narrow } from './lazy.ts'
import { type Sizes, type Value, valueType } from './values.ts'

/** A list of sizes. */
export function sizesOf(values: readonly Size[], type: DataType = DataType.INT64): Sizes {
  return { kind: 'sizes', values, type, shape: [size(values.length)] }
}

/** Sizes that are chosen by what is known of other sizes: exporters look for -1 in shapes. */
export function chosen(build: Builder, condition: Value, yes: Value, no: Value): Size[] | undefined {
  if (![condition, yes, no].some(({ kind }) => kind === 'sizes')) return undefined
  const [left, right] = [build.sizes(yes), build.sizes(no)]
  const flags = flagsOf(condition)
  if (left === undefined || right === undefined || flags === undefined) return undefined
  const count = Math.max(flags.length, left.length, right.length)
  return Array.from({ length: count }, (_, index) => {
    const at = (values: readonly Size[]): Size => values[values.length === 1 ? 0 : index] ?? ZERO
    return numberOf(at(flags)) === 0 ? at(right) : at(left)
  })
}

function flagsOf(condition: Value): readonly Size[] | undefined {
  if (condition.kind === 'sizes') return condition.values
  if (condition.kind !== 'constant' || valueType(condition.type) !== 'u8') return undefined
  return integersOf(condition.tensor).map(size)
}

/** Whether all elements are known to be true. */
export function isTrue(build: Builder, value: Value): boolean {
  if (value.kind !== 'repeated' && value.kind !== 'constant') return false
  return flagsOf(narrow(build, value))?.every((flag) => numberOf(flag) === 1) ?? false
}

/** Arithmetic with sizes, as far as it stays a size. */
export function onSizes(build: Builder, left: Value, right: Value, kind: string, type: DataType): Value | undefined {
  if (left.kind !== 'sizes' && right.kind !== 'sizes') return undefined
  const [a, b] = [build.sizes(left), build.sizes(right)]
  if (a === undefined || b === undefined) return undefined
  const shape = broadcast(build, left.shape, right.shape)
  const count = Math.max(a.length, b.length)
  if (numberOf(product(shape)) !== count) return undefined
  const values = Array.from({ length: count }, (_, index): Size | undefined => {
    const [x, y] = [a[a.length === 1 ? 0 : index] as Size, b[b.length === 1 ? 0 : index] as Size]
    switch (kind) {
      case 'add':
        return plus(x, y)
      case 'sub':
        return minus(x, y)
      case 'mul':
        return times(x, y)
      case 'div':
        // Quotients of sizes are rounded down, and those of ONNX cut off.
        return build.ranges.ofSize(x).least >= 0 ? over(x, y) : undefined
      case 'equal':
        return sameSize(build, x, y)
      default:
        return undefined
    }
  })
  if (values.some((value) => value === undefined || !isExact(value))) return undefined
  return { kind: 'sizes', values: values as Size[], type, shape }
}

/** Whether two sizes are the same, as 1 or 0, where that is known. */
function sameSize(build: Builder, left: Size, right: Size): Size | undefined {
  if (equal(left, right)) return ONE
  return hasZero(build.ranges.ofSize(minus(left, right))) ? undefined : ZERO
}
