import { countOf, DataType, floatsOf, integersOf } from '../data.ts'
import type { TensorProto, TypeProto } from '../schema/onnx_pb.js'
import { type Dim, MOST_VALUES, typed, UNKNOWN, type ValueType } from './types.ts'

/** What is known of a constant: all but the elements of weights. Never throws; a broken tensor has no known elements. */
export function describe(tensor: TensorProto): ValueType {
  let type = described.get(tensor)
  if (type === undefined) {
    type = typed(tensor.dataType, tensor.dims.map(Number), elementsOf(tensor))
    described.set(tensor, type)
  }
  return type
}

/** Passes look at a model many times and never change a tensor. */
const described = new WeakMap<TensorProto, ValueType>()

function elementsOf(tensor: TensorProto): number[] | undefined {
  try {
    if (countOf(tensor) > MOST_VALUES) return undefined
    switch (tensor.dataType) {
      case DataType.FLOAT:
        return Array.from(floatsOf(tensor))
      case DataType.INT64:
      case DataType.INT32:
      case DataType.BOOL:
        return integersOf(tensor)
      default:
        return undefined
    }
  } catch {
    // What is wrong with the tensor is for validation to say.
    return undefined
  }
}

/** A declared type. Names of dimensions are kept where `names` says that they hold for the whole model. */
export function declared(type: TypeProto | undefined, names: boolean): ValueType {
  if (type?.value.case !== 'tensorType') return UNKNOWN
  const { elemType, shape } = type.value.value
  return typed(
    elemType,
    shape?.dim.map(({ value }): Dim => {
      if (value.case === 'dimValue') return value.value >= 0n ? Number(value.value) : null
      return value.case === 'dimParam' && names && value.value !== '' ? value.value : null
    }),
  )
}
