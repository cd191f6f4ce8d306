import { countOf, DataType } from '../onnx/data.ts'
import { safeName } from '../onnx/errors.ts'
import { type GraphView, graphsOf } from '../onnx/graph.ts'
import { isStandard } from '../onnx/make.ts'
import type { ModelProto, NodeProto, TensorProto } from '../onnx/schema/onnx_pb.js'
import { type Matrix, matrixOf } from './shared/products.ts'
import { LEAST_ELEMENTS, nameOf } from './shared/weights.ts'
import type { SkippedLayer } from './types.ts'

/** Operators of ONNX's own that multiply by a weight and that no pass takes, unless the pass says so itself. */
const MULTIPLYING: ReadonlySet<string> = new Set([
  'Conv',
  'ConvTranspose',
  'Einsum',
  'GRU',
  'Gemm',
  'LSTM',
  'MatMul',
  'RNN',
])

/**
 * Nodes with a large weight in float that no pass has a form for: `Einsum`, products that an optimizer fused with what
 * stands around them, and operators of other domains.
 * @param model before quantizing, with names for all nodes
 * @param mentioned names of nodes that something is said of already
 * @param excluded nodes that a person wants as they are
 */
export function unquantizedLayers(
  model: ModelProto,
  mentioned: ReadonlySet<string>,
  excluded: (node: NodeProto) => boolean,
): SkippedLayer[] {
  return graphsOf(model).flatMap((view) =>
    view.graph.node.flatMap((node) => {
      const weight = mentioned.has(nameOf(node)) || excluded(node) ? undefined : weightOf(node, view)
      if (weight === undefined) return []
      return [{ node: nameOf(node), op: node.opType, reason: reasonFor(node, weight) }]
    }),
  )
}

function weightOf(node: NodeProto, view: GraphView): Matrix | undefined {
  if (isStandard(node) && !MULTIPLYING.has(node.opType)) return undefined
  return node.input
    .map((value) => matrixOf(view, value))
    .find((weight) => weight !== undefined && isLarge(weight.tensor))
}

function isLarge(tensor: TensorProto): boolean {
  return tensor.dataType === DataType.FLOAT && tensor.dims.length >= 2 && countOf(tensor) >= LEAST_ELEMENTS
}

function reasonFor(node: NodeProto, { tensor, through }: Matrix): string {
  if (through) return `its weight "${safeName(tensor.name)}" is read through ${through.opType}`
  if (isStandard(node)) return `${node.opType} is not quantized by this method`
  const op = safeName(node.opType)
  if (node.domain === 'com.microsoft') {
    return `${op} is an operator that ONNX Runtime's optimizer wrote: quantize the model as it was before the optimization`
  }
  return `${op} is an operator of the domain "${safeName(node.domain)}", which is not quantized`
}
