import { DataType, dimsOf, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import type { TypeTable } from '../../onnx/infer/infer.ts'
import { makeNode } from '../../onnx/make.ts'
import type { PassContext, Patch } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { Halves } from '../shared/halves.ts'
import { isCastTo } from './casts.ts'

/** A constant and its elements in half precision. */
export interface HalvedConstant {
  readonly tensor: TensorProto
  readonly halves: Halves
}

/** The values in half precision that stand beside those of one graph. */
export class HalfCounterparts {
  readonly #view: GraphView
  readonly #types: TypeTable
  readonly #context: PassContext
  readonly #names = new Map<string, string>()

  constructor(view: GraphView, types: TypeTable, context: PassContext) {
    this.#view = view
    this.#types = types
    this.#context = context
    for (const node of view.graph.node) {
      const [from = ''] = node.input
      // An earlier round's.
      if (isCastTo(node, DataType.FLOAT16)) this.#names.set(from, node.output[0] ?? '')
    }
  }

  has(value: string): boolean {
    return this.#names.has(value)
  }

  /** Takes a constant that is there already for the half of another. */
  adopt(value: string, name: string): void {
    this.#names.set(value, name)
  }

  /** The half of a constant, to be an initializer of this graph. */
  constant(value: string, { tensor, halves }: HalvedConstant): TensorProto {
    return makeTensor(this.#fresh(value), DataType.FLOAT16, dimsOf(tensor), halves.bits)
  }

  /** The node in half precision, with what it needs that no patch before it has brought. */
  patch(
    node: NodeProto,
    inputs: readonly string[],
    outputs: readonly string[],
    constants: ReadonlyMap<string, HalvedConstant>,
  ): Patch {
    const add: NodeProto[] = []
    const initializers: TensorProto[] = []
    for (const value of new Set(inputs)) {
      if (this.#names.has(value)) continue
      const constant = constants.get(value)
      if (constant) initializers.push(this.constant(value, constant))
      else add.push(...this.#cast(value))
    }
    for (const value of outputs) {
      const name = this.#fresh(value)
      add.push(this.#castNode(name, value, DataType.FLOAT))
    }
    const half = (value: string, floats: readonly string[]): string =>
      floats.includes(value) ? (this.#names.get(value) ?? value) : value
    const converted: NodeProto = {
      ...node,
      input: node.input.map((value) => half(value, inputs)),
      output: node.output.map((value) => half(value, outputs)),
    }
    return { what: `fp16 ${node.name || node.opType}`, remove: [node], add: [...add, converted], initializers }
  }

  /** The nodes that make a value's half; none where there is one already. */
  #cast(value: string): NodeProto[] {
    const producer = this.#view.producer(value)
    const [source = ''] = producer?.input ?? []
    const isCast = producer?.opType === 'Cast' && producer.domain === ''
    if (isCast && this.#types.of(this.#view.graph, source).elementType === DataType.FLOAT16) {
      this.#names.set(value, source)
      return []
    }
    // Straight from what was cast to a float: whole numbers need no step between.
    return [this.#castNode(isCast ? source : value, this.#fresh(value), DataType.FLOAT16)]
  }

  #fresh(value: string): string {
    const name = this.#context.namer.fresh(`${value}_fp16`)
    this.#names.set(value, name)
    return name
  }

  #castNode(from: string, to: string, type: DataType): NodeProto {
    const name = this.#context.namer.fresh(`${to}_cast`)
    return makeNode({ op: 'Cast', name, inputs: [from], outputs: [to], attributes: { to: { int: type } } })
  }
}
