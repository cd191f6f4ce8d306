import { DataType } from '../data.ts'
import { intOf } from '../make.ts'
import { at, each, type Rule, type RuleContext, type Rules } from './rule.ts'
import { broadcast, type Dim, firstType, MOST_VALUES, sizeOf, typed, type ValueType } from './types.ts'

/** Of the first input's type and shape. */
const same: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  return [typed(elementType, shape)]
}

const unary =
  (apply: (value: number) => number): Rule =>
  (context) => {
    const { elementType, shape, values } = at(context, 0)
    return [
      typed(
        elementType,
        shape,
        values?.map((value) => (typeof value === 'number' ? fitted(apply(value), elementType) : null)),
      ),
    ]
  }

/** Known elements of two operands to a known element of the result, or null. */
type Fold = (left: Dim, right: Dim, context: RuleContext) => Dim

/** Broadcasting over all inputs; of the inputs' type unless another is given. */
const broadcasting =
  (fold?: Fold, result?: DataType): Rule =>
  (context) => {
    const { inputs } = context
    const shape = broadcast(...inputs.map((input) => input.shape))
    const elementType = result ?? firstType(...inputs)
    const operands = inputs.map((input) => spread(input, shape))
    const [first, ...others] = operands
    if (fold === undefined || first === undefined || !operands.every((values) => values !== undefined)) {
      return [typed(elementType, shape)]
    }
    const values = others.reduce<Dim[]>(
      (folded, other) =>
        folded.map((left, index) => {
          const value = fold(left, other?.[index] ?? null, context)
          return typeof value === 'number' ? fitted(value, elementType) : value
        }),
      first,
    )
    return [typed(elementType, shape, values)]
  }

/** A value's elements as they lie in the shape that it is broadcast to; undefined where that is not known. */
function spread({ shape: from, values }: ValueType, to: readonly Dim[] | undefined): Dim[] | undefined {
  const size = sizeOf(to)
  if (from === undefined || to === undefined || values === undefined || size === null || size > MOST_VALUES) return
  const result: Dim[] = []
  for (let index = 0; index < size; index++) {
    let rest = index
    let stride = 1
    let place = 0
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const length = to[axis] as number
      const own = axis - to.length + from.length < 0 ? 1 : (from[axis - to.length + from.length] as number)
      if (own !== 1) place += (rest % length) * stride
      stride *= own
      rest = Math.floor(rest / length)
    }
    result.push(values[place] ?? null)
  }
  return result
}

/** A computed element as its type can hold it; null where it cannot. */
function fitted(value: number, elementType: DataType): Dim {
  if (elementType === DataType.FLOAT) return Math.fround(value)
  if (elementType === DataType.DOUBLE) return value
  return Number.isSafeInteger(value) ? value : null
}

const numeric =
  (apply: (left: number, right: number, context: RuleContext) => number): Fold =>
  (left, right, context) =>
    typeof left === 'number' && typeof right === 'number' ? apply(left, right, context) : null

const isInteger = (context: RuleContext): boolean => {
  const type = at(context, 0).elementType
  return type !== DataType.FLOAT && type !== DataType.DOUBLE && type !== DataType.FLOAT16
}

const add: Fold = (left, right, context) => {
  if (left === 0) return right
  return right === 0 ? left : numeric((a, b) => a + b)(left, right, context)
}

const multiply: Fold = (left, right, context) => {
  if (left === 1) return right
  return right === 1 ? left : numeric((a, b) => a * b)(left, right, context)
}

const divide: Fold = (left, right, context) => {
  if (right === 1) return left
  if (right === 0) return null
  return numeric((a, b) => (isInteger(context) ? Math.trunc(a / b) : a / b))(left, right, context)
}

const remainder: Fold = numeric((left, right, { node }) => {
  const rest = left % right
  return intOf(node, 'fmod', 0) === 0 && rest !== 0 && rest < 0 !== right < 0 ? rest + right : rest
})

const equal: Fold = (left, right) => {
  // A dimension is never negative, whatever its name stands for.
  if (typeof left === 'string' && typeof right === 'number') return right < 0 ? 0 : null
  if (typeof right === 'string' && typeof left === 'number') return left < 0 ? 0 : null
  if (left === null || right === null) return null
  return left === right ? 1 : typeof left === typeof right && typeof left === 'number' ? 0 : null
}

