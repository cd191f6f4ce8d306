import { DataType } from '../data.ts'
import { attributeOf, intOf, intsOf } from '../make.ts'
import type { NodeProto } from '../schema/onnx_pb.js'
import { at, each, type Rule, type Rules } from './rule.ts'
import { type Dim, sizeOf, typed } from './types.ts'

const first: Rule = (context) => [typed(at(context, 0).elementType, at(context, 0).shape)]

const toFloat: Rule = (context) => [typed(DataType.FLOAT, at(context, 0).shape)]

const count = (node: NodeProto, ...names: readonly string[]): number | null => {
  for (const name of names) {
    const attribute = attributeOf(node, name)
    if (attribute) return attribute.ints.length || attribute.strings.length || attribute.floats.length || null
  }
  return null
}

const rows = (shape: readonly Dim[] | undefined): Dim => (shape && shape.length < 2 ? 1 : (shape?.[0] ?? null))

/** Labels [N], strings or integers as the classes are listed, and scores [N, classes]. */
const classifier: Rule = (context) => {
  const { node } = context
  const { shape } = at(context, 0)
  const strings = (attributeOf(node, 'classlabels_strings')?.strings.length ?? 0) > 0
  const classes = count(node, 'classlabels_strings', 'classlabels_ints', 'classlabels_int64s')
  // One class listed, or none: whether one score or two come out depends on the weights.
  const scores = classes !== null && classes > 2 ? classes : null
  const labels = typed(strings ? DataType.STRING : DataType.INT64, [shape ? rows(shape) : null])
  return [labels, typed(DataType.FLOAT, [shape ? rows(shape) : null, scores])]
}

const regressor: Rule = (context) => {
  const { shape } = at(context, 0)
  const targets = intOf(context.node, 'targets', intOf(context.node, 'n_targets', 1))
  return [typed(DataType.FLOAT, [shape ? rows(shape) : null, targets])]
}

const oneHotEncoder: Rule = (context) => {
  const { shape } = at(context, 0)
  const categories = count(context.node, 'cats_int64s', 'cats_strings')
  return [typed(DataType.FLOAT, shape && [...shape, categories])]
}

/** The type of the values that keys are mapped to. */
const labelEncoder: Rule = (context) => {
  const { node } = context
  const has = (name: string): boolean => attributeOf(node, name) !== undefined
  const elementType = has('values_strings')
    ? DataType.STRING
    : has('values_int64s')
      ? DataType.INT64
      : has('values_floats')
        ? DataType.FLOAT
        : (attributeOf(node, 'values_tensor')?.t?.dataType ?? DataType.UNDEFINED)
  return [typed(elementType, at(context, 0).shape)]
}

const featureExtractor: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  const picked = sizeOf(at(context, 1).shape)
  if (shape === undefined) return [typed(elementType)]
  return [typed(elementType, shape.length === 1 ? [1, picked] : [...shape.slice(0, -1), picked])]
}

/** Classical machine learning (domain `ai.onnx.ml`). */
export const tabular: Rules = {
  ...each('Binarizer Imputer', first),
  ...each('Normalizer Scaler', toFloat),
  ...each('LinearClassifier SVMClassifier TreeEnsembleClassifier', classifier),
  ...each('LinearRegressor SVMRegressor TreeEnsembleRegressor', regressor),
  OneHotEncoder: oneHotEncoder,
  LabelEncoder: labelEncoder,
  ArrayFeatureExtractor: featureExtractor,
  FeatureVectorizer: (context) => [
    typed(DataType.FLOAT, [
      rows(at(context, 0).shape),
      (intsOf(context.node, 'inputdimensions') ?? []).reduce((sum, size) => sum + size, 0) || null,
    ]),
  ],
}
