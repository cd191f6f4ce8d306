import { create } from '@bufbuild/protobuf'
import { MAX_MODEL_BYTES } from './codec.ts'
import { byteCountOf, DataType, isExternal, rawBytesOf } from './data.ts'
import { OnnxError, printable } from './errors.ts'
import {
  TensorProto_DataLocation as DataLocation,
  type ModelProto,
  StringStringEntryProtoSchema,
  type TensorProto,
} from './schema/onnx_pb.js'
import { mapTensors, tensorsOf } from './tensors.ts'

/** A range of another file that holds a tensor's raw data. */
export interface ExternalRef {
  readonly tensor: TensorProto
  /** A path below the model's folder, with forward slashes, without `.` and `..`. */
  readonly location: string
  readonly offset: number
  /** Bytes; always what the tensor's dimensions say. */
  readonly length: number
}

/** Longer than any file system's paths. */
const MAX_LOCATION = 4096

/** Ranges of other files that a model refers to, in the model's order. @throws OnnxError external_data */
export function externalRefs(model: ModelProto): ExternalRef[] {
  return [...tensorsOf(model)].filter(isExternal).map(externalRefOf)
}

/**
 * Where an external tensor's data lies. Follows the format's `location`, `offset` and `length`; other keys are ignored.
 * @throws OnnxError external_data where the path leads out of the folder or the range does not fit the dimensions
 */
export function externalRefOf(tensor: TensorProto): ExternalRef {
  const fields = new Map(tensor.externalData.map(({ key, value }) => [key, value]))
  const location = locationOf(tensor, fields.get('location'))
  const offset = bytesOf(tensor, 'offset', fields.get('offset')) ?? 0
  const expected = byteCountOf(tensor)
  const length = bytesOf(tensor, 'length', fields.get('length')) ?? expected
  if (length !== expected) {
    throw fault(tensor, `has ${length} bytes in "${printable(location)}", and its dimensions say ${expected}`)
  }
  if (!Number.isSafeInteger(offset + length)) throw fault(tensor, `lies beyond the end of any file`)
  return { tensor, location, offset, length }
}

/** The way to a file inside the model's folder; names are taken as they are, however odd. */
function locationOf(tensor: TensorProto, location: string | undefined): string {
  if (location === undefined || location === '') throw fault(tensor, 'is external and names no file')
  const parts = location.split('/').filter((part) => part !== '' && part !== '.')
  const bad =
    location.length > MAX_LOCATION ||
    location.startsWith('/') ||
    location.includes('\\') ||
    location.includes('\0') ||
    /^[A-Za-z]:/.test(location) ||
    parts.includes('..') ||
    parts.length === 0
  if (bad) throw fault(tensor, `lies in "${printable(location)}", which is not a file inside the model's folder`)
  return parts.join('/')
}

function bytesOf(tensor: TensorProto, key: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw fault(tensor, `has the ${key} "${printable(text)}", which is no whole number`)
  return value
}

function fault({ name }: TensorProto, reason: string): OnnxError {
  return new OnnxError('external_data', `Tensor "${printable(name)}" ${reason}. Export the model again.`, {
    node: name,
  })
}

/** Reads a range of a file in the model's folder: exactly `length` bytes, which stay as they are from then on. */
export type ReadExternal = (location: string, offset: number, length: number) => Promise<Uint8Array>

/**
 * The model with all data inside. Ranges that several tensors share are read once.
 * @throws OnnxError external_data; too_large where the tensors take more than `maxBytes` together; what `read` throws
 */
export async function resolveExternal(
  model: ModelProto,
  read: ReadExternal,
  { maxBytes = MAX_MODEL_BYTES }: { readonly maxBytes?: number } = {},
): Promise<ModelProto> {
  const refs = externalRefs(model)
  if (refs.length === 0) return model
  // Checked as declared: a few bytes can name the same gigabyte a thousand times.
  const total = refs.reduce((sum, { length }) => sum + length, 0)
  if (total > maxBytes) {
    throw new OnnxError('too_large', `The model's external data takes ${total} bytes; at most ${maxBytes} are taken.`)
  }
  const ranges = new Map<string, Uint8Array>()
  const data = new Map<TensorProto, Uint8Array>()
  for (const { tensor, location, offset, length } of refs) {
    const key = `${offset}:${length}:${location}`
    const bytes = ranges.get(key) ?? (await read(location, offset, length))
    if (bytes.length !== length) {
      throw fault(tensor, `needs ${length} bytes of "${printable(location)}", which has ${bytes.length} there`)
    }
    ranges.set(key, bytes)
    data.set(tensor, bytes)
  }
  return mapTensors(model, (tensor) => {
    const bytes = data.get(tensor)
    if (bytes === undefined) return tensor
    const { dataLocation: _, ...rest } = tensor
    return { ...rest, externalData: [], rawData: bytes as Uint8Array<ArrayBuffer> }
  })
}

export interface SplitOptions {
  /** Name of the file that takes the data, as the model is to refer to it. */
  readonly location: string
  /** Initializers from this size on are moved out. */
  readonly thresholdBytes?: number
  /** Each tensor begins at a multiple of this; that of memory pages lets readers map the file. */
  readonly alignment?: number
}

export interface SplitModel {
  readonly model: ModelProto
  /** Length of the data file. */
  readonly bytes: number
  /** The data file, piece by piece: views of the tensors' data, and zeros between them. */
  readonly parts: readonly Uint8Array[]
}

/**
 * Moves large initializers' data out of the model. Strings stay. The given model stays as it is.
 * @throws OnnxError external_data for a location outside the folder, or data that lies outside already
 */
export function splitExternal(
  model: ModelProto,
  { location, thresholdBytes = 1024, alignment = 4096 }: SplitOptions,
): SplitModel {
  if (!Number.isInteger(alignment) || alignment < 1) throw new RangeError('The alignment is a number of bytes.')
  const parts: Uint8Array[] = []
  let end = 0
  const split = mapTensors(model, (tensor, place) => {
    // Readers differ in whether they look for external data elsewhere.
    if (place !== 'initializer' || tensor.dataType === DataType.STRING) return tensor
    const data = rawBytesOf(tensor)
    if (data.length < thresholdBytes || data.length === 0) return tensor
    const offset = Math.ceil(end / alignment) * alignment
    if (offset > end) parts.push(new Uint8Array(offset - end))
    parts.push(data)
    end = offset + data.length
    return outside(tensor, { location, offset, length: data.length })
  })
  return { model: split, bytes: end, parts }
}

function outside(tensor: TensorProto, place: Omit<ExternalRef, 'tensor'>): TensorProto {
  const { rawData: _, ...rest } = tensor
  const moved: TensorProto = {
    ...rest,
    floatData: [],
    int32Data: [],
    int64Data: [],
    doubleData: [],
    uint64Data: [],
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries(place).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value: String(value) }),
    ),
  }
  externalRefOf(moved)
  return moved
}
