import { DataType, floatsOf } from '../../onnx/data.ts'
import { floatOf, intOf } from '../../onnx/make.ts'
import { geluKind, gridOf } from '../passes/fuse-activation.ts'
import { alone, HELD, type Range, within } from '../range.ts'
import { binaryStep } from './arithmetic.ts'
import { broadcast } from './broadcast.ts'
import { elementwise, narrow, repeated } from './lazy.ts'
import { alwaysTrue, onRamps } from './ramp.ts'
import type { Rule, RuleContext, Rules } from './rule.ts'
import { chosen, isTrue, onSizes } from './sizes.ts'
import type { Lowered, Value } from './values.ts'
import { valueType } from './values.ts'

/** What operators of one input are called in a plan; those with numbers of their own follow. */
const UNARY: Readonly<Record<string, string>> = {
  Relu: 'relu',
  Erf: 'erf',
  Tanh: 'tanh',
  Sigmoid: 'sigmoid',
  Exp: 'exp',
  Log: 'log',
  Sqrt: 'sqrt',
  Neg: 'neg',
  Abs: 'abs',
  Reciprocal: 'reciprocal',
  Floor: 'floor',
  Ceil: 'ceil',
  Round: 'round',
  HardSwish: 'hard-swish',
  Softplus: 'softplus',
  Sign: 'sign',
  Sin: 'sin',
  Cos: 'cos',
  Mish: 'mish',
}

const BINARY: Readonly<Record<string, string>> = {
  Add: 'add',
  Sub: 'sub',
  Mul: 'mul',
  Div: 'div',
  Pow: 'pow',
}

const COMPARISONS: Readonly<Record<string, string>> = {
  Equal: 'equal',
  Less: 'less',
  LessOrEqual: 'less-equal',
  Greater: 'greater',
  GreaterOrEqual: 'greater-equal',
}

export const ELEMENTWISE: Rules = {
  ...Object.fromEntries(Object.entries(UNARY).map(([name, kind]) => [name, unary(kind)])),
  ...Object.fromEntries(Object.entries(BINARY).map(([name, kind]) => [name, (context) => [binary(context, kind)]])),
  ...Object.fromEntries(
    Object.entries(COMPARISONS).map(([name, kind]) => [
      name,
      (context: RuleContext) => [binary(context, kind, DataType.BOOL)],
    ]),
  ),
  And: (context) => [binary(context, 'and', DataType.BOOL)],
  Or: (context) => [binary(context, 'or', DataType.BOOL)],
  Not: unary('not'),
  Xor: (context) => [binary(context, 'xor', DataType.BOOL)],
  Min: (context) => [folded(context, 'min')],
  Max: (context) => [folded(context, 'max')],
  Sum: (context) => [folded(context, 'add')],
  Mod: (context) => {
    const value = context.at(0)
    if (valueType(value.type) !== 'i32' && intOf(context.node, 'fmod', 0) === 0) {
      throw context.build.decline('it takes the rest of floats by the sign of the divisor')
    }
    return [binary(context, intOf(context.node, 'fmod', 0) === 0 ? 'mod' : 'fmod')]
  },
  Gelu: ({ node, at, build }) => [pointwise(build, at(0), { kind: geluKind(node) })],
  // What is no number does not equal itself.
  IsNaN: (context) => {
    const { lazy, build } = context
    const same = joined(build, lazy(0), lazy(0), 'equal', DataType.BOOL)
    return [repeated(build, pointwise(build, narrow(build, same), { kind: 'not' }), same.shape)]
  },
  LeakyRelu: ({ node, at, build }) => [
    pointwise(build, at(0), { kind: 'leaky-relu', alpha: floatOf(node, 'alpha', 0.01) }),
  ],
  Elu: ({ node, at, build }) => [pointwise(build, at(0), { kind: 'elu', alpha: floatOf(node, 'alpha', 1) })],
  HardSigmoid: ({ node, at, build }) => [
    pointwise(build, at(0), {
      kind: 'hard-sigmoid',
      alpha: floatOf(node, 'alpha', 0.2),
      beta: floatOf(node, 'beta', 0.5),
    }),
  ],
  Clip: (context) => [clipped(context)],
  Cast: ({ node, lazy, build }) => {
    const whole = lazy(0)
    const value = whole.kind === 'ramp' ? whole : narrow(build, whole)
    const to = intOf(node, 'to', 0) as DataType
    const [from, into] = [valueType(value.type), valueType(to)]
    if (into === undefined || from === undefined) throw build.decline(`it casts to type ${DataType[to] ?? to}`)
    if ((value.kind === 'sizes' || value.kind === 'ramp') && into === 'i32') return [{ ...value, type: to }]
    const plain = build.plain(value)
    if (from === into && plain.kind === 'buffer') return [repeated(build, { ...plain, type: to }, whole.shape)]
    const cast = build.step({
      op: 'cast',
      in: [build.operand(plain)],
      type: to,
      shape: plain.shape,
      range: build.ranges.of(plain),
      wraps: true,
    })
    return [repeated(build, cast, whole.shape)]
  },
  Where: ({ lazy, build }) => {
    const [condition, yes, no] = [lazy(0), lazy(1), lazy(2)]
    const known = chosen(build, condition, yes, no)
    if (known !== undefined) {
      const shape = broadcast(build, condition.shape, yes.shape, no.shape)
      return [{ kind: 'sizes', values: known, type: yes.type, shape }]
    }
    if (valueType(condition.type) !== 'u8' || valueType(yes.type) !== valueType(no.type))
      throw build.decline('its inputs are of different types')
    if (isTrue(build, condition)) {
      const shape = broadcast(build, condition.shape, yes.shape, no.shape)
      return [repeated(build, narrow(build, yes), shape)]
    }
    return [
      elementwise(build, [condition, yes, no], (operands, shape) =>
        build.step({ op: 'where', in: operands.map((value) => build.operand(value)), type: yes.type, shape }),
      ),
    ]
  },
  PRelu: ({ at, build }) => {
    const [value, slope] = [at(0), at(1)]
    return [
      build.step({
        op: 'binary',
        in: [build.operand(value), build.operand(slope)],
        type: value.type,
        shape: broadcast(build, value.shape, slope.shape),
        with: { kind: 'prelu' },
      }),
    ]
  },
}

