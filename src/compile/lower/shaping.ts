import { DataType, integersOf, makeTensor } from '../../onnx/data.ts'
import { attributeOf, intOf, intsOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { minus, numberOf, ONE, over, plus, product, type Size, size, times, ZERO } from '../size.ts'
import { broadcast } from './broadcast.ts'
import { axisAttribute, axisOf, constantOf } from './builder.ts'
import { narrow, reaxed, repeated } from './lazy.ts'
import { asRamp, stretched } from './ramp.ts'
import type { RuleContext, Rules } from './rule.ts'
import { sizesOf } from './sizes.ts'
import type { Lowered, Places, Value } from './values.ts'
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