const where: Rule = (context) => {
  const [condition, yes, no] = [at(context, 0), at(context, 1), at(context, 2)]
  const shape = broadcast(condition.shape, yes.shape, no.shape)
  const elementType = firstType(yes, no)
  const [test, left, right] = [spread(condition, shape), spread(yes, shape), spread(no, shape)]
  const values = test?.map((chosen, index): Dim => {
    const [a, b] = [left?.[index] ?? null, right?.[index] ?? null]
    if (chosen === null) return a === b ? a : null
    return chosen === 0 ? b : a
  })
  return [typed(elementType, shape, values)]
}

const truth = (apply: (left: number, right: number) => boolean): Rule =>
  broadcasting(
    numeric((left, right) => (apply(left, right) ? 1 : 0)),
    DataType.BOOL,
  )

const ofFirst = (elementType: DataType): Rule => {
  return (context) => [typed(elementType, at(context, 0).shape)]
}

export const elementwise: Rules = {
  ...each(
    'Acos Acosh Asin Asinh Atan Atanh BitwiseNot Celu Cos Cosh CumSum Elu Erf Exp Gelu Hardmax HardSigmoid HardSwish ' +
      'InstanceNormalization GroupNormalization LeakyRelu Log LogSoftmax LpNormalization LRN ' +
      'MeanVarianceNormalization Mish PRelu Reciprocal Relu RMSNormalization RotaryEmbedding ScaledTanh Selu ' +
      'Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu ' +
      'ReverseSequence ScatterElements ScatterND Scatter TensorScatter SimplifiedLayerNormalization ' +
      'ParametricSoftplus Affine',
    same,
  ),
  Abs: unary(Math.abs),
  Ceil: unary(Math.ceil),
  Floor: unary(Math.floor),
  Neg: unary((value) => -value),
  Clip: same,
  Identity: (context) => [at(context, 0)],
  // Halves go to the even neighbour.
  Round: unary((value) => {
    const rounded = Math.round(value)
    return value % 1 === 0.5 || value % 1 === -0.5 ? 2 * Math.round(value / 2) : rounded
  }),
  Not: unary((value) => (value === 0 ? 1 : 0)),
  ...each('IsInf IsNaN RegexFullMatch', ofFirst(DataType.BOOL)),
  Add: broadcasting(add),
  Sub: broadcasting((left, right, context) => (right === 0 ? left : numeric((a, b) => a - b)(left, right, context))),
  Mul: broadcasting(multiply),
  Div: broadcasting(divide),
  Mod: broadcasting(remainder),
  Max: broadcasting(numeric((left, right) => Math.max(left, right))),
  Min: broadcasting(numeric((left, right) => Math.min(left, right))),
  ...each('Mean Sum BitShift BitwiseAnd BitwiseOr BitwiseXor', broadcasting()),
  // The exponent may be of another type; the base decides.
  Pow: (context) => [typed(at(context, 0).elementType, broadcast(at(context, 0).shape, at(context, 1).shape))],
  StringConcat: broadcasting(undefined, DataType.STRING),
  And: truth((left, right) => left !== 0 && right !== 0),
  Or: truth((left, right) => left !== 0 || right !== 0),
  Xor: truth((left, right) => (left !== 0) !== (right !== 0)),
  Equal: broadcasting(equal, DataType.BOOL),
  Greater: truth((left, right) => left > right),
  GreaterOrEqual: truth((left, right) => left >= right),
  Less: truth((left, right) => left < right),
  LessOrEqual: truth((left, right) => left <= right),
  Where: where,
  Dropout: (context) => [...same(context), typed(DataType.BOOL, at(context, 0).shape)],
  BatchNormalization: (context) => {
    const rest = { ...at(context, 3), values: undefined }
    const statistics = typed(rest.elementType, rest.shape)
    return [...same(context), statistics, statistics, statistics, statistics]
  },
  LayerNormalization: (context) => {
    const { shape } = at(context, 0)
    const axis = intOf(context.node, 'axis', -1)
    const first = shape && (axis < 0 ? axis + shape.length : axis)
    const reduced = shape?.map((dim, index) => (first !== undefined && index >= first ? 1 : dim))
    // Statistics are kept in `stash_type`, single precision unless told otherwise.
    const stash = intOf(context.node, 'stash_type', DataType.FLOAT)
    return [...same(context), typed(stash, reduced), typed(stash, reduced)]
  },
}
