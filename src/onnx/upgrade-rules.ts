import { DataType, makeTensor } from './data.ts'
import { OnnxError, safeName } from './errors.ts'
import type { GraphView } from './graph.ts'
import { attributeOf, floatOf, intOf, makeAttribute, makeNode, stringOf } from './make.ts'
import type { NodeProto, TensorProto } from './schema/onnx_pb.js'
import { constantOf, elementTypeOf, floatScalar, rankOf } from './upgrade-values.ts'

/** Operator sets before this one broadcast by attributes; their models are from 2017. */
export const OLDEST_SOURCE = 7
export const NEWEST_TARGET = 13

export interface UpgradeContext {
  /** The graph as it was, with the older operators. */
  readonly view: GraphView
  fresh(base: string): string
  /** Adds an initializer to the graph. @returns its name */
  constant(tensor: TensorProto): string
}

/** What a node becomes; itself if left out. */
type Rule = (node: NodeProto, context: UpgradeContext) => NodeProto[] | undefined

/**
 * By operator, and the version that changed it: the changes that need one of the node. Versions that only widened types,
 * allowed negative axes or added an attribute whose default is the earlier behaviour have none.
 */
export const RULES: Readonly<Record<string, Readonly<Record<number, Rule>>>> = {
  BatchNormalization: { 9: withoutSpatial },
  Clip: { 11: clip },
  Dropout: { 10: refuseMask, 12: dropout },
  Hardmax: { 13: softmax },
  LogSoftmax: { 13: softmax },
  Pad: { 11: pad },
  ReduceSum: { 13: (node, context) => attributesToInputs(node, context, ['axes']) },
  Resize: { 11: resize },
  Scatter: { 11: (node) => [{ ...node, opType: 'ScatterElements' }] },
  Scan: { 9: scan },
  Slice: { 10: (node, context) => attributesToInputs(node, context, ['starts', 'ends', 'axes']) },
  Softmax: { 13: softmax },
  Split: { 13: (node, context) => attributesToInputs(node, context, ['split']) },
  Squeeze: { 13: (node, context) => attributesToInputs(node, context, ['axes']) },
  TopK: { 10: topK },
  Unsqueeze: { 13: (node, context) => attributesToInputs(node, context, ['axes']) },
  Upsample: { 9: upsampleScales, 10: (node) => [{ ...node, opType: 'Resize' }] },
}

/** Operators that mean the same from version 7, or from where they began, to 13. */
export const CARRIED_OVER: ReadonlySet<string> = new Set(
  [
    'Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BitShift Cast Ceil Celu Compress Concat',
    'ConcatFromSequence Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace',
    'DequantizeLinear Det Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather',
    'GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual HardSigmoid',
    'Identity If InstanceNormalization Inverse IsInf IsNaN LRN LSTM LeakyRelu Less LessOrEqual Log Loop LpNormalization',
    'LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization Min Mod Mul',
    'Multinomial Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pow QLinearConv QLinearMatMul QuantizeLinear RNN',
    'RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum',
    'ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare Relu Reshape ReverseSequence RoiAlign',
    'Round ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert',
    'SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Softplus Softsign SpaceToDepth SplitToSequence Sqrt',
    'StringNormalizer Sub Sum Tan Tanh TfIdfVectorizer ThresholdedRelu Tile Transpose Unique Where Xor',
  ].flatMap((line) => line.split(' ')),
)

function refuse(node: NodeProto, reason: string): OnnxError {
  return new OnnxError(
    'unsupported',
    `${node.opType} node "${safeName(node.name || node.output[0] || '')}" ${reason}. Export the model again with ` +
      'operator set 13 or newer.',
    { node: node.name },
  )
}

/** The node without some attributes. */
function without(node: NodeProto, names: readonly string[], changes: Partial<NodeProto> = {}): NodeProto {
  return { ...node, attribute: node.attribute.filter(({ name }) => !names.includes(name)), ...changes }
}

function integers(node: NodeProto, context: UpgradeContext, name: string, values: readonly bigint[]): string {
  // As they stand: 2^63 - 1, the usual end of a slice, is no JavaScript number.
  const data = BigInt64Array.from(values)
  return context.constant(makeTensor(context.fresh(`${node.output[0]}_${name}`), DataType.INT64, [values.length], data))
}

/** Integer lists that became inputs, after those that the node has; absent ones leave no gap at the end. */
function attributesToInputs(node: NodeProto, context: UpgradeContext, names: readonly string[]): NodeProto[] {
  const inputs = names.map((name) => {
    const values = attributeOf(node, name)?.ints
    return values === undefined ? '' : integers(node, context, name, values)
  })
  while (inputs.at(-1) === '') inputs.pop()
  return [without(node, names, { input: [...node.input, ...inputs] })]
}

function withoutSpatial(node: NodeProto): NodeProto[] {
  if (intOf(node, 'spatial', 1) === 0) throw refuse(node, 'normalizes each position by itself (spatial = 0)')
  if (node.output.slice(1).some((name) => name !== '')) throw refuse(node, 'is in training mode')
  return [without(node, ['spatial'])]
}

