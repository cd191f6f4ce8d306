import { countOf, DataType, dimsOf, makeTensor } from '../../onnx/data.ts'
import { safeName } from '../../onnx/errors.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { attributeOf, floatOf, intOf, makeNode } from '../../onnx/make.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
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
  /** The `Transpose` that the product reads the weight through: of a weight that is a table elsewhere. */
  readonly through: NodeProto | undefined
}

export type Found = ConstantProduct | { readonly reason: string }

/** The product that a node is; why it cannot be quantized; undefined where there is no constant matrix in it. */
export function constantProduct(view: GraphView, node: NodeProto): Found | undefined {
  if (node.domain !== '' && node.domain !== 'ai.onnx') return undefined
  if (node.opType !== 'MatMul' && node.opType !== 'Gemm') return undefined
  const [input = '', name = ''] = node.input
  const { tensor: weight, through } = matrixOf(view, name) ?? {}
  if (!weight) return elsewhere(view, input, name)
  if (view.constant(input)) return { reason: 'both of its factors are constants: fold them first' }
  if (weight.dataType !== DataType.FLOAT) return { reason: 'its weight is not FP32' }
  const dims = dimsOf(weight)
  const [rows = 0, columns = 0] = dims
  if (dims.length !== 2) return { reason: `its weight has ${dims.length} dimensions instead of two` }
  if (rows * columns < LEAST_ELEMENTS) return { reason: `its weight has only ${rows * columns} elements` }
  const turnedByGemm = node.opType === 'Gemm' && intOf(node, 'transB', 0) !== 0
  const transposed = turnedByGemm !== (through !== undefined)
  const [inner, outer] = transposed ? [columns, rows] : [rows, columns]
  const alpha = node.opType === 'Gemm' ? floatOf(node, 'alpha', 1) : 1
  if (!Number.isFinite(alpha) || alpha === 0) return { reason: `its factor alpha is ${alpha}` }
  return { node, weight, inner, outer, transposed, alpha, through }
}

/** A constant, and the `Transpose` of two dimensions that it is read through where there is one. */
export interface Matrix {
  readonly tensor: TensorProto
  readonly through: NodeProto | undefined
}

/**
 * The constant that a value is, or is the transpose of. A transpose that is still in the graph is one of a tied weight:
 * others are computed beforehand.
 */
export function matrixOf(view: GraphView, value: string): Matrix | undefined {
  const tensor = view.constant(value)
  if (tensor) return { tensor, through: undefined }
  const through = view.producer(value)
  if (through?.opType !== 'Transpose' || (through.domain !== '' && through.domain !== 'ai.onnx')) return undefined
  const turned = view.constant(through.input[0] ?? '')
  if (turned?.dims.length !== 2 || turned.dataType !== DataType.FLOAT) return undefined
  const perm = attributeOf(through, 'perm')?.ints ?? []
  return perm.length === 0 || (perm[0] === 1n && perm[1] === 0n) ? { tensor: turned, through } : undefined
}

/** Operators that a weight may lie behind: those that constant folding did not compute. */
const BEHIND: ReadonlySet<string> = new Set(['Cast', 'Identity', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze'])
const MOST_BEHIND = 8

/** Why the second factor is not a constant, where that is worth telling. */
function elsewhere(view: GraphView, input: string, name: string): Found | undefined {
  if (view.isInput(name) && view.graph.initializer.some((tensor) => tensor.name === name)) {
    return { reason: 'its weight is also an input of the model, which callers may set' }
  }
  if (view.constant(input)) return { reason: 'its weight is the first factor' }
  return behind(view, name)
}

function behind(view: GraphView, name: string): Found | undefined {
  const ops: string[] = []
  for (let value = name; ops.length < MOST_BEHIND; ) {
    const producer = view.producer(value)
    if (producer === undefined || !BEHIND.has(producer.opType)) return undefined
    ops.push(producer.opType)
    value = producer.input[0] ?? ''
    const constant = view.constant(value)
    if (!constant) continue
    if (countOf(constant) < LEAST_ELEMENTS) return undefined
    return { reason: `its weight "${safeName(constant.name)}" is read through ${ops.join(' and ')}` }
  }
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
