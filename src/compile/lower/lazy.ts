import { equal, numberOf, ONE, type Size, ZERO } from '../size.ts'
import { binaryStep } from './arithmetic.ts'
import { broadcast } from './broadcast.ts'
import type { Builder } from './builder.ts'
import type { Constant, InBuffer, Lazy, Lowered, Places, Ramp, Value } from './values.ts'

/** A lazy value with a place for each of its elements. */
export function writtenOut(build: Builder, value: Lazy): Lowered {
  switch (value.kind) {
    case 'repeated':
      return build.step({ op: 'expand', in: [build.operand(value.of)], type: value.type, shape: value.shape })
    case 'ramp':
      return writtenRamp(build, value)
    case 'places':
      return writtenPlaces(build, value)
  }
}

/** The value as what is repeated in it: of a shape that broadcasts to its own. */
export function narrow(build: Builder, value: Value): Lowered {
  return value.kind === 'repeated' ? value.of : build.plain(value)
}

/** A value repeated to a shape that it broadcasts to. */
export function repeated(build: Builder, value: Lowered, shape: readonly Size[]): Value {
  if (value.shape.length === shape.length && shape.every((dim, axis) => equal(dim, value.shape[axis] ?? ONE)))
    return value
  const added = new Array<Size>(shape.length - value.shape.length).fill(ONE)
  const of = build.reshaped(value, [...added, ...value.shape])
  if (shape.every((dim, axis) => equal(dim, of.shape[axis] ?? ONE))) return of
  return { kind: 'repeated', of: placed(build, of), type: value.type, shape }
}

/** What may be read by steps as it is: a size gets its place in the image, or a step. */
function placed(build: Builder, value: Lowered): InBuffer | Constant {
  if (value.kind === 'buffer' || value.kind === 'constant') return value
  return build.step({ op: 'expand', in: [build.operand(value)], type: value.type, shape: value.shape })
}

/**
 * A result that is computed element by element, of values of which some are repeated: each different element is computed
 * once.
 */
export function elementwise<Values extends readonly Value[]>(
  build: Builder,
  values: readonly [...Values],
  compute: (operands: { readonly [Place in keyof Values]: Lowered }, shape: readonly Size[]) => Lowered,
): Value {
  const full = broadcast(build, ...values.map(({ shape }) => shape))
  const operands = values.map((value) => narrow(build, value)) as { readonly [Place in keyof Values]: Lowered }
  return repeated(build, compute(operands, broadcast(build, ...operands.map(({ shape }) => shape))), full)
}

/** Sums of ranges, one for each axis along which it grows. */
function writtenRamp(build: Builder, { start, steps, type, shape }: Ramp): Lowered {
  const ones = shape.map(() => ONE)
  const known = (value: Size): Lowered => ({ kind: 'sizes', values: [value], type, shape: ones })
  let sum: Lowered | undefined
  for (const [axis, step] of steps.entries()) {
    if (numberOf(step) === 0) continue
    const length = shape[axis] ?? ONE
    const first = sum === undefined && numberOf(step) !== undefined
    const range = build.step({
      op: 'range',
      in: [],
      type,
      shape: [length],
      with: { start: [build.dim(first ? start : ZERO)], step: numberOf(step) ?? 1 },
    })
    const along = build.reshaped(range, ones.with(axis, length))
    const scaled = numberOf(step) === undefined ? binaryStep(build, along, known(step), { kind: 'mul', type }) : along
    sum = first ? scaled : binaryStep(build, sum ?? known(start), scaled, { kind: 'add', type })
  }
  return build.plain(repeated(build, sum ?? known(start), shape))
}

function writtenPlaces(build: Builder, { parts, type, shape }: Places): Lowered {
  const axis = shape.length - 1
  const columns = parts.map((part) =>
    build.reshaped(build.plain(repeated(build, build.plain(part), shape.slice(0, axis))), [
      ...shape.slice(0, axis),
      ONE,
    ]),
  )
  return build.step({ op: 'concat', in: columns.map((column) => build.operand(column)), type, shape, with: { axis } })
}

/** The same elements with axes of one element more or fewer, without a step; undefined for another change of shape. */
export function reaxed(build: Builder, value: Value, shape: readonly Size[]): Value | undefined {
  if (value.kind !== 'ramp' && value.kind !== 'repeated') return undefined
  const isWide = (dim: Size): boolean => numberOf(dim) !== 1
  const from = value.shape.flatMap((dim, axis) => (isWide(dim) ? [axis] : []))
  const to = shape.filter(isWide)
  if (from.length !== to.length) return undefined
  if (to.some((dim, place) => !equal(dim, value.shape[from[place] ?? 0] ?? ONE))) return undefined
  const source = from[Symbol.iterator]()
  const axes = shape.map((dim) => (isWide(dim) ? source.next().value : undefined))
  const along = (sizes: readonly Size[], otherwise: Size): Size[] =>
    axes.map((axis) => (axis === undefined ? otherwise : (sizes[axis] ?? otherwise)))
  if (value.kind === 'ramp') return { ...value, steps: along(value.steps, ZERO), shape }
  return repeated(build, build.reshaped(value.of, along(value.of.shape, ONE)), shape)
}
