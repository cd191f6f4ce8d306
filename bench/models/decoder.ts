import { tensor } from '../../src/core/tensors.ts'
import { Graph } from '../../synthetic/graph.ts'
import type { ValueInfo } from '../../synthetic/onnx.ts'
import { normals } from '../../synthetic/random.ts'
import { gelu, layerNorm } from './layers.ts'

/** Sizes of a causal language model. */
export interface DecoderShape {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly vocabulary: number
  /** Most tokens of a text. */
  readonly positions: number
}

/** openai-community/gpt2: 124 million parameters. */
export const GPT2: DecoderShape = { layers: 12, hidden: 768, heads: 12, vocabulary: 50_257, positions: 1024 }

/** As GPT-2's weights are initialized. */
const DEVIATION = 0.02
const EPSILON = 1e-5
/** What a position that may not be seen adds to its score. */
const HIDDEN_SCORE = -1e9
const ONNX_FLOAT = 1

/**
 * A decoder of GPT-2's shape with made-up weights and its inputs and outputs as Hugging Face exports have them: INT64
 * `input_ids`, `position_ids` [batch, sequence], `attention_mask` [batch, past + sequence], FP32
 * `past_key_values.N.key|value` [batch, heads, past, width] -> FP32 `logits` [batch, sequence, vocabulary],
 * `present.N.key|value` [batch, heads, past + sequence, width]. As in GPT-2, the table of words is that of the logits too.
 */
export function decoderModel(shape: DecoderShape): Uint8Array<ArrayBuffer> {
  const { heads, hidden, layers, vocabulary } = shape
  const decoder = new DecoderGraph(shape)
  let value = decoder.embed()
  const mask = decoder.mask()
  const present: { output: ValueInfo; result: string }[] = []
  const cacheOf = (name: string, length: string): ValueInfo => ({
    name,
    datatype: 'FP32',
    shape: ['batch', heads, length, hidden / heads],
  })
  for (let layer = 0; layer < layers; layer++) {
    const made = decoder.layer(layer, value, mask)
    value = made.value
    present.push({ output: cacheOf(`present.${layer}.key`, 'total'), result: made.key })
    present.push({ output: cacheOf(`present.${layer}.value`, 'total'), result: made.values })
  }
  const tokens = ['batch', 'sequence']
  const past = Array.from({ length: layers }, (_, layer) => [
    cacheOf(`past_key_values.${layer}.key`, 'past'),
    cacheOf(`past_key_values.${layer}.value`, 'past'),
  ])
  return decoder.graph.modelOf(
    [
      { name: 'input_ids', datatype: 'INT64', shape: tokens },
      { name: 'attention_mask', datatype: 'INT64', shape: ['batch', 'total'] },
      { name: 'position_ids', datatype: 'INT64', shape: tokens },
      ...past.flat(),
    ],
    [
      {
        output: { name: 'logits', datatype: 'FP32', shape: [...tokens, vocabulary] },
        result: decoder.logits(value),
      },
      ...present,
    ],
  )
}

class DecoderGraph {
  readonly graph = new Graph()
  readonly #shape: DecoderShape

  constructor(shape: DecoderShape) {
    this.#shape = shape
  }

  embed(): string {
    const { graph } = this
    const { hidden, positions, vocabulary } = this.#shape
    // Lies as the logits' product needs it; a word's vector is a column.
    const table = normals('words', hidden * vocabulary, DEVIATION)
    graph.weight('words', tensor('FP32', [hidden, vocabulary], table))
    const columns = graph.node('Gather', ['words', 'input_ids'], { axis: { int: 1 } })
    const words = graph.node('Transpose', [columns], { perm: { ints: [1, 2, 0] } })
    const places = normals('places', positions * hidden, DEVIATION)
    graph.weight('places', tensor('FP32', [positions, hidden], places))
    return graph.node('Add', [words, graph.node('Gather', ['places', 'position_ids'])])
  }

