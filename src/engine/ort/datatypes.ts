import type { Datatype } from '../../core/tensors.ts'

/** ONNX `TensorProto.DataType` numbers, as ONNX Runtime's C API uses them. */
export const ONNX_TYPE: Readonly<Record<Datatype, number>> = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
}

const BY_NUMBER = new Map<number, Datatype>(
  (Object.entries(ONNX_TYPE) as [Datatype, number][]).map(([name, number]) => [number, name]),
)

/** Null for types that the protocol does not have (bfloat16, complex, 4-bit, ...). */
export function datatypeOf(onnxType: number): Datatype | null {
  return BY_NUMBER.get(onnxType) ?? null
}
