import { DataType, makeTensor } from '../../onnx/data.ts'
import { equal, isExact, minus, numberOf, ONE, plus, product, type Size, size, times, ZERO } from '../size.ts'
import { broadcast } from './broadcast.ts'
import { type Builder, constantOf } from './builder.ts'
import { repeated } from './lazy.ts'
import type { Lowered, Ramp, Value } from './values.ts'
import { valueType } from './values.ts'

/** A value as a ramp: a constant or sizes whose elements grow evenly along each axis, too. */
export function asRamp(build: Builder, value: Value): Ramp | undefined {
  if (value.kind === 'ramp') return value
  if (value.kind !== 'constant' && value.kind !== 'sizes') return undefined
  const values = build.sizes(value)
  const dims = value.shape.map(numberOf)
  if (values === undefined || values.length === 0 || dims.includes(undefined)) return undefined
  const start = values[0] ?? ZERO
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce<number>((count, dim) => count * (dim ?? 1), 1))
  const steps = dims.map((dim, axis) => ((dim ?? 1) > 1 ? minus(values[strides[axis] ?? 1] ?? ZERO, start) : ZERO))
  const even = values.every((found, index) => {
    const wanted = steps.reduce((sum, step, axis) => {
      const place = Math.floor(index / (strides[axis] ?? 1)) % (dims[axis] ?? 1)
      return plus(sum, times(step, size(place)))
    }, start)
    return equal(found, wanted)
  })
  return even ? { kind: 'ramp', start, steps, type: value.type, shape: value.shape } : undefined
}

/** Sums and differences of ramps, and products with one number, as far as they stay ramps. */
export function onRamps(build: Builder, left: Value, right: Value, kind: string): Ramp | undefined {
  if (left.kind !== 'ramp' && right.kind !== 'ramp') return undefined
  const [a, b] = [asRamp(build, left), asRamp(build, right)]
  if (a === undefined || b === undefined || valueType(a.type) !== 'i32') return undefined
  const shape = broadcast(build, a.shape, b.shape)
  const [x, y] = [stretched(a, shape), stretched(b, shape)]
  const result = onStretched(x, y, kind)
  return result !== undefined && [result.start, ...result.steps].every(isExact) ? result : undefined
}

function onStretched(x: Ramp, y: Ramp, kind: string): Ramp | undefined {
  if (kind === 'add') return joined(x, y, plus)
  if (kind === 'sub') return joined(x, y, minus)
  if (kind !== 'mul') return undefined
  if (isFlat(y)) return scaled(x, y.start)
  return isFlat(x) ? scaled(y, x.start) : undefined
}

function joined(left: Ramp, right: Ramp, combine: (left: Size, right: Size) => Size): Ramp {
  const steps = left.steps.map((step, axis) => combine(step, right.steps[axis] ?? ZERO))
  return { ...left, start: combine(left.start, right.start), steps }
}

function isFlat({ steps }: Ramp): boolean {
  return steps.every((step) => numberOf(step) === 0)
}

function scaled(ramp: Ramp, by: Size): Ramp {
  return { ...ramp, start: times(ramp.start, by), steps: ramp.steps.map((step) => times(step, by)) }
}

/** A ramp broadcast to a shape. */
export function stretched(ramp: Ramp, shape: readonly Size[]): Ramp {
  const before = shape.length - ramp.shape.length
  // An axis of one element does not grow.
  const steps = shape.map((_, axis) => {
    const own = axis - before
    return own < 0 || numberOf(ramp.shape[own] ?? ONE) === 1 ? ZERO : (ramp.steps[own] ?? ZERO)
  })
  return { ...ramp, steps, shape }
}

/**
 * Comparisons that hold for every element, as masks have them where a model hides no later tokens: a one, repeated.
 * Undefined where that is not known.
 */
export function alwaysTrue(build: Builder, left: Value, right: Value, kind: string): Value | undefined {
  if (left.kind !== 'ramp' && right.kind !== 'ramp') return undefined
  const least = { 'greater-equal': 0, greater: 1, 'less-equal': 0, less: 1 }[kind]
  const difference = kind.startsWith('greater')
    ? onRamps(build, left, right, 'sub')
    : onRamps(build, right, left, 'sub')
  if (least === undefined || difference === undefined) return undefined
  if (![minus(difference.start, size(least)), ...difference.steps].every(isNeverNegative)) return undefined
  const ones = difference.shape.map(() => 1)
  return repeated(build, constantOf(makeTensor('', DataType.BOOL, ones, Uint8Array.of(1))), difference.shape)
}

/** Sizes are never negative: neither are sums of them. */
function isNeverNegative({ terms }: Size): boolean {
  return terms.every(({ factor }) => factor >= 0)
}

/**
 * What is read of axes by indices that count through all of them in order: another view of the value. Undefined for
 * other indices.
 * @param axes the first ones of the value, as one
 */
export function readThrough(build: Builder, value: Lowered, index: Ramp, axes: number): Value | undefined {
  const rest = value.shape.slice(axes)
  let count = ONE
  for (let axis = index.shape.length - 1; axis >= 0; axis--) {
    const step = index.steps[axis] ?? ZERO
    if (numberOf(step) === 0) continue
    if (!equal(step, count)) return undefined
    count = times(count, index.shape[axis] ?? ONE)
  }
  if (numberOf(index.start) !== 0 || !equal(count, product(value.shape.slice(0, axes)))) return undefined
  const own = index.shape.map((dim, axis) => (numberOf(index.steps[axis] ?? ZERO) === 0 ? ONE : dim))
  return repeated(build, build.reshaped(value, [...own, ...rest]), [...index.shape, ...rest])
}

/** Indices of several axes as indices of these axes as one. */
export function flattened(parts: readonly Ramp[], dims: readonly Size[]): Ramp | undefined {
  const [first, ...others] = parts.map((part, axis) => scaled(part, product(dims.slice(axis + 1, parts.length))))
  return others.reduce<Ramp | undefined>((sum, part) => sum && joined(sum, part, plus), first)
}
