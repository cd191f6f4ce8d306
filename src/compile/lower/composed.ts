import { DataType } from '../../onnx/data.ts'
import { floatOf, intOf } from '../../onnx/make.ts'
import { numberOf, ONE, over, product, type Size, size } from '../size.ts'
import { binaryStep } from './arithmetic.ts'
import { axisAttribute } from './builder.ts'
import { plainNorm } from './norm.ts'
import type { RuleContext, Rules } from './rule.ts'
import { type InBuffer, type Lowered, valueType } from './values.ts'

/** Operators that the engine has no step for, and that a few others make. */
export const COMPOSED: Rules = {
  Selu: (context) => [
    scaled(
      context,
      elu(context, floats(context), floatOf(context.node, 'alpha', 1.67326319)),
      floatOf(context.node, 'gamma', 1.05070102),
    ),
  ],
  Celu: (context) => {
    const alpha = floatOf(context.node, 'alpha', 1)
    return [scaled(context, elu(context, scaled(context, floats(context), 1 / alpha), 1), alpha)]
  },
  Softsign: (context) => {
    const value = floats(context)
    const magnitude = pointwise(context, value, { kind: 'abs' })
    return [combined(context, value, combined(context, magnitude, number(context, 1), 'add'), 'div')]
  },
  Mean: (context) => {
    const count = context.node.input.length
    const values = Array.from({ length: count }, (_, index) => floats(context, index))
    const sum = values.reduce((left: Lowered, right) => combined(context, left, right, 'add'))
    return [count === 1 ? sum : scaled(context, sum, 1 / count)]
  },
  LpNormalization: (context) => [lpNormalized(context)],
  LRN: (context) => [localNorm(context)],
  GroupNormalization: (context) => [groupNorm(context)],
}

function floats({ at, build }: RuleContext, index = 0): Lowered {
  const value = at(index)
  if (valueType(value.type) !== 'f32') throw build.decline('it computes with no floats')
  return value
}

function number({ build, at }: RuleContext, value: number): InBuffer {
  return build.step({ op: 'fill', in: [], type: at(0).type, shape: [ONE], with: { value } })
}

function combined({ build }: RuleContext, left: Lowered, right: Lowered, kind: string): InBuffer {
  return binaryStep(build, left, right, { kind, type: left.type })
}

function scaled(context: RuleContext, value: Lowered, factor: number): Lowered {
  return factor === 1 ? value : combined(context, value, number(context, factor), 'mul')
}

function pointwise(
  { build }: RuleContext,
  value: Lowered,
  attributes: { readonly kind: string; readonly alpha?: number },
): InBuffer {
  return build.step({
    op: 'unary',
    in: [build.operand(value)],
    type: value.type,
    shape: value.shape,
    with: { ...attributes },
  })
}

function elu(context: RuleContext, value: Lowered, alpha: number): Lowered {
  return pointwise(context, value, { kind: 'elu', alpha })
}

function lpNormalized(context: RuleContext): Lowered {
  const { node, build } = context
  const value = floats(context)
  const axis = axisAttribute(node, -1, value.shape.length)
  const length = build.step({
    op: 'reduce',
    in: [build.operand(value)],
    type: value.type,
    shape: value.shape.map((dim, place) => (place === axis ? ONE : dim)),
    with: { kind: intOf(node, 'p', 2) === 1 ? 'l1' : 'l2', axes: [axis] },
  })
  // What is all zeros stays so.
  const isZero = binaryStep(build, length, number(context, 0), { kind: 'equal', type: DataType.BOOL })
  const divisor = build.step({
    op: 'where',
    in: [isZero, number(context, 1), length].map((item) => build.operand(item)),
    type: value.type,
    shape: length.shape,
  })
  return combined(context, value, divisor, 'div')
}

/** Each element by a power of the mean of the squares of the channels around its own. */
function localNorm(context: RuleContext): Lowered {
  const { node, build } = context
  const value = floats(context)
  const [batch = ONE, channels = ONE, ...rest] = value.shape
  const count = intOf(node, 'size', 1)
  const squares = build.reshaped(combined(context, value, value, 'mul'), [batch, ONE, channels, product(rest)])
  const before = Math.floor((count - 1) / 2)
  const means = build.step({
    op: 'pool',
    in: [build.operand(squares)],
    type: value.type,
    shape: squares.shape,
    with: { kind: 'average', kernel: [count, 1], pads: [before, 0, count - 1 - before, 0], countPad: 1 },
  })
  const base = combined(
    context,
    scaled(context, means, floatOf(node, 'alpha', 0.0001)),
    number(context, floatOf(node, 'bias', 1)),
    'add',
  )
  const power = combined(context, base, number(context, floatOf(node, 'beta', 0.75)), 'pow')
  return combined(context, value, build.reshaped(power, value.shape), 'div')
}

/** A layer norm of the elements of each group of channels, then a factor and a summand for each channel. */
function groupNorm(context: RuleContext): Lowered {
  const { node, at, build, opset } = context
  const value = floats(context)
  const [batch = ONE, channels = ONE, ...rest] = value.shape
  const groups = size(intOf(node, 'num_groups', 1))
  const each = over(product([channels, ...rest]), groups)
  if (opset < 21 || numberOf(channels) === undefined || each === undefined)
    throw build.decline('its factors are of groups, or its channels are not known')
  const rows = build.reshaped(value, [batch, groups, each])
  const normed = plainNorm(context, rows)
  const column: Size[] = [channels, ONE]
  const wide = build.reshaped(normed, [batch, channels, product(rest)])
  const factored = combined(context, wide, build.reshaped(at(1), column), 'mul')
  return build.reshaped(combined(context, factored, build.reshaped(at(2), column), 'add'), value.shape)
}
