import { DataType, makeTensor } from '../data.ts'
import { inferTypes } from '../infer/infer.ts'
import { numbersOf, sizeOf } from '../infer/types.ts'
import { subgraphsOf } from '../make.ts'
import type { Pass } from '../pass.ts'
import type { TensorProto } from '../schema/onnx_pb.js'

/** Turns shapes, sizes and what is computed from them into constants, where the inputs' declared shapes settle them. */
export const knownValues: Pass = {
  name: 'known-values',
  *propose(view) {
    // Runtimes hold callers to the shapes that inputs declare, but to no others.
    const types = inferTypes(view.model, { declared: false })
    for (const node of view.graph.node) {
      const [value = '', ...others] = node.output
      if (others.length > 0 || value === '' || view.isOutput(value) || subgraphsOf(node).length > 0) continue
      const type = types.of(view.graph, value)
      const numbers = numbersOf(type)
      if (numbers === undefined || sizeOf(type.shape) !== numbers.length) continue
      const tensor = tensorOf(value, type.elementType, type.shape as number[], numbers)
      if (tensor) yield { what: `know ${node.name || node.opType}`, remove: [node], initializers: [tensor] }
    }
  },
}

/** Whole numbers only: floats are for an engine to compute, to the last bit. */
function tensorOf(
  name: string,
  type: DataType,
  shape: readonly number[],
  values: readonly number[],
): TensorProto | undefined {
  if (!values.every(Number.isSafeInteger)) return undefined
  switch (type) {
    case DataType.INT64:
      return makeTensor(name, type, shape, BigInt64Array.from(values, BigInt))
    case DataType.INT32:
      return makeTensor(name, type, shape, Int32Array.from(values))
    case DataType.BOOL:
      return makeTensor(name, type, shape, Uint8Array.from(values))
    default:
      return undefined
  }
}
