import { DataType, floatsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { attributeOf, floatOf, intOf, stringOf } from '../../onnx/make.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'

/** A node whose weight becomes integers. */
export interface Layer {
  readonly node: NodeProto
  readonly weight: TensorProto
  readonly bias: TensorProto | undefined
  /** Dimension of the weight that runs over the output's channels. */
  readonly axis: 0 | 1
  /** Whether the integer kernel cannot give out floats. */
  readonly quantizedOutput: boolean
  /** Whether its operator can have a bias, though it may have none. */
  readonly takesBias: boolean
  /** What weights and bias are multiplied with: a Gemm's alpha and beta. */
  readonly factors: readonly [weight: number, bias: number]
}

/**
 * Which dimension of a value runs over the channels that a layer's weight multiplies: 1 for convolutions, -1 (the last)
 * for products. Undefined where no layer reads it.
 */
export function channelAxisOf(value: string, view: GraphView): 1 | -1 | undefined {
  const readers = view.uses(value).filter(({ index, node }) => index === 0 && node.domain === '')
  if (readers.some(({ node }) => node.opType === 'Conv')) return 1
  return readers.some(({ node }) => node.opType === 'MatMul' || node.opType === 'Gemm') ? -1 : undefined
}

/** A layer, the reason why a node is none though its operator could be one, or undefined for other operators. */
export function layerOf(node: NodeProto, view: GraphView): Layer | string | undefined {
  if (node.domain !== '' && node.domain !== 'ai.onnx') return undefined
  switch (node.opType) {
    case 'Conv':
    case 'MatMul':
    case 'Gemm':
      return product(node, view)
    case 'ConvTranspose':
      return 'ONNX Runtime has no integer kernel for transposed convolutions'
    default:
      return undefined
  }
}

function product(node: NodeProto, view: GraphView): Layer | string {
  const [input = '', weightName = '', biasName = ''] = node.input
  const weight = view.constant(weightName)
  if (weight === undefined) return 'its weight is not a constant'
  if (weight.dataType !== DataType.FLOAT) return 'its weight is not FP32'
  if (view.constant(input) !== undefined) return 'its input is a constant'
  const isConv = node.opType === 'Conv'
  if (isConv ? weight.dims.length < 3 : weight.dims.length !== 2)
    return `its weight has ${weight.dims.length} dimensions`
  if (weight.dims.includes(0n)) return 'its weight is empty'
  if (intOf(node, 'transA', 0) === 1) return 'its input is transposed'
  const bias = biasName === '' ? undefined : view.constant(biasName)
  if (biasName !== '' && bias === undefined) return 'its bias is not a constant'
  const axis = isConv || intOf(node, 'transB', 0) === 1 ? 0 : 1
  const channels = Number(weight.dims[axis])
  if (bias && (bias.dataType !== DataType.FLOAT || !fitsChannels(bias, channels))) {
    return 'its bias does not have one float per channel'
  }
  const isGemm = node.opType === 'Gemm'
  return {
    node,
    weight,
    bias,
    axis,
    quantizedOutput: isConv,
    takesBias: isConv || isGemm,
    factors: isGemm ? [floatOf(node, 'alpha', 1), floatOf(node, 'beta', 1)] : [1, 1],
  }
}

/** [N], [1, N], or one for all. */
function fitsChannels({ dims }: TensorProto, channels: number): boolean {
  const last = Number(dims.at(-1) ?? 1n)
  return dims.slice(0, -1).every((size) => size === 1n) && (last === channels || last === 1)
}

/** Operators of which ONNX Runtime has kernels that compute in eight bits, besides layers. */
const ARITHMETIC: ReadonlySet<string> = new Set([
  'Add',
  'AveragePool',
  'Concat',
  'GlobalAveragePool',
  'LeakyRelu',
  'Mul',
  'Sigmoid',
])

/** Operators that only move, repeat or leave out what their first input holds. */
const PRESERVING: ReadonlySet<string> = new Set([
  'Expand',
  'Flatten',
  'Gather',
  'MaxPool',
  'Reshape',
  'Resize',
  'Slice',
  'Split',
  'Squeeze',
  'Tile',
  'Transpose',
  'Unsqueeze',
])

/** Inputs that hold activations, of an operator that can run on eight bits; undefined for others. */
export function arithmeticInputs(node: NodeProto): readonly string[] | undefined {
  if (node.domain !== '' || !ARITHMETIC.has(node.opType)) return undefined
  return node.input
}

/** Whether a node only moves its first input's elements, so that eight bits pass through as they are. */
export function isPreserving(node: NodeProto): boolean {
  if (node.domain !== '' || !PRESERVING.has(node.opType)) return false
  if (node.opType === 'MaxPool') return node.output.filter((name) => name !== '').length === 1
  if (node.opType === 'Resize') return stringOf(node, 'mode', 'nearest') === 'nearest'
  return true
}

/**
 * Whether a node cuts off everything below zero and perhaps above some number, which quantizing to a range that begins
 * at zero does anyway.
 */
export function isCut(node: NodeProto, view: GraphView): boolean {
  if (node.domain !== '') return false
  if (node.opType === 'Relu') return true
  return node.opType === 'Clip' && bound(node.input[1], view) === 0 && bound(node.input[2], view) !== null
}

/** A bound of a Clip: undefined where it has none, null where it is not known. */
function bound(name: string | undefined, view: GraphView): number | undefined | null {
  if (name === undefined || name === '') return undefined
  const producer = view.producer(name)
  const tensor = producer?.opType === 'Constant' ? attributeOf(producer, 'value')?.t : view.constant(name)
  if (tensor?.dataType !== DataType.FLOAT) return null
  return floatsOf(tensor)[0] ?? null
}
