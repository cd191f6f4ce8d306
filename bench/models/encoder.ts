import { tensor } from '../../src/core/tensors.ts'
import { Graph } from '../../synthetic/graph.ts'
import { normals } from '../../synthetic/random.ts'
import { gelu, layerNorm } from './layers.ts'
import { DEVIATION, type Precision, Products } from './products.ts'

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

/** distilbert-base-uncased: 66.4 million weights, in 8 bits about the most that an isolate holds. */
export const DISTILBERT: EncoderShape = { ...BERT_BASE, layers: 6 }

/** Between MiniLM and DistilBERT: 58 million weights. */
export const MEDIUM: EncoderShape = { ...MINILM, layers: 10, hidden: 576, heads: 9, ffn: 2304 }

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
  readonly #products: Products

  constructor(shape: EncoderShape, precision: Precision) {
    this.#shape = shape
    this.#products = new Products(this.graph, precision)
  }

  embed(ids: string): string {
    const { graph } = this
    const { hidden, positions, vocabulary } = this.#shape
    const words = this.#products.lookup('embeddings.word', [vocabulary, hidden], ids)
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
    const places = this.#products.lookup('embeddings.position', [positions, hidden], used)
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
        this.#products.linear(`${name}.${part}`, input, hidden, hidden),
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
    const attended = this.#products.linear(`${name}.attention`, joined, hidden, hidden)
    const middle = this.#normalize(`${name}.norm1`, graph.node('Add', [attended, input]))
    const wide = gelu(graph, this.#products.linear(`${name}.wide`, middle, hidden, ffn))
    const narrow = this.#products.linear(`${name}.narrow`, wide, ffn, hidden)
    return this.#normalize(`${name}.norm2`, graph.node('Add', [narrow, middle]))
  }

  #normalize(name: string, input: string): string {
    const { hidden } = this.#shape
    const gainOf = (value: number, channel: number): number =>
      (1 + value) * (channel % OUTLIER_STRIDE === OUTLIER_STRIDE - 1 ? OUTLIER_GAIN : 1)
    return layerNorm(this.graph, name, input, { hidden, epsilon: EPSILON, gainOf })
  }
}
