import { DataType } from '../data.ts'
import { attributeOf, intOf } from '../make.ts'
import { gathered } from './indexing.ts'
import { gemm, product, productOfInputs } from './matrix.ts'
import { at, each, hasInput, type Rule, type RuleContext, type Rules } from './rule.ts'
import { broadcast, type Dim, firstType, placeOf, sizeOf, typed } from './types.ts'
import { convolved, globalPool, pool } from './window.ts'

const quantizeLinear: Rule = (context) => {
  const wanted = intOf(context.node, 'output_dtype', DataType.UNDEFINED)
  const zero = hasInput(context, 2) ? at(context, 2).elementType : DataType.UINT8
  return [typed(wanted === DataType.UNDEFINED ? zero : wanted, at(context, 0).shape)]
}

const dequantizeLinear: Rule = (context) => {
  const wanted = intOf(context.node, 'output_dtype', DataType.UNDEFINED)
  return [typed(wanted === DataType.UNDEFINED ? at(context, 1).elementType : wanted, at(context, 0).shape)]
}

/** Of the first input's shape, and of the type of the zero point at the place given. */
const likeZeroPoint =
  (zero: number): Rule =>
  (context) => [typed(firstType(at(context, zero), at(context, 0)), at(context, 0).shape)]

const qlinearMatMul: Rule = (context) => [
  typed(at(context, 7).elementType, product(at(context, 0).shape, at(context, 3).shape)),
]

/** Inputs: the result's scale and zero point, then value, scale and zero point in turn. */
const qlinearConcat: Rule = (context) => {
  const parts = context.inputs.filter((_, index) => index >= 2 && index % 3 === 2)
  const known = parts.find(({ shape }) => shape !== undefined)?.shape
  const axis = known && placeOf(intOf(context.node, 'axis', 0), known.length)
  const shape = known?.map((dim, place): Dim => {
    if (place !== axis) return dim
    const dims = parts.map((part) => part.shape?.[place] ?? null)
    return sizeOf(dims) === null ? null : (dims as number[]).reduce((sum, value) => sum + value, 0)
  })
  return [typed(firstType(at(context, 1), ...parts), shape)]
}

/** Rows of 4-bit or 8-bit blocks; `N` columns come out. */
const matMulNBits: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  return [typed(elementType, shape && [...shape.slice(0, -1), intOf(context.node, 'N', 0)])]
}

/** Data of 8-bit elements may hold two 4-bit ones each, along the last axis. */
const gatherBlockQuantized: Rule = (context) => {
  const data = at(context, 0)
  const packed = data.elementType === DataType.UINT8 && intOf(context.node, 'bits', 4) === 4 ? 2 : 1
  const shape = data.shape?.map((dim, axis, { length }) =>
    axis === length - 1 && typeof dim === 'number' ? dim * packed : dim,
  )
  return [
    typed(
      at(context, 2).elementType,
      gathered({ ...data, shape }, at(context, 1), intOf(context.node, 'gather_axis', 0)),
    ),
  ]
}

const qgemm: Rule = (context) => {
  const [result] = gemm(0, 3)(context)
  return [typed(hasInput(context, 8) ? at(context, 8).elementType : DataType.FLOAT, result?.shape)]
}

const pooled =
  (rule: Rule): Rule =>
  (context) => {
    const [result] = rule(context)
    return result ? [result] : []
  }

const convolution =
  (data: number, weight: number, type: (context: RuleContext) => DataType): Rule =>
  (context) => [typed(type(context), convolved(context, at(context, data), at(context, weight)))]

const binary: Rule = (context) => [
  typed(at(context, 0).elementType, broadcast(at(context, 0).shape, at(context, 3).shape)),
]

const firstInput: Rule = (context) => [typed(at(context, 0).elementType, at(context, 0).shape)]

/** Operators of the standard set. */
export const quantized: Rules = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: (context) => [
    typed(DataType.UINT8, at(context, 0).shape),
    typed(DataType.FLOAT, []),
    typed(DataType.UINT8, []),
  ],
  QLinearMatMul: qlinearMatMul,
  QLinearConv: convolution(0, 3, (context) => at(context, 7).elementType),
  ConvInteger: convolution(0, 1, () => DataType.INT32),
}

/** ONNX Runtime's own operators (domain `com.microsoft`), of those that its optimizer and quantizers write. */
export const contributed: Rules = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  ...each('QLinearAdd QLinearMul', binary),
  ...each('QLinearSigmoid QLinearLeakyRelu', likeZeroPoint(4)),
  QLinearSoftmax: likeZeroPoint(4),
  QLinearConcat: qlinearConcat,
  QLinearAveragePool: pooled(pool),
  QLinearGlobalAveragePool: globalPool,
  QGemm: qgemm,
  QLinearConv: convolution(0, 3, (context) => at(context, 7).elementType),
  MatMulNBits: matMulNBits,
  MatMulBnb4: matMulNBits,
  GatherBlockQuantized: gatherBlockQuantized,
  DynamicQuantizeMatMul: productOfInputs(0, 1, DataType.FLOAT),
  MatMulIntegerToFloat: (context) => [
    typed(at(context, 2).elementType, product(at(context, 0).shape, at(context, 1).shape)),
  ],
  ...each('FusedConv NhwcFusedConv', (context) =>
    attributeOf(context.node, 'channels_last')
      ? [typed(at(context, 0).elementType)]
      : convolution(0, 1, () => at(context, 0).elementType)(context),
  ),
  ...each(
    'Gelu FastGelu BiasGelu QuickGelu BiasSoftmax SkipLayerNormalization SkipSimplifiedLayerNormalization ' +
      'RotaryEmbedding GroupNorm',
    firstInput,
  ),
}
