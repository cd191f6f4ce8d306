import { DataType, integersOf, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { isOp, scalarOf } from '../pattern.ts'

/**
 * Activations that a statically quantized model rounds to eight bits and back (`QuantizeLinear`, `DequantizeLinear`)
 * stay floats, held to the range that the eight bits have: quantizers leave out a Relu where the range does its work.
 */
export const dropActivationQuantization: Pass = {
  name: 'drop-activation-quantization',
  *propose(view, { namer }) {
    for (const node of view.graph.node) {
      const range = rangeOf(view, node)
      const value = view.producer(node.input[0] ?? '')?.input[0]
      if (range === undefined || value === undefined) continue
      const names = [namer.fresh(`${node.output[0]}_least`), namer.fresh(`${node.output[0]}_most`)] as const
      yield {
        what: `keep ${node.name} in floats`,
        remove: [node],
        add: [makeNode({ op: 'Clip', inputs: [value, ...names], outputs: [...node.output], name: node.name })],
        initializers: names.map((name, end) =>
          makeTensor(name, DataType.FLOAT, [], Float32Array.of(range[end] as number)),
        ),
        opsets: { '': 13 },
      }
    }
  },
}

/** The least and the largest number that a pair of nodes gives; undefined where they are no such pair. */
function rangeOf(view: GraphView, node: NodeProto): readonly [number, number] | undefined {
  if (!isOp(node, 'DequantizeLinear')) return undefined
  const quantize = view.producer(node.input[0] ?? '')
  if (!isOp(quantize, 'QuantizeLinear')) return undefined
  const [scale, own] = [node, quantize].map(({ input }) => scalarOf(view, input[1]))
  const [zero, ownZero] = [node, quantize].map(({ input }) => zeroOf(view, input[2]))
  if (scale === undefined || zero === undefined || ownZero === undefined) return undefined
  if (scale !== own || zero.value !== ownZero.value || zero.type !== ownZero.type) return undefined
  const [least, most] = zero.type === DataType.INT8 ? [-128, 127] : [0, 255]
  return [(least - zero.value) * scale, (most - zero.value) * scale]
}

function zeroOf(view: GraphView, name: string | undefined): { value: number; type: DataType } | undefined {
  if (name === undefined || name === '') return { value: 0, type: DataType.UINT8 }
  const tensor = view.constant(name)
  if (tensor?.dataType !== DataType.INT8 && tensor?.dataType !== DataType.UINT8) return undefined
  const values = integersOf(tensor)
  return values.length === 1 ? { value: values[0] ?? 0, type: tensor.dataType } : undefined
}