function unary(kind: string): Rule {
  return ({ lazy, build }) => {
    const value = lazy(0)
    return [repeated(build, pointwise(build, narrow(build, value), { kind }), value.shape)]
  }
}

function pointwise(
  build: RuleContext['build'],
  value: Lowered,
  attributes: { kind: string } & Record<string, number | string>,
): Lowered {
  const type = valueType(value.type)
  const integers = ['neg', 'abs', 'sign'].includes(attributes.kind)
  if (type === undefined || (attributes.kind === 'not') !== (type === 'u8') || (type === 'i32' && !integers)) {
    throw build.decline(`it is not computed on type ${DataType[value.type] ?? value.type}`)
  }
  return build.step({
    op: 'unary',
    in: [build.operand(value)],
    type: value.type,
    shape: value.shape,
    with: attributes,
    range: alone(attributes.kind, build.ranges.of(value)),
    wraps: true,
  })
}

/** The compiler's own node: a product of whole numbers that is known to stay within 32 bits. */
export const FUSED_ELEMENTWISE: Rules = {
  Product: (context) => [binary(context, 'mul')],
  Grid: ({ node, at, build }) => {
    const value = at(0)
    if (valueType(value.type) !== 'f32') throw build.decline('it quantizes no floats')
    const [step, min, max] = ['step', 'min', 'max'].map((name) => floatOf(node, name, 0))
    const result = build.step({
      op: 'grid',
      in: [build.operand(value)],
      type: value.type,
      shape: value.shape,
      with: { step: step ?? 0, min: min ?? 0, max: max ?? 0 },
    })
    return [{ ...result, ...gridOf(node) }]
  },
}

function binary({ build, lazy }: RuleContext, kind: string, result?: DataType): Value {
  return joined(build, lazy(0), lazy(1), kind, result ?? lazy(0).type)
}

function joined(build: RuleContext['build'], left: Value, right: Value, kind: string, result: DataType): Value {
  const known =
    onSizes(build, left, right, kind, result) ??
    onRamps(build, left, right, kind) ??
    alwaysTrue(build, left, right, kind) ??
    (kind === 'and' ? beside(build, left, right) : undefined) ??
    (kind === 'mul' ? timesOne(build, left, right) : undefined)
  if (known !== undefined) return known
  if (valueType(left.type) !== valueType(right.type)) throw build.decline('its inputs are of different types')
  const logical = ['and', 'or', 'xor'].includes(kind)
  if (logical !== (valueType(left.type) === 'u8') && kind !== 'equal') {
    throw build.decline(`it is not computed on type ${DataType[left.type] ?? left.type}`)
  }
  return elementwise(build, [left, right], ([a, b]) => binaryStep(build, a, b, { kind, type: result }))
}

/** A value that is multiplied by one, as rotary positions without a scale are. */
function timesOne(build: RuleContext['build'], left: Value, right: Value): Value | undefined {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ] as const) {
    if (one.kind !== 'constant' || valueType(one.type) !== 'f32' || one.type !== other.type) continue
    if (one.shape.length <= other.shape.length && build.floatsOf(one).every((value) => value === 1)) {
      return repeated(build, narrow(build, other), broadcast(build, one.shape, other.shape))
    }
  }
  return undefined
}

/** What is true where a value is, if the other one is true everywhere. */
function beside(build: RuleContext['build'], left: Value, right: Value): Value | undefined {
  for (const [sure, other] of [
    [left, right],
    [right, left],
  ] as const) {
    if (isTrue(build, sure)) return repeated(build, narrow(build, other), broadcast(build, left.shape, right.shape))
  }
  return undefined
}

function folded({ node, build, lazy }: RuleContext, kind: string): Value {
  return node.input.map((_, index) => lazy(index)).reduce((left, right) => joined(build, left, right, kind, left.type))
}

const FLOATS: Range = { least: -3.4028234663852886e38, most: 3.4028234663852886e38 }

function clipped({ node, lazy, maybe, build }: RuleContext): Value {
  const whole = lazy(0)
  const value = narrow(build, whole)
  const end = (name: string, index: number, otherwise: number): number => {
    const given = maybe(index)
    if (given === undefined) return floatOf(node, name, otherwise)
    const known = build.known(given)?.[0]
    if (known !== undefined) return known
    if (given.kind === 'constant' && valueType(given.type) === 'f32') return floatsOf(given.tensor)[0] ?? otherwise
    throw build.decline('its ends are data')
  }
  const type = valueType(value.type)
  if (type !== 'f32' && type !== 'i32')
    throw build.decline(`it is not computed on type ${DataType[value.type] ?? value.type}`)
  const { least, most } = type === 'i32' ? HELD : FLOATS
  const [low, high] = [end('min', 1, least), end('max', 2, most)]
  if (type === 'i32' && (low > most || high < least)) throw build.decline('its ends are beyond 32 bits')
  const [min, max] = [Math.max(least, Math.min(most, low)), Math.max(least, Math.min(most, high))]
  const result = build.step({
    op: 'unary',
    in: [build.operand(value)],
    type: value.type,
    shape: value.shape,
    with: { kind: 'clip', min, max },
    range: within(build.ranges.of(value), min, max),
  })
  return repeated(build, result, whole.shape)
}
