import { DataType, dimsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { floatOf, intOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
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
      const add = linear.bias === '' ? biasOf(view, node) : undefined
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
}

function linearOf(view: GraphView, node: NodeProto): Linear | undefined {
  const [input = '', weight = '', bias = ''] = node.input
  if (!isWeight(view, weight) || view.constant(input) !== undefined) return undefined
  if (isOp(node, 'MatMul')) return { input, weight, bias: '', transposed: false }
  if (!isOp(node, 'Gemm') || floatOf(node, 'alpha', 1) !== 1 || intOf(node, 'transA', 0) !== 0) return undefined
  if (bias !== '' && (floatOf(node, 'beta', 1) !== 1 || !isRow(view, bias))) return undefined
  return { input, weight, bias, transposed: intOf(node, 'transB', 0) !== 0 }
}

/** A constant matrix, as floats or as `DequantizeLinear` gives it. */
function isWeight(view: GraphView, value: string): boolean {
  const producer = view.producer(value)
  const tensor = view.constant(isOp(producer, 'DequantizeLinear') ? (producer.input[0] ?? '') : value)
  const types = [DataType.FLOAT, DataType.FLOAT16, DataType.INT8, DataType.UINT8]
  return tensor !== undefined && dimsOf(tensor).length === 2 && types.includes(tensor.dataType)
}

function isRow(view: GraphView, value: string): boolean {
  const producer = view.producer(value)
  const tensor = view.constant(isOp(producer, 'DequantizeLinear') ? (producer.input[0] ?? '') : value)
  return tensor !== undefined && dimsOf(tensor).length === 1
}

function biasOf(view: GraphView, node: NodeProto): { readonly node: NodeProto; readonly bias: string } | undefined {
  const add = soleReader(view, node.output[0])
  if (!isOp(add, 'Add')) return undefined
  for (const [value, bias] of bothWays(add)) {
    if (value === node.output[0] && isRow(view, bias)) return { node: add, bias }
  }
  return undefined
}
