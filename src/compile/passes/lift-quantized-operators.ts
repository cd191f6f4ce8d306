import { DataType, dimsOf, floatsOf, makeTensor } from '../../onnx/data.ts'
import type { GraphView, Namer } from '../../onnx/graph.ts'
import { floatOf, intOf, makeAttribute, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { AttributeProto, NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { isOp } from '../pattern.ts'

/**
 * Operators that take and give eight bits (`QLinearConv`, `QLinearAdd`, ...) become those of floats between
 * `DequantizeLinear` and `QuantizeLinear`, as newer quantizers write them.
 */
export const liftQuantizedOperators: Pass = {
  name: 'lift-quantized-operators',
  *propose(view, { namer }) {
    for (const node of view.graph.node) {
      const operator = operatorOf(node)
      if (operator === undefined) continue
      const lifted = new Lifting(node, namer)
      const inputs = operator.inputs.map((input) => lifted.floats(input))
      const bias = operator.bias && lifted.bias(view, operator.bias)
      if (operator.bias !== undefined && bias === undefined) continue
      yield lifted.patch(operator, bias === undefined ? inputs : [...inputs, bias])
    }
  },
}

/** A value in eight bits with its scale and zero point, and the axis that scales lie along. */
type Eight = readonly [value: string, scale: string, zero: string, axis?: number | undefined]

interface Operator {
  readonly op: string
  readonly inputs: readonly Eight[]
  /** Sums in 32 bits, of the scales of an input and its weight. */
  readonly bias?: readonly [value: string, input: string, weight: string]
  readonly result: readonly [scale: string, zero: string]
  /** Beside those that the node has. */
  readonly attributes?: readonly AttributeProto[]
}

function operatorOf(node: NodeProto): Operator | undefined {
  const input = (index: number): string => node.input[index] ?? ''
  const eight = (index: number, axis?: number): Eight => [input(index), input(index + 1), input(index + 2), axis]
  const result = (index: number) => [input(index), input(index + 1)] as const
  if (isOp(node, 'QLinearConv')) {
    const bias = input(8) === '' ? {} : { bias: [input(8), input(1), input(4)] as const }
    return { op: 'Conv', inputs: [eight(0), eight(3, 0)], result: result(6), ...bias }
  }
  if (isOp(node, 'QLinearMatMul')) return { op: 'MatMul', inputs: [eight(0), eight(3, 1)], result: result(6) }
  if (node.domain !== 'com.microsoft') return undefined
  switch (node.opType) {
    case 'QLinearAdd':
    case 'QLinearMul':
      return { op: node.opType.slice(7), inputs: [eight(0), eight(3)], result: result(6) }
    case 'QLinearSigmoid':
    case 'QLinearLeakyRelu':
      return { op: node.opType.slice(7), inputs: [eight(0)], result: result(3) }
    case 'QLinearGlobalAveragePool':
    case 'QLinearAveragePool':
      if (intOf(node, 'channels_last', 0) !== 0) return undefined
      return { op: node.opType.slice(7), inputs: [eight(0)], result: result(3) }
    case 'QLinearConcat': {
      const count = (node.input.length - 2) / 3
      return { op: 'Concat', inputs: Array.from({ length: count }, (_, at) => eight(2 + 3 * at)), result: result(0) }
    }
    case 'QGemm': {
      // Without a scale for its result it gives floats.
      if (input(7) === '') return undefined
      const axis = intOf(node, 'transB', 0) === 0 ? 1 : 0
      const bias = input(6) === '' ? {} : { bias: [input(6), input(1), input(4)] as const }
      // Its factor is of the product and of what is added.
      const attributes = [makeAttribute('beta', { float: floatOf(node, 'alpha', 1) })]
      return { op: 'Gemm', inputs: [eight(0), eight(3, axis)], result: result(7), attributes, ...bias }
    }
    default:
      return undefined
  }
}

/** The nodes around one operator. */
class Lifting {
  readonly #node: NodeProto
  readonly #namer: Namer
  readonly #nodes: NodeProto[] = []
  readonly #initializers: TensorProto[] = []

  constructor(node: NodeProto, namer: Namer) {
    this.#node = node
    this.#namer = namer
  }

  floats([value, scale, zero, axis]: Eight): string {
    const result = this.#namer.fresh(`${value}_floats`)
    this.#nodes.push(
      makeNode({
        op: 'DequantizeLinear',
        inputs: [value, scale, ...(zero === '' ? [] : [zero])],
        outputs: [result],
        name: this.#namer.fresh(`${this.#node.name}_${value}`),
        ...(axis !== undefined && { attributes: { axis: { int: axis } } }),
      }),
    )
    return result
  }

  /** Undefined where the scales are no constants. */
  bias(view: GraphView, [value, input, weight]: NonNullable<Operator['bias']>): string | undefined {
    const [factor, scales] = [view.constant(input), view.constant(weight)]
    if (factor === undefined || scales === undefined) return undefined
    const [by = 1] = floatsOf(factor)
    const products = floatsOf(scales).map((scale) => scale * by)
    const name = this.#namer.fresh(`${value}_scale`)
    const dims = products.length === 1 ? [] : dimsOf(scales)
    this.#initializers.push(makeTensor(name, DataType.FLOAT, dims, products))
    return this.floats([value, name, '', 0])
  }

  patch({ attributes = [], op, result: [scale, zero] }: Operator, inputs: readonly string[]) {
    const { attribute, name, opType, output } = this.#node
    const floats = this.#namer.fresh(`${output[0]}_floats`)
    const computed = makeNode({ op, inputs, outputs: [floats], name })
    const own = ['channels_last']
    return {
      what: `lift ${opType} ${name} to floats`,
      remove: [this.#node],
      add: [
        ...this.#nodes,
        { ...computed, attribute: [...attribute.filter((item) => !own.includes(item.name)), ...attributes] },
        makeNode({
          op: 'QuantizeLinear',
          inputs: [floats, scale, ...(zero === '' ? [] : [zero])],
          outputs: [...output],
          name: this.#namer.fresh(`${name}_quantize`),
        }),
      ],
      initializers: this.#initializers,
      opsets: { '': 13 },
    }
  }
}
