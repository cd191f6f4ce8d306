import { DataType, dimsOf, floatsOf, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, isOp, soleReader, Taken } from '../pattern.ts'

/**
 * Products and convolutions that `onnxruntime.quantization.quantize_dynamic` and `verge quantize` wrote with integers
 * (`DynamicQuantizeLinear`, `MatMulInteger` or `ConvInteger`, `Cast`, `Mul`) become those of floats with a weight that
 * `DequantizeLinear` gives. The engine quantizes activations itself, by row or by place.
 */
export const liftIntegerProducts: Pass = {
  name: 'lift-integer-products',
  repeat: true,
  *propose(view, { namer }) {
    const taken = new Taken()
    for (const node of view.graph.node) {
      const match = matched(view, node)
      if (match === undefined || !taken.take(...match.nodes)) continue
      const isConv = isOp(node, 'ConvInteger')
      const bias = namer.fresh(`${node.name}_bias`)
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
            attributes: { axis: { int: isConv ? 0 : 1 } },
          }),
          {
            ...makeNode({
              op: isConv ? 'Conv' : 'MatMul',
              inputs: [match.input, weight, ...(match.bias === undefined ? [] : [bias])],
              outputs: [match.output],
              name: node.name,
            }),
            attribute: isConv ? node.attribute : [],
          },
        ],
        initializers: match.bias === undefined ? [] : [inOneAxis(bias, match.bias)],
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
  /** Of a convolution, with one number a channel. */
  readonly bias: TensorProto | undefined
  readonly nodes: readonly NodeProto[]
}

function matched(view: GraphView, product: NodeProto): Match | undefined {
  if (!isOp(product, 'MatMulInteger', 'ConvInteger')) return undefined
  const [rows = '', weight = '', rowZero = '', zero = ''] = product.input
  const quantize = view.producer(rows)
  const tensor = view.constant(weight)
  if (!isOp(quantize, 'DynamicQuantizeLinear') || quantize.output[2] !== rowZero || tensor === undefined)
    return undefined
  if (
    (isOp(product, 'MatMulInteger') && dimsOf(tensor).length !== 2) ||
    (zero !== '' && view.constant(zero) === undefined)
  )
    return undefined
  const cast = soleReader(view, product.output[0])
  const scaled = soleReader(view, cast?.output[0])
  if (!isOp(cast, 'Cast') || !isOp(scaled, 'Mul')) return undefined
  const factor = [...bothWays(scaled)].find(([value]) => value === cast.output[0])?.[1] ?? ''
  const scales = view.producer(factor)
  if (!isOp(scales, 'Mul') || view.isOutput(factor)) return undefined
  for (const [own, scale] of bothWays(scales)) {
    if (own !== quantize.output[1] || view.constant(scale) === undefined) continue
    const nodes = [product, cast, scaled, ...(view.uses(factor).length === 1 ? [scales] : [])]
    const found = {
      input: quantize.input[0] ?? '',
      scale,
      zero,
      output: scaled.output[0] ?? '',
      bias: undefined,
      nodes,
    }
    return isOp(product, 'ConvInteger') ? withBias(view, found, dimsOf(tensor)) : found
  }
  return undefined
}

function inOneAxis(name: string, tensor: TensorProto): TensorProto {
  const values = floatsOf(tensor)
  return makeTensor(name, DataType.FLOAT, [values.length], values)
}

/** A convolution of whole numbers, whose bias [1, channels, 1, ...] is added afterwards; of one scale, as onnxruntime writes it. */
function withBias(view: GraphView, match: Match, [channels = 0, ...rest]: readonly number[]): Match | undefined {
  const scales = view.constant(match.scale)
  const isKnown = scales !== undefined && dimsOf(scales).reduce((count, dim) => count * dim, 1) === 1
  if (!isKnown) return undefined
  const add = soleReader(view, match.output)
  const bias = isOp(add, 'Add') ? [...bothWays(add)].find(([value]) => value === match.output)?.[1] : undefined
  const tensor = view.constant(bias ?? '')
  const shape = [1, channels, ...rest.slice(1).map(() => 1)].join()
  if (!isOp(add, 'Add') || bias === undefined || tensor?.dataType !== DataType.FLOAT || dimsOf(tensor).join() !== shape)
    return match
  return { ...match, output: add.output[0] ?? '', bias: tensor, nodes: [...match.nodes, add] }
}
