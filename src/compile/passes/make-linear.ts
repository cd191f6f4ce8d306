import { DataType, dimsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { floatOf, intOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, DOMAIN, isOp, soleReader, Taken } from '../pattern.ts'

/**
 * Products with a constant matrix become `verge.Linear`: inputs x [..., K], weight [K, N] ([N, K] where `transposed` is
 * 1) and the bias [N] that is added to them, where one is.
 */
export const makeLinear: Pass = {
  name: 'make-linear',
  *propose(view) {
    const taken = new Taken()
    for (const node of view.graph.node) {
      const linear = linearOf(view, node)
      if (linear === undefined) continue
      const add = linear.bias === '' ? biasOf(view, node, linear.columns) : undefined
      const nodes = [node, ...(add ? [add.node] : [])]
      if (!taken.take(...nodes)) continue
      const bias = add?.bias ?? linear.bias
      yield {
        what: `make ${node.name} linear`,
        remove: nodes,
        add: [
          makeNode({
            op: 'Linear',
            domain: DOMAIN,
            inputs: [linear.input, linear.weight, bias],
            outputs: [(add?.node ?? node).output[0] ?? ''],
            name: node.name,
            attributes: { transposed: { int: linear.transposed ? 1 : 0 } },
          }),
        ],
      }
    }
  },
}

interface Linear {
  readonly input: string
  readonly weight: string
  readonly bias: string
  readonly transposed: boolean
  readonly columns: number
}

function linearOf(view: GraphView, node: NodeProto): Linear | undefined {
  const [input = '', weight = '', bias = ''] = node.input
  const dims = weightDims(view, weight)
  if (dims === undefined || view.constant(input) !== undefined) return undefined
  const [rows = 0, columns = 0] = dims
  if (isOp(node, 'MatMul')) return { input, weight, bias: '', transposed: false, columns }
  if (!isOp(node, 'Gemm') || floatOf(node, 'alpha', 1) !== 1 || intOf(node, 'transA', 0) !== 0) return undefined
  const transposed = intOf(node, 'transB', 0) !== 0
  const outer = transposed ? rows : columns
  if (bias !== '' && (floatOf(node, 'beta', 1) !== 1 || !isRow(view, bias, outer))) return undefined
  return { input, weight, bias, transposed, columns: outer }
}

/** Of a constant matrix, as floats or as `DequantizeLinear` gives it. */
function weightDims(view: GraphView, value: string): readonly number[] | undefined {
  const tensor = constantOf(view, value)
  const types = [DataType.FLOAT, DataType.FLOAT16, DataType.INT8, DataType.UINT8]
  if (tensor === undefined || !types.includes(tensor.dataType)) return undefined
  const dims = dimsOf(tensor)
  return dims.length === 2 ? dims : undefined
}

/** One number for each column: others are added by a step of their own. */
function isRow(view: GraphView, value: string, columns: number): boolean {
  const tensor = constantOf(view, value)
  if (tensor === undefined) return false
  const dims = dimsOf(tensor)
  return dims.length === 1 && dims[0] === columns
}

function constantOf(view: GraphView, value: string): TensorProto | undefined {
  const producer = view.producer(value)
  return view.constant(isOp(producer, 'DequantizeLinear') ? (producer.input[0] ?? '') : value)
}

function biasOf(
  view: GraphView,
  node: NodeProto,
  columns: number,
): { readonly node: NodeProto; readonly bias: string } | undefined {
  const add = soleReader(view, node.output[0])
  if (!isOp(add, 'Add')) return undefined
  for (const [value, bias] of bothWays(add)) {
    if (value === node.output[0] && isRow(view, bias, columns)) return { node: add, bias }
  }
  return undefined
}
