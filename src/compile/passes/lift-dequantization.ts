import { makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import { isOp, scalarOf, soleProducer, Taken } from '../pattern.ts'

const MOVING = ['Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity']

/**
 * Eight bits that are moved before one scale makes floats of them are made floats first: onnxruntime's quantizer lets
 * them pass through such operators behind a lookup.
 */
export const liftDequantization: Pass = {
  name: 'lift-dequantization',
  repeat: true,
  *propose(view, { namer }) {
    const taken = new Taken()
    for (const node of view.graph.node) {
      if (!isOp(node, 'DequantizeLinear') || scalarOf(view, node.input[1]) === undefined) continue
      const moving = soleProducer(view, node.input[0])
      if (!isOp(moving, ...MOVING) || !taken.take(node, moving)) continue
      const floats = namer.fresh(`${moving.input[0]}_floats`)
      yield {
        what: `make floats before ${moving.name}`,
        remove: [node, moving],
        add: [
          makeNode({
            op: 'DequantizeLinear',
            inputs: [moving.input[0] ?? '', ...node.input.slice(1)],
            outputs: [floats],
            name: node.name,
          }),
          { ...moving, input: [floats, ...moving.input.slice(1)], output: [...node.output] },
        ],
      }
    }
  },
}
