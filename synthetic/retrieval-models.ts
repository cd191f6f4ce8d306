import { tensor } from '../src/core/tensors.ts'
import { Transformer } from './transformer.ts'

const SIZES = { hidden: 32, heads: 4, ffn: 64 }
const LAYERS = 2
const TOKENS = ['batch', 'sequence']
const INPUTS = ['input_ids', 'attention_mask'].map((name) => ({ name, datatype: 'INT64' as const, shape: TOKENS }))

export interface RetrievalModel {
  readonly vocabulary: number
  /** Most tokens of a text. */
  readonly positions: number
}

/** States of an encoder's tokens [batch, sequence, hidden], with made-up weights. */
function encoder(net: Transformer, { positions, vocabulary }: RetrievalModel): string {
  const { hidden } = SIZES
  let value = net.norm('embeddings.norm', net.words('embeddings', 'input_ids', vocabulary, positions, hidden), hidden)
  const mask = net.padding('attention_mask')
  for (let layer = 0; layer < LAYERS; layer++) value = net.layer(`layer.${layer}`, value, SIZES, 'gelu', mask)
  return value
}

/** An encoder as sentence-transformers' are exported, without its pooling: the states of all tokens. */
export function statesModel(shape: RetrievalModel): Uint8Array<ArrayBuffer> {
  const net = new Transformer()
  const { hidden } = SIZES
  return net.graph.model(
    INPUTS,
    { name: 'last_hidden_state', datatype: 'FP32', shape: [...TOKENS, hidden] },
    encoder(net, shape),
  )
}

/** ColBERT as PyLate exports it: a vector of `width` channels for each token, not normalized. */
export function colbertModel(shape: RetrievalModel, width = 16): Uint8Array<ArrayBuffer> {
  const net = new Transformer()
  const vectors = net.project('linear', encoder(net, shape), SIZES.hidden, width)
  return net.graph.model(INPUTS, { name: 'last_hidden_state', datatype: 'FP32', shape: [...TOKENS, width] }, vectors)
}

/**
 * The three heads of bge-m3 on one encoder, as aapot/bge-m3-onnx has them: `dense_vecs`, the first token's state at length
 * 1; `sparse_vecs`, one weight for each token, not below 0; `colbert_vecs`, a vector for each token but the first, at
 * length 1 and 0 for padding.
 */
export function multiVectorModel(shape: RetrievalModel): Uint8Array<ArrayBuffer> {
  const net = new Transformer()
  const { graph } = net
  const { hidden } = SIZES
  const states = encoder(net, shape)
  const zero = graph.weight('first.token', tensor('INT64', [], BigInt64Array.of(0n)))
  const first = graph.node('Gather', [states, zero], { axis: { int: 1 } })
  const weights = graph.node('Relu', [net.linear('sparse', states, hidden, 1)])
  const axis = graph.integers('axis.sequence', [1])
  const from = graph.integers('from.second', [1])
  const end = graph.integers('to.end', [2 ** 31 - 1])
  const others = graph.node('Slice', [states, from, end, axis])
  const projected = net.toLengthOne(net.linear('colbert', others, hidden, hidden))
  const mask = graph.node('Cast', [graph.node('Slice', ['attention_mask', from, end, axis])], { to: { int: 1 } })
  const vectors = graph.node('Mul', [projected, graph.node('Unsqueeze', [mask, graph.integers('axis.last', [-1])])])
  const output = (name: string, dims: readonly (number | string)[]) => ({
    name,
    datatype: 'FP32' as const,
    shape: dims,
  })
  return graph.modelOf(INPUTS, [
    { output: output('dense_vecs', ['batch', hidden]), result: net.toLengthOne(first) },
    { output: output('sparse_vecs', [...TOKENS, 1]), result: weights },
    { output: output('colbert_vecs', ['batch', 'others', hidden]), result: vectors },
  ])
}
