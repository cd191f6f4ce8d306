import { DataType } from '../../onnx/data.ts'
import { attributeOf, floatOf, intOf, intsOf } from '../../onnx/make.ts'
import { held, products, type Range, sums } from '../range.ts'
import { equal, ONE, product, type Size, size } from '../size.ts'
import { broadcast } from './broadcast.ts'
import { axisAttribute, axisOf } from './builder.ts'
import { narrow, repeated } from './lazy.ts'
import type { WholeResult } from './ranges.ts'
import type { RuleContext, Rules } from './rule.ts'
import type { Lowered, Value } from './values.ts'
import { valueType } from './values.ts'

/** The compiler's own node: the layer normalization of a sum of two tensors, and the sum where something else reads it. */
export const FUSED_NORM: Rules = { SkipNorm: (context) => layerNorm(context, 1) }

/** The layer norm of the last axis of floats, without a factor and a summand, by the node's epsilon. */
export function plainNorm({ node, build }: RuleContext, rows: Lowered): Lowered {
  return build.step({
    op: 'layer-norm',
    in: [build.operand(rows), null, null, null],
    type: rows.type,
    shape: rows.shape,
    with: { epsilon: floatOf(node, 'epsilon', 1e-5) },
  })
}

/** Operators that look along axes: norms, softmax, sums. */
export const NORM: Rules = {
  LayerNormalization: (context) => layerNorm(context, 0),
  RMSNormalization: ({ node, at, build }) => {
    const value = at(0)
    if (axisAttribute(node, -1, value.shape.length) !== value.shape.length - 1)
      throw build.decline('it normalizes more than the last axis')
    return [
      build.step({
        op: 'rms-norm',
        in: [build.operand(value), null, build.operand(at(1))],
        type: value.type,
        shape: value.shape,
        with: { epsilon: floatOf(node, 'epsilon', 1e-5) },
      }),
    ]
  },
  BatchNormalization: (context) => [batchNorm(context)],
  Softmax: (context) => [softmax(context, 'softmax')],
  LogSoftmax: (context) => [softmax(context, 'log-softmax')],
  ArgMax: (context) => [argument(context, 'max')],
  ArgMin: (context) => [argument(context, 'min')],
  ReduceL1: reduced('l1'),
  CumSum: ({ node, at, build }) => {
    const value = at(0)
    const axis = build.known(at(1))?.[0]
    if (axis === undefined || valueType(value.type) !== 'i32')
      throw build.decline('its axis is data, or it adds no whole numbers')
    if (intOf(node, 'reverse', 0) !== 0 || intOf(node, 'exclusive', 0) !== 0)
      throw build.decline('it goes backwards, or leaves out its end')
    return [
      build.step({
        op: 'cumulative-sum',
        in: [build.operand(value)],
        type: value.type,
        shape: value.shape,
        with: { axis: axisOf(axis, value.shape.length) },
        range: running(build, value, axisOf(axis, value.shape.length)),
        wraps: true,
      }),
    ]
  },
  ReduceSum: reduced('sum'),
  ReduceMean: reduced('mean'),
  ReduceMax: reduced('max'),
  ReduceMin: reduced('min'),
  ReduceProd: reduced('prod'),
  ReduceL2: reduced('l2'),
  ReduceSumSquare: reduced('sum-square'),
}

/** @param skips tensors that are added to the input first */
function layerNorm({ node, at, lazy, maybe, build }: RuleContext, skips: 0 | 1): Value[] {
  const [whole, skipped] = [lazy(0), skips === 1 ? lazy(1) : undefined]
  const shape = skipped === undefined ? whole.shape : broadcast(build, whole.shape, skipped.shape)
  const rank = whole.shape.length
  if (axisAttribute(node, -1, rank) !== rank - 1) throw build.decline('it normalizes more than the last axis')
  if (skips === 0 && node.output.slice(1).some((name) => name !== ''))
    throw build.decline('it gives means and deviations too')
  // What is repeated along the axis that is normalized has to be written out.
  const narrowed = [whole, ...(skipped ? [skipped] : [])].map((value) => narrow(build, value))
  const isWide = narrowed.some((value) => equal(value.shape.at(-1) ?? ONE, shape.at(-1) ?? ONE))
  const [value = at(0), other] = isWide ? narrowed : [at(0), ...(skipped ? [at(1)] : [])]
  const fits = other?.shape.length === rank && other.shape.every((dim, axis) => equal(dim, value.shape[axis] ?? ONE))
  const input = other === undefined || fits ? value : added(build, value, other)
  const [scale, bias] = [maybe(1 + skips), maybe(2 + skips)]
  const fields = {
    op: 'layer-norm',
    in: [input, fits ? other : undefined, scale, bias].map((item) => (item === undefined ? null : build.operand(item))),
    type: input.type,
    shape: input.shape,
    with: { epsilon: attributeOf(node, 'epsilon') ? floatOf(node, 'epsilon', 0) : 1e-5 },
  }
  const [result, sum] = fits && node.output.length > 1 ? build.twofold(fields) : [build.step(fields), input]
  return [result, sum].map((item) => repeated(build, item, shape))
}

