import { DataType, integersOf, makeTensor } from '../../onnx/data.ts'
import { attributeOf, intOf, intsOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { equal, minus, numberOf, ONE, over, plus, product, type Size, size, times, toDim, ZERO } from '../size.ts'
import { broadcast } from './broadcast.ts'
import { axisAttribute, axisOf, constantOf } from './builder.ts'
import { narrow, reaxed, repeated } from './lazy.ts'
import { asRamp, stretched } from './ramp.ts'
import type { RuleContext, Rules } from './rule.ts'
import type { Lowered, Places, Sizes, Value } from './values.ts'
import { valueType } from './values.ts'

/** Operators that move elements, or only name them in another way. */
export const SHAPING: Rules = {
  Identity: ({ lazy }) => [lazy(0)],
  Dropout: ({ node, at, maybe, build }) => {
    const training = maybe(2)
    const off = training === undefined || (training.kind === 'constant' && integersOf(training.tensor)[0] === 0)
    if (!off || node.output.slice(1).some((name) => name !== '')) throw build.decline('it drops elements at random')
    return [at(0)]
  },
  Shape: ({ node, lazy }) => {
    const { shape } = lazy(0)
    const end = intOf(node, 'end', shape.length)
    return [sizesOf(shape.slice(intOf(node, 'start', 0), end))]
  },
  Size: ({ lazy }) => [{ kind: 'sizes', values: [product(lazy(0).shape)], type: DataType.INT64, shape: [] }],
  Reshape: (context) => [viewed(context, reshapedTo(context))],
  Flatten: ({ node, at, build }) => {
    const value = at(0)
    const axis = axisAttribute(node, 1, value.shape.length)
    return [build.reshaped(value, [product(value.shape.slice(0, axis)), product(value.shape.slice(axis))])]
  },
  Squeeze: (context) => {
    const { node, lazy, maybe, build } = context
    const value = lazy(0)
    const given = intsOf(node, 'axes') ?? build.known(maybe(1))
    if (given === undefined && maybe(1) !== undefined) throw build.decline('its axes are data')
    const axes = given?.map((axis) => axisOf(axis, value.shape.length))
    return [
      viewed(
        context,
        value.shape.filter((dim, axis) => !(axes ? axes.includes(axis) : numberOf(dim) === 1)),
      ),
    ]
  },
  Unsqueeze: (context) => {
    const { node, lazy, maybe, build } = context
    const value = lazy(0)
    const axes = intsOf(node, 'axes') ?? build.known(maybe(1))
    if (axes === undefined) throw build.decline('its axes are not constant')
    const rank = value.shape.length + axes.length
    const added = new Set(axes.map((axis) => axisOf(axis, rank)))
    const rest = value.shape[Symbol.iterator]()
    return [
      viewed(
        context,
        Array.from({ length: rank }, (_, axis) => (added.has(axis) ? ONE : (rest.next().value ?? ONE))),
      ),
    ]
  },
  Transpose: ({ node, lazy, build }) => {
    const value = lazy(0)
    const perm = intsOf(node, 'perm') ?? value.shape.map((_, axis) => value.shape.length - 1 - axis)
    const shape = perm.map((axis) => value.shape[axis] ?? ONE)
    if (value.kind === 'ramp') return [{ ...value, steps: perm.map((axis) => value.steps[axis] ?? ZERO), shape }]
    return [repeated(build, turned(build, narrow(build, value), perm), shape)]
  },
  Concat: ({ node, build, at, lazy }) => {
    const places = placesOf(build, node, lazy)
    if (places !== undefined) return [places]
    const values = node.input.map((_, index) => at(index))
    const [first] = values
    if (first === undefined) throw build.decline('it has no inputs')
    const axis = axisAttribute(node, 0, first.shape.length)
    const listed = values.map((value) => build.sizes(value))
    if (first.shape.length === 1 && listed.every((sizes) => sizes !== undefined)) {
      return [
        sizesOf(
          listed.flatMap((sizes) => sizes ?? []),
          first.type,
        ),
      ]
    }
    const shape = first.shape.map((dim, place) =>
      place === axis ? values.map((value) => value.shape[axis] ?? ONE).reduce(plus) : dim,
    )
    return [
      build.step({
        op: 'concat',
        in: values.map((value) => build.operand(value)),
        type: first.type,
        shape,
        with: { axis },
      }),
    ]
  },
  Slice: (context) => [sliced(context)],
  Split: (context) => splits(context),
  Expand: ({ at, lazy, build }) => {
    const value = lazy(0)
    const target = build.sizes(at(1))
    if (target === undefined) throw build.decline('its shape is data')
    const shape = broadcast(build, value.shape, target)
    return [value.kind === 'ramp' ? stretched(value, shape) : repeated(build, narrow(build, value), shape)]
  },
  Tile: (context) => [tiled(context)],
  ConstantOfShape: ({ node, at, build }) => {
    const shape = build.sizes(at(0))
    if (shape === undefined) throw build.decline('its shape is data')
    const tensor = attributeOf(node, 'value')?.t
    const type = tensor?.dataType ?? DataType.FLOAT
    if (valueType(type) === 'i32') {
      const count = numberOf(product(shape))
      const value = size(tensor ? (integersOf(tensor)[0] ?? 0) : 0)
      if (count !== undefined && shape.length <= 1 && count <= 64) {
        return [{ kind: 'sizes', values: new Array<Size>(count).fill(value), type, shape }]
      }
      return [{ kind: 'ramp', start: value, steps: shape.map(() => ZERO), type, shape }]
    }
    if (valueType(type) === undefined) throw build.decline(`it makes a tensor of type ${DataType[type] ?? type}`)
    const one = constantOf(tensor ?? makeTensor('', type, [], Float32Array.of(0)))
    return [repeated(build, build.reshaped(one, []), shape)]
  },
  Range: ({ at, build }) => {
    const [start, limit, delta] = [0, 1, 2].map((index) => build.sizes(at(index))?.[0])
    const step = delta && numberOf(delta)
    if (start === undefined || limit === undefined || step !== 1)
      throw build.decline('its ends are data, or its step is not 1')
    const count = minus(limit, start)
    const numbers = numberOf(count)
    if (numbers !== undefined && numbers <= 64) {
      return [sizesOf(Array.from({ length: numbers }, (_, index) => plus(start, size(index))))]
    }
    return [{ kind: 'ramp', start, steps: [ONE], type: DataType.INT64, shape: [count] }]
  },
}

function sizesOf(values: readonly Size[], type: DataType = DataType.INT64): Sizes {
  return { kind: 'sizes', values, type, shape: [size(values.length)] }
}

function reshapedTo({ node, lazy, maybe, build }: RuleContext): Size[] {
  const value = lazy(0)
  const target = build.sizes(maybe(1)) ?? intsOf(node, 'shape')?.map(size)
  if (target === undefined) throw build.decline('its shape is data')
  const keep = intOf(node, 'allowzero', 0) === 0
  const dims = target.map((dim, axis) => (keep && numberOf(dim) === 0 ? (value.shape[axis] ?? ZERO) : dim))
  const open = dims.findIndex((dim) => numberOf(dim) === -1)
  if (open === -1) return dims
  const rest = over(product(value.shape), product(dims.filter((_, axis) => axis !== open)))
  if (rest === undefined) throw build.decline('the size of its open dimension does not follow from its input')
  return dims.map((dim, axis) => (axis === open ? rest : dim))
}

const FARTHEST = 2 ** 31 - 1

interface Cut {
  readonly axis: number
  readonly start: Size
  readonly length: Size
  readonly step: number
}

function sliced(context: RuleContext): Lowered {
  const { node, at, maybe, build } = context
  const value = at(0)
  const list = (name: string, index: number): readonly Size[] | undefined =>
    intsOf(node, name)?.map(size) ?? build.sizes(maybe(index))
  const starts = list('starts', 1)
  const ends = list('ends', 2)
  if (starts === undefined || ends === undefined) throw build.decline('its ends are data')
  const axes =
    list('axes', 3)?.map((axis) => axisOf(numberOf(axis) ?? 0, value.shape.length)) ?? starts.map((_, axis) => axis)
  const steps = list('steps', 4)?.map(numberOf) ?? starts.map(() => 1)
  const cuts = starts.map((start, index): Cut => {
    const axis = axes[index] ?? 0
    return cutOf(context, {
      dim: value.shape[axis] ?? ONE,
      axis,
      start,
      end: ends[index] ?? ZERO,
      step: steps[index] ?? 0,
    })
  })
  const whole = build.sizes(value)
  if (value.kind === 'sizes' && whole !== undefined && value.shape.length === 1) {
    const [cut] = cuts
    const [start, length] = [numberOf(cut?.start ?? ZERO), numberOf(cut?.length ?? ZERO)]
    if (cut === undefined || start === undefined || length === undefined) throw build.decline('its ends are data')
    return sizesOf(
      Array.from({ length }, (_, index) => whole[start + index * cut.step] ?? ZERO),
      value.type,
    )
  }
  return cut(build, value, cuts)
}

function cutOf(
  { build }: RuleContext,
  { dim, axis, start, end, step }: { dim: Size; axis: number; start: Size; end: Size; step: number },
): Cut {
  if (step === -1 && numberOf(start) === -1 && (numberOf(end) ?? 0) <= -FARTHEST) {
    return { axis, start: minus(dim, ONE), length: dim, step }
  }
  if (step < 1) throw build.decline('it reads backwards, or its steps are data')
  const from = placed(start, dim)
  const to = placed(end, dim)
  if (from === undefined || to === undefined)
    throw build.decline('where it begins and ends depends on sizes that are not known')
  const length = over(plus(minus(to, from), size(step - 1)), size(step))
  if (length === undefined) throw build.decline('its length does not follow from its input')
  const number = numberOf(length)
  return { axis, start: from, length: number !== undefined && number < 0 ? ZERO : length, step }
}

/** A position, counted from the start; clamped where both are numbers, and taken to lie inside where it is a size. */
function placed(position: Size, dim: Size): Size | undefined {
  const number = numberOf(position)
  const most = numberOf(dim)
  if (number === undefined) return position
  if (number >= FARTHEST) return dim
  if (most !== undefined) return size(Math.max(0, Math.min(most, number < 0 ? number + most : number)))
  if (number < 0) return number <= -FARTHEST ? ZERO : plus(dim, size(number))
  // Beyond the end of a shorter tensor the operator would stop at its end.
  return number <= 1 ? position : undefined
}

export function cut(build: RuleContext['build'], value: Lowered, cuts: readonly Cut[]): Lowered {
  const shape = [...value.shape]
  const starts: Size[] = shape.map(() => ZERO)
  const steps = shape.map(() => 1)
  for (const { axis, start, length, step } of cuts) {
    shape[axis] = length
    starts[axis] = start
    steps[axis] = step
  }
  const same = shape.every((dim, axis) => equal(dim, value.shape[axis] ?? ZERO)) && steps.every((step) => step === 1)
  if (same) return value
  return build.step({
    op: 'slice',
    in: [build.operand(value)],
    type: value.type,
    shape,
    with: { starts: starts.map(toDim), steps },
  })
}

function splits({ node, at, maybe, build }: RuleContext): Lowered[] {
  const value = at(0)
  const axis = axisAttribute(node, 0, value.shape.length)
  const dim = value.shape[axis] ?? ONE
  const count = intOf(node, 'num_outputs', node.output.length)
  const given = intsOf(node, 'split')?.map(size) ?? build.sizes(maybe(1))
  if (given === undefined && maybe(1) !== undefined) throw build.decline('its parts are data')
  const part = over(dim, size(count))
  const lengths =
    given ?? (part && equal(times(part, size(count)), dim) ? new Array<Size>(count).fill(part) : undefined)
  if (lengths === undefined) throw build.decline('its parts are not of one known size')
  let start = ZERO
  return lengths.map((length) => {
    const result = cut(build, value, [{ axis, start, length, step: 1 }])
    start = plus(start, length)
    return result
  })
}

/** Each axis that is repeated gets an axis before it, along which the value is repeated. */
function tiled({ lazy, at, build }: RuleContext): Value {
  const whole = lazy(0)
  const repeats = build.sizes(at(1))
  if (repeats?.length !== whole.shape.length) throw build.decline('how often it repeats is data')
  const shape = whole.shape.map((dim, axis) => times(dim, repeats[axis] ?? ONE))
  // Along an axis of one element, repeating is broadcasting.
  if (repeats.every((count, axis) => numberOf(count) === 1 || numberOf(whole.shape[axis] ?? ZERO) === 1))
    return repeated(build, narrow(build, whole), shape)
  const value = build.plain(whole)
  const apart = build.reshaped(
    value,
    value.shape.flatMap((dim) => [ONE, dim]),
  )
  const wide = value.shape.flatMap((dim, axis) => [repeats[axis] ?? ONE, dim])
  return build.reshaped(build.plain(repeated(build, apart, wide)), shape)
}

/** The same elements by another shape: those of lazy values stay without a place where only axes of one element change. */
function viewed({ lazy, build }: RuleContext, shape: readonly Size[]): Value {
  const value = lazy(0)
  return reaxed(build, value, shape) ?? build.reshaped(build.plain(value), shape)
}

function turned(build: RuleContext['build'], value: Lowered, perm: readonly number[]): Lowered {
  const shape = perm.map((axis) => value.shape[axis] ?? ONE)
  // Nothing moves where only axes of one element change places.
  const order = perm.filter((axis) => numberOf(value.shape[axis] ?? ONE) !== 1)
  if (order.every((axis, place) => place === 0 || axis > (order[place - 1] ?? 0))) return build.reshaped(value, shape)
  return build.step({ op: 'transpose', in: [build.operand(value)], type: value.type, shape, with: { perm } })
}

/** Indices of several axes that are put side by side. */
function placesOf(build: RuleContext['build'], node: NodeProto, lazy: RuleContext['lazy']): Places | undefined {
  const values = node.input.map((_, index) => lazy(index))
  const [first] = values
  const last = (first?.shape.length ?? 0) - 1
  if (first === undefined || last < 1 || axisAttribute(node, 0, last + 1) !== last) return undefined
  if (!values.some(({ kind }) => kind === 'ramp')) return undefined
  if (values.some(({ shape }) => numberOf(shape[last] ?? ZERO) !== 1)) return undefined
  const shape = first.shape.slice(0, last)
  return {
    kind: 'places',
    parts: values.map((value) => {
      const ramp = asRamp(build, value)
      if (ramp === undefined) return build.reshaped(build.plain(value), shape)
      return { ...ramp, steps: ramp.steps.slice(0, last), shape }
    }),
    type: first.type,
    shape: [...shape, size(values.length)],
  }
}
