import { dimsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf, stringOf } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, isOp, soleProducer, Taken } from '../pattern.ts'
import type { TypeOf } from './heads.ts'

/**
 * What is added to a convolution's result, which nothing else reads, becomes the convolution's fourth input: the way
 * around a block of ResNet or MobileNet. An activation behind the sum can then join it, too.
 */
export const fuseResidual = (types: TypeOf): Pass => ({
  name: 'fuse-residual',
  *propose(view) {
    const taken = new Taken()
    for (const add of view.graph.node) {
      if (!isOp(add, 'Add')) continue
      for (const [result, other] of bothWays(add)) {
        const conv = soleProducer(view, result)
        if (!isOp(conv, 'Conv') || !takesMore(view, conv) || !isAlike(types, result, other)) continue
        if (!taken.take(add, conv)) continue
        const [x = '', weight = '', bias = ''] = conv.input
        yield {
          what: `fuse ${add.name} into ${conv.name}`,
          remove: [add, conv],
          add: [{ ...conv, input: [x, weight, bias, other], output: [...add.output] }],
        }
        break
      }
    }
  },
})

/** Whether its kernel adds something, and nothing is added or applied yet. */
function takesMore(view: GraphView, conv: NodeProto): boolean {
  const producer = view.producer(conv.input[1] ?? '')
  const weight = view.constant(isOp(producer, 'DequantizeLinear') ? (producer.input[0] ?? '') : (conv.input[1] ?? ''))
  const [outer, perGroup] = weight === undefined ? [] : dimsOf(weight)
  const isDepthwise = perGroup === 1 && outer === intOf(conv, 'group', 1)
  return (
    weight !== undefined && !isDepthwise && conv.input.length <= 3 && stringOf(conv, 'activation', 'none') === 'none'
  )
}

function isAlike(types: TypeOf, left: string, right: string): boolean {
  const [a, b] = [types(left).shape, types(right).shape]
  if (a === undefined || a.length !== b?.length) return false
  return a.every((dim, axis) => dim !== null && dim === b[axis])
}
