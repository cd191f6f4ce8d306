import { type Tensor, tensor } from '../src/core/tensors.ts'
import { type AttributeValue, type NodeSpec, onnxModel, type ValueInfo } from './onnx.ts'

/** Collects the nodes and weights of one model, naming values as they come. */
export class Graph {
  readonly #nodes: NodeSpec[] = []
  readonly #initializers: Record<string, Tensor> = {}
  #values = 0

  /** Adds a node and returns the names of its `outputs` results. */
  nodes(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string[] {
    const names = Array.from({ length: outputs }, () => `v${this.#values++}`)
    this.#nodes.push({ op, inputs, outputs: names, attributes })
    return names
  }

  /** Adds a node with one result and returns its name. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeValue>> = {}): string {
    return this.nodes(op, inputs, 1, attributes)[0] as string
  }

  /** Adds a weight and returns its name. */
  weight(name: string, value: Tensor): string {
    this.#initializers[name] = value
    return name
  }

  scalar(name: string, value: number): string {
    return this.weight(name, tensor('FP32', [], Float32Array.of(value)))
  }

  integers(name: string, values: readonly number[]): string {
    return this.weight(name, tensor('INT64', [values.length], BigInt64Array.from(values, BigInt)))
  }

  /** Serializes the model; `result` becomes its only output. */
  model(inputs: readonly ValueInfo[], output: ValueInfo, result: string): Uint8Array<ArrayBuffer> {
    return this.modelOf(inputs, [{ output, result }])
  }

  /** Serializes the model, whose outputs become the results that stand beside them. */
  modelOf(
    inputs: readonly ValueInfo[],
    results: readonly { readonly output: ValueInfo; readonly result: string }[],
  ): Uint8Array<ArrayBuffer> {
    const ends = results.map(({ output, result }) => ({ op: 'Identity', inputs: [result], outputs: [output.name] }))
    return onnxModel({
      inputs,
      outputs: results.map(({ output }) => output),
      nodes: [...this.#nodes, ...ends],
      initializers: this.#initializers,
    })
  }
}
