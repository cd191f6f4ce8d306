import { tensor } from '../../src/core/tensors.ts'
import type { Graph } from '../../synthetic/graph.ts'
import { normals } from '../../synthetic/random.ts'

/** Layers that encoders and decoders share, with made-up weights. */

/** LayerNormalization over the last axis. @param gainOf the gain of a channel, from a number near zero */
export function layerNorm(
  graph: Graph,
  name: string,
  input: string,
  { epsilon, gainOf, hidden }: { hidden: number; epsilon: number; gainOf: (value: number, channel: number) => number },
): string {
  const gains = normals(`${name}.gain`, hidden, 0.1).map(gainOf)
  const gain = graph.weight(`${name}.gain`, tensor('FP32', [hidden], gains))
  const bias = graph.weight(`${name}.bias`, tensor('FP32', [hidden], normals(`${name}.bias`, hidden, 0.1)))
  return graph.node('LayerNormalization', [input, gain, bias], { axis: { int: -1 }, epsilon: { float: epsilon } })
}

/** The exact GELU, by the error function. */
export function gelu(graph: Graph, input: string): string {
  const erf = graph.node('Erf', [graph.node('Div', [input, graph.scalar('gelu.root', Math.SQRT2)])])
  const product = graph.node('Mul', [input, graph.node('Add', [erf, graph.scalar('one', 1)])])
  return graph.node('Mul', [product, graph.scalar('gelu.half', 0.5)])
}