/** One that no convolution precedes: a factor and a summand for each channel. */
function batchNorm({ node, at, build }: RuleContext): Lowered {
  const value = at(0)
  const parts = [1, 2, 3, 4].map((index) => at(index))
  if (node.output.slice(1).some((name) => name !== '') || intOf(node, 'training_mode', 0) !== 0)
    throw build.decline('it learns while it runs')
  const [scale, shift, mean, variance] = parts.map((part) =>
    part.kind === 'constant' ? build.floatsOf(part) : undefined,
  )
  if (scale === undefined || shift === undefined || mean === undefined || variance === undefined)
    throw build.decline('its statistics are data')
  const epsilon = floatOf(node, 'epsilon', 1e-5)
  const factors = scale.map((factor, channel) => factor / Math.sqrt((variance[channel] ?? 0) + epsilon))
  const summands = shift.map((summand, channel) => summand - (mean[channel] ?? 0) * (factors[channel] ?? 0))
  const shape = [size(factors.length), ...value.shape.slice(2).map(() => ONE)]
  return [['mul', factors] as const, ['add', summands] as const].reduce<Lowered>(
    (result, [kind, numbers]) =>
      build.step({
        op: 'binary',
        in: [build.operand(result), { constant: build.floats(numbers, shape) }],
        type: value.type,
        shape: value.shape,
        with: { kind },
      }),
    value,
  )
}

function added(build: RuleContext['build'], left: Lowered, right: Lowered): Lowered {
  return build.step({
    op: 'binary',
    in: [build.operand(left), build.operand(right)],
    type: left.type,
    shape: broadcast(build, left.shape, right.shape),
    with: { kind: 'add' },
  })
}

function softmax({ node, opset, at, build }: RuleContext, op: 'softmax' | 'log-softmax'): Lowered {
  const value = at(0)
  const rank = value.shape.length
  const axis = axisAttribute(node, opset < 13 ? 1 : -1, rank)
  if (axis === rank - 1) return build.step({ op, in: [build.operand(value)], type: value.type, shape: value.shape })
  // Until then, all axes from the one that is named on were one.
  if (opset < 13) throw build.decline('it goes along more than the last axis')
  const turned = swapped(build, value, axis)
  return swapped(build, build.step({ op, in: [build.operand(turned)], type: value.type, shape: turned.shape }), axis)
}

/** The value with this axis and the last one in each other's place. */
function swapped(build: RuleContext['build'], value: Lowered, axis: number): Lowered {
  const last = value.shape.length - 1
  const perm = value.shape.map((_, place) => (place === axis ? last : place === last ? axis : place))
  const shape = perm.map((place) => value.shape[place] ?? ONE)
  return build.step({ op: 'transpose', in: [build.operand(value)], type: value.type, shape, with: { perm } })
}

/** Places are INT64 in ONNX. */
function argument({ node, at, build }: RuleContext, kind: 'max' | 'min'): Lowered {
  const value = at(0)
  const axis = axisAttribute(node, 0, value.shape.length)
  const type = valueType(value.type)
  if ((type !== 'f32' && type !== 'i32') || intOf(node, 'select_last_index', 0) !== 0) {
    throw build.decline('it looks at no numbers, or for the last of equal ones')
  }
  const kept = value.shape.map((dim, place) => (place === axis ? ONE : dim))
  const shape = intOf(node, 'keepdims', 1) === 1 ? kept : kept.filter((_, place) => place !== axis)
  return build.step({
    op: 'argument',
    in: [build.operand(value)],
    type: DataType.INT64,
    shape,
    with: { kind, axis },
    range: held({ least: 0, most: build.ranges.ofSize(value.shape[axis] ?? ONE).most }),
  })
}

function reduced(kind: string): (context: RuleContext) => Value[] {
  return ({ node, lazy, maybe, build }) => {
    const whole = lazy(0)
    const rank = whole.shape.length
    const given = maybe(1)
    const listed = intsOf(node, 'axes') ?? build.known(given)
    if (given !== undefined && listed === undefined) throw build.decline('its axes are data')
    const none = listed === undefined || listed.length === 0
    if (none && intOf(node, 'noop_with_empty_axes', 0) !== 0) return [whole]
    const axes = none ? whole.shape.map((_, axis) => axis) : (listed ?? []).map((axis) => axisOf(axis, rank))
    // Each different sum of what is repeated along other axes is computed once.
    const own = narrow(build, whole)
    const isOther = axes.every((axis) => equal(own.shape[axis] ?? ONE, whole.shape[axis] ?? ONE))
    const value = isOther ? own : build.plain(whole)
    const type = valueType(value.type)
    if (type === undefined || type === 'u8' || (type === 'i32' && !['sum', 'max', 'min', 'prod'].includes(kind))) {
      throw build.decline('it reduces a type that is not supported')
    }
    const left = (shape: readonly Size[]): Size[] => {
      const kept = shape.map((dim, axis) => (axes.includes(axis) ? ONE : dim))
      return intOf(node, 'keepdims', 1) === 1 ? kept : kept.filter((_, axis) => !axes.includes(axis))
    }
    const result = build.step({
      op: 'reduce',
      in: [build.operand(value)],
      type: value.type,
      shape: left(value.shape),
      with: { kind, axes: [...axes].sort((a, b) => a - b) },
      ...reducedRange(build, value, kind, axes),
    })
    return [repeated(build, result, left(whole.shape))]
  }
}

/** Sums of one element and more. */
function running(build: RuleContext['build'], value: Lowered, axis: number): Range {
  const { most } = build.ranges.ofSize(value.shape[axis] ?? ONE)
  return sums(build.ranges.of(value), { least: 1, most: Math.max(1, most) })
}

function reducedRange(build: RuleContext['build'], value: Lowered, kind: string, axes: readonly number[]): WholeResult {
  const each = build.ranges.of(value)
  const count = build.ranges.ofSize(product(axes.map((axis) => value.shape[axis] ?? ONE)))
  if (kind === 'sum') return { range: sums(each, count) }
  if (kind === 'prod') return { range: products(each, count) }
  // Of nothing, the greatest of INT64 is a number beyond 32 bits.
  return { range: each, checked: value.type === DataType.INT64 && count.least < 1 }
}
