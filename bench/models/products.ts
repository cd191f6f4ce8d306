import { tensor } from '../../src/core/tensors.ts'
import type { Graph } from '../../synthetic/graph.ts'
import { normals } from '../../synthetic/random.ts'

export type Precision = 'fp32' | 'int8'

/** As transformers' weights are initialized. */
export const DEVIATION = 0.02
const ONNX_FLOAT = 1

/**
 * Products with made-up weights. `int8` is what `onnxruntime.quantization.quantize_dynamic` writes: weights int8 with one scale
 * each, activations quantized to uint8 when they come.
 */
export class Products {
  readonly #graph: Graph
  readonly #precision: Precision
  /** Activations already quantized: Q, K and V share one. */
  readonly #quantized = new Map<string, readonly string[]>()

  constructor(graph: Graph, precision: Precision) {
    this.#graph = graph
    this.#precision = precision
  }

  /** A product with a bias. */
  linear(name: string, input: string, inner: number, outer: number): string {
    const graph = this.#graph
    const values = normals(name, inner * outer, DEVIATION)
    const bias = graph.weight(`${name}.bias`, tensor('FP32', [outer], normals(`${name}.bias`, outer, DEVIATION)))
    if (this.#precision === 'fp32') {
      const weight = graph.weight(name, tensor('FP32', [inner, outer], values))
      return graph.node('Add', [graph.node('MatMul', [input, weight]), bias])
    }
    const [weight, weightScale, weightZero] = this.#quantize(name, [inner, outer], values)
    const [rows, rowScale, rowZero] = this.#quantizedInput(input)
    const sums = graph.node('MatMulInteger', [rows, weight, rowZero, weightZero])
    const float = graph.node('Cast', [sums], { to: { int: ONNX_FLOAT } })
    const scaled = graph.node('Mul', [float, graph.node('Mul', [rowScale, weightScale])])
    return graph.node('Add', [scaled, bias])
  }

  /** A table's rows by index. */
  lookup(name: string, shape: readonly [rows: number, width: number], indices: string): string {
    const graph = this.#graph
    const table = normals(name, shape[0] * shape[1], DEVIATION)
    if (this.#precision === 'fp32')
      return graph.node('Gather', [graph.weight(name, tensor('FP32', shape, table)), indices])
    const [weight, scale, zero] = this.#quantize(name, shape, table)
    return graph.node('DequantizeLinear', [graph.node('Gather', [weight, indices]), scale, zero])
  }

  #quantizedInput(input: string): readonly [string, string, string] {
    const names = this.#quantized.get(input) ?? this.#graph.nodes('DynamicQuantizeLinear', [input], 3)
    this.#quantized.set(input, names)
    return names as unknown as readonly [string, string, string]
  }

  /** Symmetric, one scale for the whole tensor. */
  #quantize(
    name: string,
    shape: readonly number[],
    values: Float32Array,
  ): readonly [weight: string, scale: string, zero: string] {
    let largest = 0
    for (const value of values) largest = Math.max(largest, Math.abs(value))
    const scale = Math.fround(largest / 127)
    const quantized = new Int8Array(values.length)
    for (let index = 0; index < values.length; index++) quantized[index] = Math.round((values[index] ?? 0) / scale)
    return [
      this.#graph.weight(`${name}_quantized`, tensor('INT8', shape, quantized)),
      this.#graph.scalar(`${name}_scale`, scale),
      this.#graph.weight(`${name}_zero_point`, tensor('INT8', [], Int8Array.of(0))),
    ]
  }
}
