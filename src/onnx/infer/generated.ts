import { DataType } from '../data.ts'
import { attributeOf, floatOf, intOf, intsOf } from '../make.ts'
import { at, each, type Rule, type Rules } from './rule.ts'
import { describe } from './tensor.ts'
import { type Dim, MOST_VALUES, numberOf, sizeOf, typed, UNKNOWN, unknownDims } from './types.ts'

const constant: Rule = ({ node }) => {
  const value = attributeOf(node, 'value')?.t
  if (value) return [describe(value)]
  const single = attributeOf(node, 'value_int')
  if (single) return [typed(DataType.INT64, [], [Number(single.i ?? 0n)])]
  if (attributeOf(node, 'value_float')) return [typed(DataType.FLOAT, [], [floatOf(node, 'value_float', 0)])]
  const integers = intsOf(node, 'value_ints')
  if (integers) return [listed(DataType.INT64, integers)]
  const floats = attributeOf(node, 'value_floats')?.floats
  if (floats) return [listed(DataType.FLOAT, floats)]
  if (attributeOf(node, 'value_string')) return [typed(DataType.STRING, [])]
  const strings = attributeOf(node, 'value_strings')?.strings
  if (strings) return [typed(DataType.STRING, [strings.length])]
  const sparse = attributeOf(node, 'sparse_value')?.sparseTensor
  return [sparse ? typed(sparse.values?.dataType ?? DataType.UNDEFINED, sparse.dims.map(Number)) : UNKNOWN]
}

const listed = (type: DataType, values: readonly number[]) =>
  typed(type, [values.length], values.length <= MOST_VALUES ? values : undefined)

const constantOfShape: Rule = (context) => {
  const value = attributeOf(context.node, 'value')?.t
  const filler = value && describe(value)
  const wanted = at(context, 0)
  const rank = wanted.shape?.length === 1 ? wanted.shape[0] : undefined
  const shape = wanted.values ?? (typeof rank === 'number' ? unknownDims(rank) : undefined)
  const size = sizeOf(shape)
  const element = filler === undefined ? 0 : (filler.values?.[0] ?? null)
  const values = size !== null && size <= MOST_VALUES ? new Array<Dim>(size).fill(element) : undefined
  return [typed(filler?.elementType ?? DataType.FLOAT, shape, values)]
}

const cast: Rule = (context) => {
  const { shape, values, elementType: from } = at(context, 0)
  const to = intOf(context.node, 'to', DataType.UNDEFINED)
  const carried = values?.map((value): Dim => {
    if (typeof value !== 'number') return from === to || isWide(to) ? value : null
    if (to === DataType.BOOL) return value === 0 ? 0 : 1
    if (to === DataType.FLOAT) return Math.fround(value)
    if (to === DataType.DOUBLE) return value
    return to === DataType.INT64 || to === DataType.INT32 ? Math.trunc(value) : null
  })
  return [typed(to, shape, carried)]
}

/** Types that hold every dimension that there is in practice. */
const isWide = (type: DataType): boolean =>
  type === DataType.INT64 || type === DataType.INT32 || type === DataType.FLOAT || type === DataType.DOUBLE

const range: Rule = (context) => {
  const { elementType } = at(context, 0)
  const [start, limit, step] = [0, 1, 2].map((index) => numberOf(at(context, index)))
  if (start === undefined || limit === undefined || !step) {
    const end = at(context, 1).values?.[0] ?? null
    return [typed(elementType, [start === 0 && step === 1 && typeof end === 'string' ? end : null])]
  }
  const length = Math.max(0, Math.ceil((limit - start) / step))
  const values = length <= MOST_VALUES ? Array.from({ length }, (_, index) => start + index * step) : undefined
  return [typed(elementType, [length], elementType === DataType.FLOAT ? undefined : values)]
}

const random: Rule = ({ node }) => [typed(intOf(node, 'dtype', DataType.FLOAT), intsOf(node, 'shape'))]

const like: Rule = (context) => [typed(intOf(context.node, 'dtype', at(context, 0).elementType), at(context, 0).shape)]

const spectralWindow: Rule = (context) => [
  typed(intOf(context.node, 'output_datatype', DataType.FLOAT), [numberOf(at(context, 0)) ?? null]),
]

/** Operators that make values from nothing, or change their type alone. */
export const generated: Rules = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Cast: cast,
  CastLike: (context) => [typed(at(context, 1).elementType, at(context, 0).shape)],
  BitCast: (context) => [typed(intOf(context.node, 'to', DataType.UNDEFINED), at(context, 0).shape)],
  Range: range,
  ...each('RandomNormal RandomUniform', random),
  ...each('RandomNormalLike RandomUniformLike EyeLike Bernoulli', like),
  Multinomial: (context) => [
    typed(intOf(context.node, 'dtype', DataType.INT32), [
      at(context, 0).shape?.[0] ?? null,
      intOf(context.node, 'sample_size', 1),
    ]),
  ],
  ...each('HannWindow HammingWindow BlackmanWindow', spectralWindow),
}
