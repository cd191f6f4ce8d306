import { DataType, dimsOf, makeTensor } from '../onnx/data.ts'
import type { GraphView } from '../onnx/graph.ts'
import { floatOf, intOf, makeNode } from '../onnx/make.ts'
import type { NodeProto, TensorProto } from '../onnx/schema/onnx_pb.js'
import { LEAST_ELEMENTS, nameOf } from './weights.ts'

/** A product of an activation and a constant matrix, `MatMul` or `Gemm`, as `alpha * (input x weight) + bias`. */
export interface ConstantProduct {
  readonly node: NodeProto
  readonly weight: TensorProto
  /** Rows of the matrix as it is multiplied: what is summed over. */
  readonly inner: number
  /** Columns of the matrix as it is multiplied. */
  readonly outer: number
  /** Whether it is stored the other way round, [outer, inner]. */
  readonly transposed: boolean
  readonly alpha: number
}

export type Found = ConstantProduct | { readonly reason: string }

/** The product that a node is; why it cannot be quantised; undefined where there is no constant matrix in it. */
export function constantProduct(view: GraphView, node: NodeProto): Found | undefined {
  if (node.domain !== '' && node.domain !== 'ai.onnx') return undefined
  if (node.opType !== 'MatMul' && node.opType !== 'Gemm') return undefined
  const [input = '', name = ''] = node.input
  const weight = view.constant(name)
  if (!weight) return elsewhere(view, input, name)
  if (view.constant(input)) return { reason: 'both of its factors are constants: fold them first' }
  if (weight.dataType !== DataType.FLOAT) return { reason: 'its weight is not of 32-bit floats' }
  const dims = dimsOf(weight)
  const [rows = 0, columns = 0] = dims
  if (dims.length !== 2) return { reason: `its weight has ${dims.length} dimensions and not two` }
  if (rows * columns < LEAST_ELEMENTS) return { reason: `its weight has only ${rows * columns} elements` }
  const transposed = node.opType === 'Gemm' && intOf(node, 'transB', 0) !== 0
  const [inner, outer] = transposed ? [columns, rows] : [rows, columns]
  const alpha = node.opType === 'Gemm' ? floatOf(node, 'alpha', 1) : 1
  if (!Number.isFinite(alpha) || alpha === 0) return { reason: `its factor alpha is ${alpha}` }
  return { node, weight, inner, outer, transposed, alpha }
}

/** Why the second factor is not a constant, where that is worth telling. */
function elsewhere(view: GraphView, input: string, name: string): Found | undefined {
  if (view.isInput(name) && view.graph.initializer.some((tensor) => tensor.name === name)) {
    return { reason: 'its weight is also an input of the model, which callers may set' }
  }
  if (view.constant(input)) return { reason: 'its weight is the first factor' }
  return undefined
}

/** What stands around a product's new nodes. */
export interface Surroundings {
  /** The activation, as the product takes it. */
  readonly input: string
  /** What the product proper is to be called: the node's own output where no bias is added to it. */
  readonly result: string
  readonly nodes: readonly NodeProto[]
  readonly initializers: readonly TensorProto[]
}

/** Nodes that do what `Gemm` does beside multiplying: turn its input round, add its bias, scale it by beta. */
export function surround({ node }: ConstantProduct, fresh: (base: string) => string): Surroundings {
  const output = node.output[0] as string
  const [input = '', , bias = ''] = node.input
  if (node.opType === 'MatMul') return { input, result: output, nodes: [], initializers: [] }
  const nodes: NodeProto[] = []
  const initializers: TensorProto[] = []
  const add = (op: string, inputs: readonly string[], result: string): string => {
    nodes.push(makeNode({ op, inputs, outputs: [result], name: fresh(`${nameOf(node)}_${op}`) }))
    return result
  }
  const turned = intOf(node, 'transA', 0) === 0 ? input : add('Transpose', [input], fresh(`${input}_transposed`))
  const beta = floatOf(node, 'beta', 1)
  if (bias === '' || beta === 0) return { input: turned, result: output, nodes, initializers }
  let addend = bias
  if (beta !== 1) {
    const factor = makeTensor(fresh(`${output}_beta`), DataType.FLOAT, [], Float32Array.of(beta))
    initializers.push(factor)
    addend = add('Mul', [bias, factor.name], fresh(`${bias}_scaled`))
  }
  const result = fresh(`${output}_product`)
  add('Add', [result, addend], output)
  return { input: turned, result, nodes, initializers }
}