  /** What is added to scores [batch, heads, sequence, total]: nothing is seen that comes later, nor any padding. */
  mask(): string {
    const { graph } = this
    const integer = (name: string, value: bigint): string =>
      graph.weight(name, tensor('INT64', [], BigInt64Array.of(value)))
    const [zero, one] = [integer('zero', 0n), integer('one.integer', 1n)]
    const length = (of: string): string => graph.node('Gather', [graph.node('Shape', [of]), one])
    const total = length('attention_mask')
    const begin = graph.node('Sub', [total, length('input_ids')])
    const keys = graph.node('Range', [zero, total, one])
    const queries = graph.node('Range', [begin, total, one])
    const later = graph.node('Greater', [keys, graph.node('Unsqueeze', [queries, graph.integers('axis.last', [1])])])
    const hidden = graph.scalar('hidden', HIDDEN_SCORE)
    const unseen = graph.node('Mul', [graph.node('Cast', [later], { to: { int: ONNX_FLOAT } }), hidden])
    const wide = graph.node('Unsqueeze', ['attention_mask', graph.integers('axes.mask', [1, 2])])
    const float = graph.node('Cast', [wide], { to: { int: ONNX_FLOAT } })
    const padding = graph.node('Mul', [graph.node('Sub', [graph.scalar('one', 1), float]), hidden])
    return graph.node('Add', [unseen, padding])
  }

  layer(index: number, input: string, mask: string) {
    const { graph } = this
    const { heads, hidden } = this.#shape
    const name = `layer.${index}`
    const width = hidden / heads
    const inner = this.#normalize(`${name}.norm1`, input)
    const heading = (part: string): string => {
      const shape = graph.integers('shape.heads', [0, 0, heads, width])
      const split = graph.node('Reshape', [this.#linear(`${name}.${part}`, inner, hidden, hidden), shape])
      return graph.node('Transpose', [split], { perm: { ints: [0, 2, 1, 3] } })
    }
    const longer = (part: 'key' | 'value'): string =>
      graph.node('Concat', [`past_key_values.${index}.${part}`, heading(part)], { axis: { int: 2 } })
    const [query, key, values] = [heading('query'), longer('key'), longer('value')]
    const products = graph.node('MatMul', [query, graph.node('Transpose', [key], { perm: { ints: [0, 1, 3, 2] } })])
    const scores = graph.node('Div', [products, graph.scalar('attention.scale', Math.sqrt(width))])
    const shares = graph.node('Softmax', [graph.node('Add', [scores, mask])], { axis: { int: -1 } })
    const mixed = graph.node('Transpose', [graph.node('MatMul', [shares, values])], { perm: { ints: [0, 2, 1, 3] } })
    const joined = graph.node('Reshape', [mixed, graph.integers('shape.joined', [0, 0, hidden])])
    const middle = graph.node('Add', [input, this.#linear(`${name}.attention`, joined, hidden, hidden)])
    const wide = this.#linear(`${name}.wide`, this.#normalize(`${name}.norm2`, middle), hidden, 4 * hidden)
    const narrow = this.#linear(`${name}.narrow`, gelu(graph, wide), 4 * hidden, hidden)
    return { value: graph.node('Add', [middle, narrow]), key, values }
  }

  logits(value: string): string {
    return this.graph.node('MatMul', [this.#normalize('norm', value), 'words'])
  }

  #linear(name: string, input: string, inner: number, outer: number): string {
    const { graph } = this
    const weight = graph.weight(name, tensor('FP32', [inner, outer], normals(name, inner * outer, DEVIATION)))
    const bias = graph.weight(`${name}.bias`, tensor('FP32', [outer], normals(`${name}.bias`, outer, DEVIATION)))
    return graph.node('Add', [graph.node('MatMul', [input, weight]), bias])
  }

  #normalize(name: string, input: string): string {
    const { hidden } = this.#shape
    return layerNorm(this.graph, name, input, { hidden, epsilon: EPSILON, gainOf: (value) => 1 + value })
  }
}
