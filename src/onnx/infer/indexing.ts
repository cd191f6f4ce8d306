import { DataType } from '../data.ts'
import { attributeOf, intOf, stringOf } from '../make.ts'
import { countAt, listOf, productOf } from './lists.ts'
import { at, each, type Rule, type RuleContext, type Rules } from './rule.ts'
import { type Dim, placeOf, sizeOf, typed, type ValueType } from './types.ts'

/** Indices in place of one axis. */
export function gathered(data: ValueType, indices: ValueType, axis: number): Dim[] | undefined {
  const place = data.shape && placeOf(axis, data.shape.length)
  if (data.shape === undefined || indices.shape === undefined || place === undefined) return undefined
  return [...data.shape.slice(0, place), ...indices.shape, ...data.shape.slice(place + 1)]
}

const gather: Rule = (context) => {
  const [data, indices] = [at(context, 0), at(context, 1)]
  const shape = gathered(data, indices, intOf(context.node, 'axis', 0))
  const size = data.values?.length ?? 0
  const values = data.shape?.length === 1 ? data.values : undefined
  return [
    typed(
      data.elementType,
      shape,
      values &&
        indices.values?.map((at) => (typeof at === 'number' ? (values[at < 0 ? at + size : at] ?? null) : null)),
    ),
  ]
}

const gatherNd: Rule = (context) => {
  const [data, indices] = [at(context, 0), at(context, 1)]
  const depth = indices.shape?.at(-1)
  if (data.shape === undefined || indices.shape === undefined || typeof depth !== 'number') {
    return [typed(data.elementType)]
  }
  const rest = data.shape.slice(intOf(context.node, 'batch_dims', 0) + depth)
  return [typed(data.elementType, [...indices.shape.slice(0, -1), ...rest])]
}

const topK: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  const axis = shape && placeOf(intOf(context.node, 'axis', -1), shape.length)
  const count = context.opset < 10 ? intOf(context.node, 'k', 1) : countAt(context, 1)
  const result = shape?.map((dim, index) => (index === axis ? count : dim))
  return [typed(elementType, result), typed(DataType.INT64, result)]
}

/** Axes that a reduction takes away or makes 1; undefined where only a run tells. */
function reducedAxes(context: RuleContext, rank: number): readonly (number | undefined)[] | undefined {
  const axes = listOf(context, 'axes', 1)
  if (axes === 'unknown') return undefined
  if (axes !== undefined && axes.length > 0) return axes.map((axis) => placeOf(axis, rank))
  return intOf(context.node, 'noop_with_empty_axes', 0) === 0 ? Array.from({ length: rank }, (_, axis) => axis) : []
}

const without = (shape: readonly Dim[], axes: readonly (number | undefined)[], keep: boolean): Dim[] =>
  shape.flatMap((dim, axis) => (!axes.includes(axis) ? [dim] : keep ? [1] : []))

const reduction =
  (fold?: (left: number, right: number) => number): Rule =>
  (context) => {
    const { elementType, shape, values } = at(context, 0)
    const axes = shape && reducedAxes(context, shape.length)
    const keep = intOf(context.node, 'keepdims', 1) !== 0
    if (shape === undefined || axes === undefined) {
      return [typed(elementType, keep ? shape?.map(() => null) : undefined)]
    }
    const result = without(shape, axes, keep)
    const numbers = values?.every((value) => typeof value === 'number') ? (values as readonly number[]) : undefined
    const folds = fold !== undefined && numbers !== undefined && numbers.length > 0 && sizeOf(result) === 1
    const folded = folds ? numbers.reduce(fold) : null
    return [typed(elementType, result, [Number.isSafeInteger(folded) ? folded : null])]
  }

const argReduction: Rule = (context) => {
  const { shape } = at(context, 0)
  const axis = shape && placeOf(intOf(context.node, 'axis', 0), shape.length)
  const keep = intOf(context.node, 'keepdims', 1) !== 0
  return [typed(DataType.INT64, shape && without(shape, [axis], keep))]
}

const oneHot: Rule = (context) => {
  const { shape } = at(context, 0)
  const depth = countAt(context, 1)
  const { elementType } = at(context, 2)
  if (shape === undefined) return [typed(elementType)]
  const place = placeOf(intOf(context.node, 'axis', -1), shape.length + 1) ?? shape.length
  return [typed(elementType, [...shape.slice(0, place), depth, ...shape.slice(place)])]
}

const hasAxis = ({ node }: RuleContext): boolean => attributeOf(node, 'axis') !== undefined

/** A shape whose axis comes out with a length that only a run tells; flat where no axis is given. */
function axisOpen(context: RuleContext): Dim[] | undefined {
  const { shape } = at(context, 0)
  if (!hasAxis(context)) return [null]
  const place = shape && placeOf(intOf(context.node, 'axis', 0), shape.length)
  return shape?.map((dim, index) => (index === place ? null : dim))
}

const unique: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  const indices = typed(DataType.INT64, [null])
  const inverse = typed(DataType.INT64, [hasAxis(context) ? null : productOf(shape ?? [null, null])])
  return [typed(elementType, axisOpen(context)), indices, inverse, indices]
}

function lossOf(context: RuleContext): ValueType {
  const none = stringOf(context.node, 'reduction', 'mean') === 'none'
  return typed(at(context, 0).elementType, none ? at(context, 1).shape : [])
}

export const indexing: Rules = {
  Gather: gather,
  GatherND: gatherNd,
  GatherElements: (context) => [typed(at(context, 0).elementType, at(context, 1).shape)],
  TopK: topK,
  OneHot: oneHot,
  Compress: (context) => [typed(at(context, 0).elementType, axisOpen(context))],
  Unique: unique,
  NonZero: (context) => [typed(DataType.INT64, [at(context, 0).shape?.length ?? null, null])],
  NonMaxSuppression: () => [typed(DataType.INT64, [null, 3])],
  ReduceSum: reduction((sum, value) => sum + value),
  ReduceProd: reduction((product, value) => product * value),
  ReduceMax: reduction(Math.max),
  ReduceMin: reduction(Math.min),
  ...each('ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMean ReduceSumSquare', reduction()),
  ...each('ArgMax ArgMin', argReduction),
  SequenceLength: () => [typed(DataType.INT64, [])],
  OptionalHasElement: () => [typed(DataType.BOOL, [])],
  Det: (context) => [typed(at(context, 0).elementType, at(context, 0).shape?.slice(0, -2))],
  NegativeLogLikelihoodLoss: (context) => [lossOf(context)],
  SoftmaxCrossEntropyLoss: (context) => [lossOf(context), typed(at(context, 0).elementType, at(context, 0).shape)],
}