function clip(node: NodeProto, context: UpgradeContext): NodeProto[] {
  const type = elementTypeOf(context.view, node.input[0] ?? '')
  const bound = (name: 'min' | 'max'): string =>
    attributeOf(node, name) === undefined
      ? ''
      : context.constant(floatScalar(context.fresh(`${node.output[0]}_${name}`), type, floatOf(node, name, 0)))
  const input = [node.input[0] ?? '', bound('min'), bound('max')]
  while (input.at(-1) === '') input.pop()
  return [without(node, ['min', 'max'], { input })]
}

/** The mask was of the data's type once, and boolean since. */
function refuseMask(node: NodeProto): undefined {
  if (node.output.slice(1).some((name) => name !== '')) throw refuse(node, 'outputs its mask')
}

/** In inference the ratio is not read. */
function dropout(node: NodeProto): NodeProto[] {
  return [without(node, ['ratio'])]
}

function pad(node: NodeProto, context: UpgradeContext): NodeProto[] {
  const pads = integers(node, context, 'pads', attributeOf(node, 'pads')?.ints ?? [])
  const type = elementTypeOf(context.view, node.input[0] ?? '')
  const value = floatScalar(context.fresh(`${node.output[0]}_value`), type, floatOf(node, 'value', 0))
  return [without(node, ['pads', 'value'], { input: [node.input[0] ?? '', pads, context.constant(value)] })]
}

function topK(node: NodeProto, context: UpgradeContext): NodeProto[] {
  return [
    without(node, ['k'], {
      input: [node.input[0] ?? '', integers(node, context, 'k', [attributeOf(node, 'k')?.i ?? 1n])],
    }),
  ]
}

function scan(node: NodeProto): never {
  throw refuse(node, 'has a batch axis, which later versions lack')
}

function upsampleScales(node: NodeProto, context: UpgradeContext): NodeProto[] {
  const values = Float32Array.from(attributeOf(node, 'scales')?.floats ?? [])
  const scales = context.constant(
    makeTensor(context.fresh(`${node.output[0]}_scales`), DataType.FLOAT, [values.length], values),
  )
  return [without(node, ['scales'], { input: [node.input[0] ?? '', scales] })]
}

/**
 * Before version 11, pixels' coordinates were multiplied by the scale and truncated (`asymmetric`, `floor`); where a
 * picture shrinks, ONNX Runtime rounds up instead, which one node cannot do along some axes only.
 */
function resize(node: NodeProto, context: UpgradeContext): NodeProto[] {
  const nearest = stringOf(node, 'mode', 'nearest') === 'nearest'
  const factors = constantOf(context.view, node.input[1] ?? '')
  const scales = factors ?? attributeTensor(node, context)
  const shrinks = scales?.some((scale) => scale < 1) ?? false
  if (nearest && scales?.some((scale) => scale > 1) && shrinks) {
    throw refuse(node, 'enlarges along one axis and shrinks along another')
  }
  if (nearest && scales === undefined && context.view.opset() === 10) {
    throw refuse(node, 'has scales that are only known at run time')
  }
  const roi = context.constant(
    makeTensor(context.fresh(`${node.output[0]}_roi`), DataType.FLOAT, [0], new Float32Array(0)),
  )
  const attributes = [
    makeAttribute('coordinate_transformation_mode', { string: 'asymmetric' }),
    ...(nearest ? [makeAttribute('nearest_mode', { string: shrinks ? 'ceil' : 'floor' })] : []),
  ]
  return [
    {
      ...node,
      input: [node.input[0] ?? '', roi, node.input[1] ?? ''],
      attribute: [...node.attribute, ...attributes],
    },
  ]
}

/** Scales that an earlier step has turned into an input; an Upsample's are never below 1. */
function attributeTensor(node: NodeProto, { view }: UpgradeContext): number[] | undefined {
  const before = view.producer(node.output[0] ?? '')
  return before && attributeOf(before, 'scales')?.floats
}

/**
 * Before version 13 everything from `axis` on was one row. That is the last axis alone where `axis` is the last;
 * otherwise the input is flattened and shaped back.
 */
function softmax(node: NodeProto, context: UpgradeContext): NodeProto[] {
  const axis = intOf(node, 'axis', 1)
  const [input = '', output = ''] = [node.input[0], node.output[0]]
  const rank = rankOf(context.view, input) ?? rankOf(context.view, output)
  const last = makeAttribute('axis', { int: -1 })
  if (axis === -1 || (rank !== undefined && axis === rank - 1)) {
    return [without(node, ['axis'], { attribute: [last] })]
  }
  const name = (part: string): string => context.fresh(`${output}_${part}`)
  const [flat, rows, shape] = [name('flat'), name('rows'), name('shape')]
  return [
    makeNode({ op: 'Shape', inputs: [input], outputs: [shape], name: name('Shape') }),
    makeNode({
      op: 'Flatten',
      inputs: [input],
      outputs: [flat],
      name: name('Flatten'),
      attributes: { axis: { int: axis } },
    }),
    { ...node, input: [flat], output: [rows], attribute: [last] },
    makeNode({ op: 'Reshape', inputs: [rows, shape], outputs: [output], name: name('Reshape') }),
  ]
}
