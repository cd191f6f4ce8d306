import { DataType, makeTensor } from '../../onnx/data.ts'
import type { Namer } from '../../onnx/graph.ts'
import { type AttributeValue, makeNode } from '../../onnx/make.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { DOMAIN } from '../pattern.ts'

/** Collects the nodes and constants that take the place of one node. */
export class GraphWriter {
  readonly nodes: NodeProto[] = []
  readonly initializers: TensorProto[] = []
  readonly #namer: Namer
  readonly #base: string

  constructor(namer: Namer, base: string) {
    this.#namer = namer
    this.#base = base
  }

  /** @returns the node's first output, which is `output` or gets a name of its own */
  node(
    op: string,
    inputs: readonly string[],
    {
      output = this.#namer.fresh(`${this.#base}_${op}`),
      more = [],
      attributes = {},
      domain = '',
    }: {
      readonly output?: string
      readonly more?: readonly string[]
      readonly attributes?: Readonly<Record<string, AttributeValue>>
      readonly domain?: string
    } = {},
  ): string {
    this.nodes.push(makeNode({ op, domain, inputs, outputs: [output, ...more], name: output, attributes }))
    return output
  }

  /** The compiler's own node. */
  fused(
    op: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, AttributeValue>>,
    more: readonly string[] = [],
  ): string {
    return this.node(op, inputs, { output, more, attributes, domain: DOMAIN })
  }

  whole(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.#constant(DataType.INT64, shape, BigInt64Array.from(values, BigInt))
  }

  number(value: number): string {
    return this.#constant(DataType.FLOAT, [], Float32Array.of(value))
  }

  #constant(type: DataType, shape: readonly number[], values: BigInt64Array | Float32Array): string {
    const name = this.#namer.fresh(`${this.#base}_constant`)
    this.initializers.push(makeTensor(name, type, shape, values))
    return name
  }
}
