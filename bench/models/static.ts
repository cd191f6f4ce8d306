import { tensor } from '../../src/core/tensors.ts'
import { Graph } from '../../synthetic/graph.ts'
import { normals } from '../../synthetic/random.ts'

/** Of MiniLM's channels, and rows for every piece of `models/reviews`' tokenizer. */
export const STATIC = { vocabulary: 21_542, hidden: 384 }

const ONNX_FLOAT = 1

/**
 * Static embeddings with made-up rows: INT64 `input_ids`, `attention_mask` [batch, sequence] -> FP32 `sentence_embedding`
 * [batch, hidden], the mean of the tokens' rows. The cheapest model of texts there is, so that what is beside it shows.
 */
export function staticModel({ hidden, vocabulary }: typeof STATIC): Uint8Array<ArrayBuffer> {
  const graph = new Graph()
  const table = graph.weight(
    'table',
    tensor('FP32', [vocabulary, hidden], normals('static.table', vocabulary * hidden, 1)),
  )
  const rows = graph.node('Gather', [table, 'input_ids'])
  const mask = graph.node('Cast', ['attention_mask'], { to: { int: ONNX_FLOAT } })
  const column = graph.node('Unsqueeze', [mask, graph.integers('last', [-1])])
  const axis = graph.integers('sequence', [1])
  const sum = graph.node('ReduceSum', [graph.node('Mul', [rows, column]), axis], { keepdims: { int: 0 } })
  const count = graph.node('ReduceSum', [column, axis], { keepdims: { int: 0 } })
  const tokens = ['batch', 'sequence']
  return graph.model(
    [
      { name: 'input_ids', datatype: 'INT64', shape: tokens },
      { name: 'attention_mask', datatype: 'INT64', shape: tokens },
    ],
    { name: 'sentence_embedding', datatype: 'FP32', shape: ['batch', hidden] },
    graph.node('Div', [sum, count]),
  )
}
