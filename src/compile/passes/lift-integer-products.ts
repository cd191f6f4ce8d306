import { dimsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, isOp, soleReader, Taken } from '../pattern.ts'

/**
 * Products that `onnxruntime.quantization.quantize_dynamic` and `verge quantize` wrote with integers
 * (`DynamicQuantizeLinear`, `MatMulInteger`, `Cast`, `Mul`) become products of floats with a weight that
 * `DequantizeLinear` gives. The engine quantizes activations itself, by row.
 */
export const liftIntegerProducts: Pass = {
  name: 'lift-integer-products',
  repeat: true,
  *propose(view, { namer }) {
    const taken = new Taken()
    for (const node of view.graph.node) {
      const match = matched(view, node)
      if (match === undefined || !taken.take(...match.nodes)) continue
      const weight = namer.fresh(`${node.input[1]}_floats`)
      yield {
        what: `lift ${node.name} to floats`,
        remove: match.nodes,
        add: [
          makeNode({
            op: 'DequantizeLinear',
            inputs: [node.input[1] ?? '', match.scale, ...(match.zero === '' ? [] : [match.zero])],
            outputs: [weight],
            name: namer.fresh(`${node.name}_weight`),
            attributes: { axis: { int: 1 } },
          }),
          makeNode({ op: 'MatMul', inputs: [match.input, weight], outputs: [match.output], name: node.name }),
        ],
        opsets: { '': 13 },
      }
    }
  },
}

interface Match {
  readonly input: string
  readonly scale: string
  readonly zero: string
  readonly output: string
  readonly nodes: readonly NodeProto[]
}

function matched(view: GraphView, product: NodeProto): Match | undefined {
  if (!isOp(product, 'MatMulInteger')) return undefined
  const [rows = '', weight = '', rowZero = '', zero = ''] = product.input
  const quantize = view.producer(rows)
  const tensor = view.constant(weight)
  if (!isOp(quantize, 'DynamicQuantizeLinear') || quantize.output[2] !== rowZero || tensor === undefined)
    return undefined
  if (dimsOf(tensor).length !== 2 || (zero !== '' && view.constant(zero) === undefined)) return undefined
  const cast = soleReader(view, product.output[0])
  const scaled = soleReader(view, cast?.output[0])
  if (!isOp(cast, 'Cast') || !isOp(scaled, 'Mul')) return undefined
  const factor = [...bothWays(scaled)].find(([value]) => value === cast.output[0])?.[1] ?? ''
  const scales = view.producer(factor)
  if (!isOp(scales, 'Mul') || view.isOutput(factor)) return undefined
  for (const [own, scale] of bothWays(scales)) {
    if (own !== quantize.output[1] || view.constant(scale) === undefined) continue
    const nodes = [product, cast, scaled, ...(view.uses(factor).length === 1 ? [scales] : [])]
    return { input: quantize.input[0] ?? '', scale, zero, output: scaled.output[0] ?? '', nodes }
  }
  return undefined
}
