import { halfBits } from '../core/tensors.ts'
import { DataType, floatsOf, makeTensor } from './data.ts'
import type { GraphView } from './graph.ts'
import { attributeOf, intOf } from './make.ts'
import type { TensorProto, TypeProto_Tensor } from './schema/onnx_pb.js'

/** What the graph itself says of a value: its inputs, outputs and annotations. */
function declared(view: GraphView, value: string): TypeProto_Tensor | undefined {
  const { input, output, valueInfo } = view.graph
  for (const info of [...input, ...output, ...valueInfo]) {
    if (info.name === value && info.type?.value.case === 'tensorType') return info.type.value.value
  }
  return undefined
}

/** A value's rank, where the graph says it or the value is a constant. */
export function rankOf(view: GraphView, value: string): number | undefined {
  const shape = declared(view, value)?.shape
  return shape?.dim.length ?? view.constant(value)?.dims.length
}

/** Operators whose first output has another type than their first input, where nothing else is known. */
const OTHER_TYPE = new Set(['Shape', 'Size', 'ArgMax', 'ArgMin', 'NonZero', 'Equal', 'Less', 'Greater'])

/**
 * A value's element type: declared, or that of what it was made from. Float where the trail ends, because the operators
 * that ask take nothing but floating-point numbers; a wrong guess is refused when the model is loaded.
 */
export function elementTypeOf(view: GraphView, value: string): DataType {
  let at = value
  // As many steps as there are nodes: a malformed graph may go round in circles.
  for (let steps = 0; steps <= view.graph.node.length; steps++) {
    const type = declared(view, at)?.elemType ?? view.constant(at)?.dataType
    if (type) return type
    const node = view.producer(at)
    if (node === undefined) return view.outer === undefined ? DataType.FLOAT : elementTypeOf(view.outer, at)
    if (node.opType === 'Cast') return intOf(node, 'to', DataType.FLOAT)
    if (node.opType === 'Constant') return attributeOf(node, 'value')?.t?.dataType ?? DataType.FLOAT
    if (OTHER_TYPE.has(node.opType)) return DataType.FLOAT
    at = node.input[0] ?? ''
  }
  return DataType.FLOAT
}

/** The numbers of a constant: an initializer or what a Constant node holds. Undefined where it is not one. */
export function constantOf(view: GraphView, value: string): number[] | undefined {
  const node = view.producer(value)
  const tensor = node?.opType === 'Constant' ? attributeOf(node, 'value')?.t : view.constant(value)
  return tensor === undefined ? undefined : Array.from(floatsOf(tensor))
}

/** A scalar of a floating-point type. */
export function floatScalar(name: string, type: DataType, value: number): TensorProto {
  if (type === DataType.FLOAT16) return makeTensor(name, type, [], halfBits([value]))
  if (type === DataType.DOUBLE) return makeTensor(name, type, [], Float64Array.of(value))
  return makeTensor(name, DataType.FLOAT, [], Float32Array.of(value))
}
