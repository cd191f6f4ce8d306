import { dimsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { floatOf, intOf } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { near } from '../pattern.ts'
import { contribAttention, embeddings, multiHeadAttention } from './contrib-attention.ts'
import { GraphWriter } from './graph-writer.ts'
import type { TypeOf } from './heads.ts'

/**
 * ONNX Runtime's own operators, as its optimizer for transformers writes them, become standard ones and the compiler's.
 * Those with inputs or attributes beyond that stay, and the model is declined by their name.
 */
export const expandContrib = (types: TypeOf): Pass => ({
  name: 'expand-contrib',
  *propose(view, { namer }) {
    for (const node of view.graph.node) {
      if (node.domain !== 'com.microsoft') continue
      const write = new GraphWriter(namer, node.name === '' ? node.opType : node.name)
      if (!expanded({ view, types, node, write })) continue
      yield {
        what: `expand ${node.name}`,
        remove: [node],
        add: write.nodes,
        initializers: write.initializers,
        opsets: { '': 17 },
      }
    }
  },
})

export interface Contrib {
  readonly view: GraphView
  readonly types: TypeOf
  readonly node: NodeProto
  readonly write: GraphWriter
}

/** @returns whether the node has an equivalent, which was written */
function expanded(contrib: Contrib): boolean {
  switch (contrib.node.opType) {
    case 'Gelu':
    case 'BiasGelu':
      return gelu(contrib, 'none')
    case 'FastGelu':
      return gelu(contrib, 'tanh')
    case 'QuickGelu': {
      const alpha = floatOf(contrib.node, 'alpha', 1.702)
      if (near(alpha, 1.702)) return gelu(contrib, 'quick')
      return near(alpha, 1) && gelu(contrib, 'silu')
    }
    case 'SkipLayerNormalization':
      return skipNorm(contrib)
    case 'EmbedLayerNormalization':
      return embeddings(contrib)
    case 'Attention':
      return contribAttention(contrib)
    case 'MultiHeadAttention':
      return multiHeadAttention(contrib)
    default:
      return false
  }
}

function gelu({ node, write }: Contrib, approximate: string): boolean {
  const [value = '', bias = ''] = node.input
  const sum = bias === '' ? value : write.node('Add', [value, bias])
  write.fused('Gelu', [sum], node.output[0] ?? '', { approximate: { string: approximate } })
  return true
}

/** The sum of two values and a bias, normalized; its fourth output is the sum. */
function skipNorm({ view, node, write }: Contrib): boolean {
  const [value = '', skip = '', scale = '', shift = '', bias = ''] = node.input
  const [result = '', mean = '', deviation = '', sum = ''] = node.output
  const width = view.constant(scale)
  if (mean !== '' || deviation !== '' || width === undefined || dimsOf(width).length !== 1) return false
  const biased = bias === '' ? value : write.node('Add', [value, bias])
  const epsilon = { float: floatOf(node, 'epsilon', 1e-12) }
  write.fused('SkipNorm', [biased, skip, scale, shift], result, { epsilon, axis: { int: -1 } }, sum === '' ? [] : [sum])
  return intOf(node, 'axis', -1) === -1
}
