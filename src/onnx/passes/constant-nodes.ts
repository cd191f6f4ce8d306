import { DataType, makeTensor } from '../data.ts'
import { attributeOf } from '../make.ts'
import type { Pass } from '../pass.ts'
import type { NodeProto, TensorProto } from '../schema/onnx_pb.js'

/** Turns `Constant` nodes into initializers, which is where the other passes look for constants. */
export const constantNodes: Pass = {
  name: 'constant-nodes',
  *propose(view) {
    for (const node of view.graph.node) {
      const [value = ''] = node.output
      // Runtimes are not of one mind about constants that are outputs.
      if (node.opType !== 'Constant' || node.domain !== '' || view.isOutput(value)) continue
      const tensor = constantOf(node, value)
      if (tensor) yield { what: `store ${node.name || value}`, remove: [node], initializers: [tensor] }
    }
  },
}

/** The tensor that a `Constant` node gives, with its data shared; undefined for sparse ones and strings. */
function constantOf(node: NodeProto, name: string): TensorProto | undefined {
  const tensor = attributeOf(node, 'value')?.t
  if (tensor) return { ...tensor, name }
  const integer = attributeOf(node, 'value_int')
  if (integer) return makeTensor(name, DataType.INT64, [], BigInt64Array.of(integer.i ?? 0n))
  const float = attributeOf(node, 'value_float')
  if (float) return makeTensor(name, DataType.FLOAT, [], Float32Array.of(float.f ?? 0))
  const integers = attributeOf(node, 'value_ints')?.ints
  if (integers) return makeTensor(name, DataType.INT64, [integers.length], BigInt64Array.from(integers))
  const floats = attributeOf(node, 'value_floats')?.floats
  if (floats) return makeTensor(name, DataType.FLOAT, [floats.length], Float32Array.from(floats))
  return undefined
}
