import { Transformer } from './transformer.ts'

const SIZES = { hidden: 32, heads: 4, ffn: 64 }
const LAYERS = 2

export interface MaskedLanguageModel {
  readonly vocabulary: number
  /** Most tokens of a text. */
  readonly positions: number
  /** Whether it takes `token_type_ids`, as BERT does and RoBERTa does not. */
  readonly types: boolean
}

/**
 * An encoder with a head that gives each token a score for each word, as Optimum exports `BertForMaskedLM`: INT64
 * `input_ids`, `attention_mask` and perhaps `token_type_ids` [batch_size, sequence_length] -> FP32 `logits`
 * [batch_size, sequence_length, vocabulary]. Its weights are made up.
 */
export function maskedLanguageModel({ positions, types, vocabulary }: MaskedLanguageModel): Uint8Array<ArrayBuffer> {
  const net = new Transformer()
  const { graph } = net
  const { hidden } = SIZES
  let value = net.words('embeddings', 'input_ids', vocabulary, positions, hidden)
  if (types) {
    const kinds = graph.node('Gather', [net.weight('embeddings.types', [2, hidden]), 'token_type_ids'])
    value = graph.node('Add', [value, kinds])
  }
  value = net.norm('embeddings.norm', value, hidden)
  const mask = net.padding('attention_mask')
  for (let layer = 0; layer < LAYERS; layer++) value = net.layer(`layer.${layer}`, value, SIZES, 'gelu', mask)
  const transformed = net.activate(net.linear('head.dense', value, hidden, hidden), 'gelu')
  const scores = net.linear('head.words', net.norm('head.norm', transformed, hidden), hidden, vocabulary)
  const tokens = ['batch_size', 'sequence_length']
  const names = ['input_ids', 'attention_mask', ...(types ? ['token_type_ids'] : [])]
  return graph.model(
    names.map((name) => ({ name, datatype: 'INT64', shape: tokens })),
    { name: 'logits', datatype: 'FP32', shape: [...tokens, vocabulary] },
    scores,
  )
}
