import { create } from '@bufbuild/protobuf'
import { halves } from '../core/tensors.ts'
import { OnnxError, safeName } from './errors.ts'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProtoSchema,
} from './schema/onnx_pb.js'

export { DataType }

/** Bits that an element takes in `rawData`; strings have none. */
const ELEMENT_BITS: Readonly<Partial<Record<number, number>>> = {
  [DataType.FLOAT]: 32,
  [DataType.UINT8]: 8,
  [DataType.INT8]: 8,
  [DataType.UINT16]: 16,
  [DataType.INT16]: 16,
  [DataType.INT32]: 32,
  [DataType.INT64]: 64,
  [DataType.BOOL]: 8,
  [DataType.FLOAT16]: 16,
  [DataType.DOUBLE]: 64,
  [DataType.UINT32]: 32,
  [DataType.UINT64]: 64,
  [DataType.COMPLEX64]: 64,
  [DataType.COMPLEX128]: 128,
  [DataType.BFLOAT16]: 16,
  [DataType.FLOAT8E4M3FN]: 8,
  [DataType.FLOAT8E4M3FNUZ]: 8,
  [DataType.FLOAT8E5M2]: 8,
  [DataType.FLOAT8E5M2FNUZ]: 8,
  [DataType.FLOAT8E8M0]: 8,
  [DataType.UINT4]: 4,
  [DataType.INT4]: 4,
  [DataType.FLOAT4E2M1]: 4,
  [DataType.UINT2]: 2,
  [DataType.INT2]: 2,
}

/** @throws OnnxError unsupported for strings and types that do not exist */
export function elementBits(dataType: number): number {
  const bits = ELEMENT_BITS[dataType]
  if (bits === undefined) throw new OnnxError('unsupported', `Tensor type ${dataType} is unknown or has no fixed size.`)
  return bits
}

/** Dimensions as numbers. @throws OnnxError invalid_graph where one is negative or does not fit a number */
export function dimsOf({ dims, name }: Pick<TensorProto, 'dims' | 'name'>): number[] {
  return dims.map((dimension) => {
    if (dimension < 0n || dimension > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new OnnxError('invalid_graph', `Tensor "${safeName(name)}" has a dimension of ${dimension}.`, {
        node: name,
      })
    }
    return Number(dimension)
  })
}

/** Elements that a tensor's dimensions multiply out to. @throws OnnxError invalid_graph where that is no safe number */
export function countOf(tensor: Pick<TensorProto, 'dims' | 'name'>): number {
  const count = dimsOf(tensor).reduce((product, dimension) => product * dimension, 1)
  if (!Number.isSafeInteger(count)) {
    throw new OnnxError('invalid_graph', `Tensor "${safeName(tensor.name)}" declares too many elements.`, {
      node: tensor.name,
    })
  }
  return count
}

/** Bytes of a tensor's elements in `rawData`'s layout. */
export function byteCountOf(tensor: TensorProto): number {
  return Math.ceil((countOf(tensor) * elementBits(tensor.dataType)) / 8)
}

/**
 * Compares what a tensor declares with what the file holds of it, and allocates nothing. Of external data it checks the
 * declaration only.
 * @throws OnnxError unsupported for types that do not exist; invalid_graph for dimensions that do not fit a number, and
 * where there are more or fewer elements than they say
 */
export function checkData(tensor: TensorProto): void {
  const fault = (reason: string): OnnxError =>
    new OnnxError('invalid_graph', `Tensor "${safeName(tensor.name)}" ${reason}. Export the model again.`, {
      node: tensor.name,
    })
  const strings = tensor.dataType === DataType.STRING
  const bits = strings ? 0 : ELEMENT_BITS[tensor.dataType]
  if (bits === undefined) {
    throw new OnnxError('unsupported', `Tensor "${safeName(tensor.name)}" is of the unknown type ${tensor.dataType}.`, {
      node: tensor.name,
    })
  }
  const count = countOf(tensor)
  if (tensor.segment !== undefined) {
    throw new OnnxError(
      'unsupported',
      `Tensor "${safeName(tensor.name)}" is stored in segments. Export the model without segments.`,
      {
        node: tensor.name,
      },
    )
  }
  if (strings && (tensor.rawData !== undefined || isExternal(tensor))) throw fault('has strings as raw data')
  if (isExternal(tensor)) return
  if (tensor.rawData !== undefined) {
    const expected = Math.ceil((count * bits) / 8)
    if (tensor.rawData.length !== expected) throw fault(`declares ${expected} bytes but has ${tensor.rawData.length}`)
    return
  }
  const { wanted, given } = typedCounts(tensor, count, bits)
  if (given !== wanted) throw fault(`declares ${wanted} elements but has ${given}`)
}

export function isExternal(tensor: TensorProto): boolean {
  return tensor.dataLocation === DataLocation.EXTERNAL
}

