import type { GraphView } from '../../onnx/graph.ts'
import { intsOf, makeAttribute, stringOf } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { integersAt, isOp, scalarOf, soleProducer, Taken } from '../pattern.ts'

/** Zeros around a picture become padding of the convolution that alone reads it: how PyTorch spells TensorFlow's "same". */
export const foldPads: Pass = {
  name: 'fold-pads',
  *propose(view) {
    const taken = new Taken()
    for (const conv of view.graph.node) {
      const pad = isOp(conv, 'Conv') ? soleProducer(view, conv.input[0]) : undefined
      const around = pad && zerosAround(view, pad)
      const own = intsOf(conv, 'pads') ?? [0, 0, 0, 0]
      if (pad === undefined || around === undefined || own.length !== around.length) continue
      if (stringOf(conv, 'auto_pad', 'NOTSET') !== 'NOTSET' || !taken.take(pad, conv)) continue
      const pads = makeAttribute('pads', { ints: own.map((width, place) => width + (around[place] ?? 0)) })
      yield {
        what: `fold ${pad.name} into ${conv.name}`,
        remove: [pad, conv],
        add: [
          {
            ...conv,
            input: [pad.input[0] ?? '', ...conv.input.slice(1)],
            attribute: [...conv.attribute.filter(({ name }) => name !== 'pads'), pads],
          },
        ],
      }
    }
  },
}

/** Widths at the beginnings and the ends of height and width, where they are constant and filled with zeros. */
function zerosAround(view: GraphView, node: NodeProto): readonly number[] | undefined {
  const [, widths = '', value = '', axes = ''] = node.input
  if (!isOp(node, 'Pad') || stringOf(node, 'mode', 'constant') !== 'constant' || axes !== '') return undefined
  const pads = integersAt(view, widths)
  if (pads?.length !== 8 || (value !== '' && scalarOf(view, value) !== 0)) return undefined
  const [batch, channels, top = 0, left = 0, batchEnd, channelsEnd, bottom = 0, right = 0] = pads
  if ([batch, channels, batchEnd, channelsEnd].some((width) => width !== 0)) return undefined
  const around = [top, left, bottom, right]
  return around.every((width) => width >= 0) ? around : undefined
}
