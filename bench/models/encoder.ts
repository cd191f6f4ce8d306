import { tensor } from '../../src/core/tensors.ts'
import { Graph } from './graph.ts'
import { gelu, layerNorm } from './layers.ts'
import { normals } from './random.ts'

/** Sizes of a BERT encoder. */
export interface EncoderShape {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly ffn: number
  readonly vocabulary: number
  /** Most tokens of a text. */
  readonly positions: number
}

export type Precision = 'fp32' | 'int8'

/** sentence-transformers/all-MiniLM-L6-v2. */
export const MINILM: EncoderShape = {
  layers: 6,
  hidden: 384,
  heads: 12,
  ffn: 1536,
  vocabulary: 30_522,
  positions: 512,
}

/** bert-base-uncased. */
export const BERT_BASE: EncoderShape = { ...MINILM, layers: 12, hidden: 768, ffn: 3072 }

/** As BERT's weights are initialized. */
const DEVIATION = 0.02
/** Every so many hidden channels one is an outlier, as in trained encoders, where few channels carry large values. */
const OUTLIER_STRIDE = 128
const OUTLIER_GAIN = 6
const EPSILON = 1e-12
/** What a masked position's score is lowered by. */
const MASKED = -10_000
const ONNX_FLOAT = 1

/**
 * An encoder with made-up weights: INT64 `input_ids`, `attention_mask` [batch, sequence] -> FP32 `last_hidden_state`
 * [batch, sequence, hidden].
 *
 * `int8` is what `onnxruntime.quantization.quantize_dynamic` writes: weights and embeddings int8 with one scale each,
 * activations quantized to uint8 when they come, products of constants by MatMulInteger, all else in float.
 */
export function encoderModel(shape: EncoderShape, precision: Precision): Uint8Array<ArrayBuffer> {
  const layers = new EncoderGraph(shape, precision)
  let hidden = layers.embed('input_ids')
  const mask = layers.mask('attention_mask')
  for (let layer = 0; layer < shape.layers; layer++) hidden = layers.layer(`layer.${layer}`, hidden, mask)
  const tokens = ['batch', 'sequence']
  return layers.graph.model(
    [
      { name: 'input_ids', datatype: 'INT64', shape: tokens },
      { name: 'attention_mask', datatype: 'INT64', shape: tokens },
    ],
    { name: 'last_hidden_state', datatype: 'FP32', shape: [...tokens, shape.hidden] },
    hidden,
  )
}

class EncoderGraph {
  readonly graph = new Graph()
  readonly #shape: EncoderShape
  readonly #precision: Precision
  /** Activations already quantized: Q, K and V share one. */
  readonly #quantized = new Map<string, readonly string[]>()

  constructor(shape: EncoderShape, precision: Precision) {
    this.#shape = shape
    this.#precision = precision
  }

  embed(ids: string): string {
    const { graph } = this
    const { hidden, positions, vocabulary } = this.#shape
    const words = this.#lookup('embeddings.word', vocabulary, ids)
    const length = graph.node('Gather', [graph.node('Shape', [ids]), graph.integers('axis.sequence', [1])])
    const range = graph.weight(
      'embeddings.range',
      tensor(
        'INT64',
        [positions],
        BigInt64Array.from({ length: positions }, (_, index) => BigInt(index)),
      ),
    )
    const used = graph.node('Slice', [range, graph.integers('zero', [0]), length])
    const places = this.#lookup('embeddings.position', positions, used)
    const type = graph.weight('embeddings.type', tensor('FP32', [hidden], normals('type', hidden, DEVIATION)))
    const sum = graph.node('Add', [graph.node('Add', [words, places]), type])
    return this.#normalize('embeddings.norm', sum)
  }

  mask(mask: string): string {
    const { graph } = this
    const wide = graph.node('Unsqueeze', [mask, graph.integers('axes.mask', [1, 2])])
    const float = graph.node('Cast', [wide], { to: { int: ONNX_FLOAT } })
    const absent = graph.node('Sub', [graph.scalar('one', 1), float])
    return graph.node('Mul', [absent, graph.scalar('masked', MASKED)])
  }

  layer(name: string, input: string, mask: string): string {
    const { graph } = this
    const { ffn, heads, hidden } = this.#shape
    const width = hidden / heads
    const heading = (part: string, perm: readonly number[]): string => {
      const split = graph.node('Reshape', [
        this.#linear(`${name}.${part}`, input, hidden, hidden),
        graph.integers('shape.heads', [0, 0, heads, width]),
      ])
      return graph.node('Transpose', [split], { perm: { ints: perm } })
    }
    const query = heading('query', [0, 2, 1, 3])
    const key = heading('key', [0, 2, 3, 1])
    const value = heading('value', [0, 2, 1, 3])
    const products = graph.node('MatMul', [query, key])
    const scores = graph.node('Div', [products, graph.scalar('attention.scale', Math.sqrt(width))])
    const shares = graph.node('Softmax', [graph.node('Add', [scores, mask])], { axis: { int: -1 } })
    const mixed = graph.node('Transpose', [graph.node('MatMul', [shares, value])], { perm: { ints: [0, 2, 1, 3] } })
    const joined = graph.node('Reshape', [mixed, graph.integers('shape.joined', [0, 0, hidden])])
    const attended = this.#linear(`${name}.attention`, joined, hidden, hidden)
    const middle = this.#normalize(`${name}.norm1`, graph.node('Add', [attended, input]))
    const wide = gelu(graph, this.#linear(`${name}.wide`, middle, hidden, ffn))
    const narrow = this.#linear(`${name}.narrow`, wide, ffn, hidden)
    return this.#normalize(`${name}.norm2`, graph.node('Add', [narrow, middle]))
  }

  /** A table's rows by index. */
  #lookup(name: string, rows: number, indices: string): string {
    const { graph } = this
    const { hidden } = this.#shape
    const table = normals(name, rows * hidden, DEVIATION)
    if (this.#precision === 'fp32') {
      return graph.node('Gather', [graph.weight(name, tensor('FP32', [rows, hidden], table)), indices])
    }
    const [weight, scale, zero] = this.#quantize(name, [rows, hidden], table)
    return graph.node('DequantizeLinear', [graph.node('Gather', [weight, indices]), scale, zero])
  }

  #linear(name: string, input: string, inner: number, outer: number): string {
    const { graph } = this
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

  #quantizedInput(input: string): readonly [string, string, string] {
    const names = this.#quantized.get(input) ?? this.graph.nodes('DynamicQuantizeLinear', [input], 3)
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
      this.graph.weight(`${name}_quantized`, tensor('INT8', shape, quantized)),
      this.graph.scalar(`${name}_scale`, scale),
      this.graph.weight(`${name}_zero_point`, tensor('INT8', [], Int8Array.of(0))),
    ]
  }

  #normalize(name: string, input: string): string {
    const { hidden } = this.#shape
    const gainOf = (value: number, channel: number): number =>
      (1 + value) * (channel % OUTLIER_STRIDE === OUTLIER_STRIDE - 1 ? OUTLIER_GAIN : 1)
    return layerNorm(this.graph, name, input, { hidden, epsilon: EPSILON, gainOf })
  }
}