/** Entries that a tensor's typed field has, and should have. Elements of less than a byte share an entry. */
function typedCounts(tensor: TensorProto, count: number, bits: number): { wanted: number; given: number } {
  switch (tensor.dataType) {
    case DataType.STRING:
      return { wanted: count, given: tensor.stringData.length }
    case DataType.FLOAT:
      return { wanted: count, given: tensor.floatData.length }
    case DataType.COMPLEX64:
      return { wanted: count * 2, given: tensor.floatData.length }
    case DataType.DOUBLE:
      return { wanted: count, given: tensor.doubleData.length }
    case DataType.COMPLEX128:
      return { wanted: count * 2, given: tensor.doubleData.length }
    case DataType.INT64:
      return { wanted: count, given: tensor.int64Data.length }
    case DataType.UINT64:
    case DataType.UINT32:
      return { wanted: count, given: tensor.uint64Data.length }
    default:
      return { wanted: bits < 8 ? Math.ceil((count * bits) / 8) : count, given: tensor.int32Data.length }
  }
}

/**
 * A tensor's elements in the layout of `rawData`: a view of it, or made from the typed fields.
 * @throws OnnxError invalid_graph where there are more or fewer elements than the dimensions say; external_data where
 * they have not been read; unsupported for strings
 */
export function rawBytesOf(tensor: TensorProto): Uint8Array {
  if (isExternal(tensor)) {
    throw new OnnxError('external_data', `The data of "${safeName(tensor.name)}" is outside the file; read it first.`, {
      node: tensor.name,
    })
  }
  elementBits(tensor.dataType)
  checkData(tensor)
  return tensor.rawData ?? typedBytes(tensor)
}

function typedBytes(tensor: TensorProto): Uint8Array {
  const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  switch (tensor.dataType) {
    case DataType.FLOAT:
    case DataType.COMPLEX64:
      return bytesOf(Float32Array.from(tensor.floatData))
    case DataType.DOUBLE:
    case DataType.COMPLEX128:
      return bytesOf(Float64Array.from(tensor.doubleData))
    case DataType.INT64:
      return bytesOf(BigInt64Array.from(tensor.int64Data))
    case DataType.UINT64:
      return bytesOf(BigUint64Array.from(tensor.uint64Data))
    case DataType.UINT32:
      return bytesOf(Uint32Array.from(tensor.uint64Data, Number))
    case DataType.INT32:
      return bytesOf(Int32Array.from(tensor.int32Data))
    case DataType.UINT16:
    case DataType.INT16:
    case DataType.FLOAT16:
    case DataType.BFLOAT16:
      return bytesOf(Uint16Array.from(tensor.int32Data))
    default:
      return Uint8Array.from(tensor.int32Data)
  }
}

/**
 * A floating-point tensor's elements as 32-bit floats: a view of the model's bytes where they lie aligned.
 * @throws OnnxError unsupported for other types, and what `rawBytesOf` throws
 */
export function floatsOf(tensor: TensorProto): Float32Array {
  const bytes = aligned(rawBytesOf(tensor), elementBits(tensor.dataType))
  switch (tensor.dataType) {
    case DataType.FLOAT:
      return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    case DataType.DOUBLE:
      return Float32Array.from(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8))
    case DataType.FLOAT16:
      return Float32Array.from(halves(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)))
    case DataType.BFLOAT16: {
      const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
      const words = Uint32Array.from(halves, (half) => half << 16)
      return new Float32Array(words.buffer)
    }
    default:
      throw new OnnxError('unsupported', `Tensor "${safeName(tensor.name)}" does not have a floating-point type.`, {
        node: tensor.name,
      })
  }
}

/** An integer tensor's elements as numbers: axes, shapes, indices. @throws OnnxError unsupported for other types */
export function integersOf(tensor: TensorProto): number[] {
  const { buffer, byteOffset, byteLength } = aligned(rawBytesOf(tensor), elementBits(tensor.dataType))
  switch (tensor.dataType) {
    case DataType.INT64:
      return Array.from(new BigInt64Array(buffer, byteOffset, byteLength / 8), Number)
    case DataType.INT32:
      return Array.from(new Int32Array(buffer, byteOffset, byteLength / 4))
    case DataType.INT8:
      return Array.from(new Int8Array(buffer, byteOffset, byteLength))
    case DataType.UINT8:
    case DataType.BOOL:
      return Array.from(new Uint8Array(buffer, byteOffset, byteLength))
    default:
      throw new OnnxError('unsupported', `Tensor "${safeName(tensor.name)}" does not have an integer type.`, {
        node: tensor.name,
      })
  }
}

/** Typed arrays want their start at a multiple of their element's size; files give raw data any start. */
function aligned(bytes: Uint8Array, bits: number): Uint8Array {
  return bytes.byteOffset % Math.max(1, bits / 8) === 0 ? bytes : new Uint8Array(bytes)
}

/** A tensor with these elements, laid out as `rawData` is. Copies nothing. */
export function makeTensor(
  name: string,
  dataType: DataType,
  dims: readonly number[],
  data: ArrayBufferView,
): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType,
    dims: dims.map(BigInt),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) as Uint8Array<ArrayBuffer>,
  })
}
