import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-web'
import { VergeError } from '../../core/errors.ts'
import {
  ARRAY_TYPES,
  type Datatype,
  elementCount,
  notATensor,
  type Tensor,
  type TensorSpec,
  tensor,
} from '../../core/tensors.ts'

/**
 * Values of ONNX Runtime's JavaScript API, which its builds for Node and for WebGPU share. The class is passed in: each build
 * has its own.
 */
export type TensorClass = new (type: OrtTensor.Type, data: OrtTensor.DataType, dims: readonly number[]) => OrtTensor

/** The API's name of each datatype. */
const ORT_TYPE: Readonly<Record<Datatype, OrtTensor.Type>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
}

const BY_TYPE = new Map<string, Datatype>(
  (Object.entries(ORT_TYPE) as [Datatype, string][]).map(([datatype, type]) => [type, datatype]),
)

/** Null for types that the protocol does not have. */
function datatypeOf(ortType: string): Datatype | null {
  return BY_TYPE.get(ortType) ?? null
}

/** The runtime's view of a tensor; numbers are shared, not copied. */
export function toValue(ValueClass: TensorClass, name: string, value: Tensor): OrtTensor {
  if (value.datatype === 'BYTES') {
    // The binding hands strings over as NUL-terminated, so a NUL inside would silently cut one short.
    if (value.data.some((text) => text.includes('\u0000'))) {
      throw new VergeError(
        'invalid_tensor',
        `Input "${name}" has a string with a zero byte. ONNX Runtime would truncate it.`,
        { details: { input: name } },
      )
    }
    return new ValueClass('string', [...value.data], value.shape)
  }
  if (value.datatype === 'FP16') {
    // The constructor makes a Float16Array where the runtime has one, and the binding knows no such array: it sees zero
    // bytes. So the tensor is made of 16-bit integers and named afterwards.
    return Object.assign(new ValueClass('uint16', value.data, value.shape), { type: ORT_TYPE.FP16 })
  }
  return new ValueClass(ORT_TYPE[value.datatype], value.data as OrtTensor.DataType, value.shape)
}

/** @throws unsupported_output if the value is not a tensor of a known datatype */
export function fromValue(name: string, value: OrtTensor | undefined): Tensor {
  const datatype = value && datatypeOf(value.type)
  if (!value || !datatype) throw notATensor(name)
  if (datatype === 'BYTES') return tensor('BYTES', value.dims, value.data as string[])
  // FP16 comes as a Float16Array where the runtime has one; the half floats' bits are the same.
  const { buffer, byteOffset } = value.data as Uint8Array
  const data = new ARRAY_TYPES[datatype](buffer, byteOffset, elementCount(value.dims))
  return { datatype, shape: value.dims, data } as unknown as Tensor
}

/** What a session says of an input or output. */
export function specOf(metadata: InferenceSession.ValueMetadata): TensorSpec {
  if (!metadata.isTensor) return { name: metadata.name, datatype: null, shape: [] }
  return {
    name: metadata.name,
    datatype: datatypeOf(metadata.type),
    // WebAssembly gives -1 without its sign.
    shape: metadata.shape.map((dimension) => (dimension === '' || dimension === 2 ** 32 - 1 ? -1 : dimension)),
  }
}
