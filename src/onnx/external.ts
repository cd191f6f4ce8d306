import { MAX_MODEL_BYTES } from './codec.ts'
import { byteCountOf, isExternal } from './data.ts'
import { OnnxError, safeName } from './errors.ts'
import type { ModelProto, TensorProto } from './schema/onnx_pb.js'
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
    throw fault(tensor, `has ${length} bytes in "${safeName(location)}", and its dimensions say ${expected}`)
  }
  if (!Number.isSafeInteger(offset + length)) throw fault(tensor, `lies beyond the end of any file`)
  return { tensor, location, offset, length }
}

/** The way to a file inside the model's folder; names are taken as they are, however odd. */
function locationOf(tensor: TensorProto, location: string | undefined): string {
  if (location === undefined || location === '') throw fault(tensor, 'is external but has no file name')
  const parts = location.split('/').filter((part) => part !== '' && part !== '.')
  const bad =
    location.length > MAX_LOCATION ||
    location.startsWith('/') ||
    location.includes('\\') ||
    location.includes('\0') ||
    /^[A-Za-z]:/.test(location) ||
    parts.includes('..') ||
    parts.length === 0
  if (bad) throw fault(tensor, `lies in "${safeName(location)}", which is not a file inside the model's folder`)
  return parts.join('/')
}

function bytesOf(tensor: TensorProto, key: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw fault(tensor, `has the ${key} "${safeName(text)}", which is no whole number`)
  return value
}

function fault({ name }: TensorProto, reason: string): OnnxError {
  return new OnnxError('external_data', `Tensor "${safeName(name)}" ${reason}. Export the model again.`, {
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
    throw new OnnxError('too_large', `The model's external data takes ${total} bytes; the limit is ${maxBytes}.`)
  }
  const ranges = new Map<string, Uint8Array>()
  const data = new Map<TensorProto, Uint8Array>()
  for (const { tensor, location, offset, length } of refs) {
    const key = `${offset}:${length}:${location}`
    const bytes = ranges.get(key) ?? (await read(location, offset, length))
    if (bytes.length !== length) {
      throw fault(tensor, `needs ${length} bytes of "${safeName(location)}", which has ${bytes.length} there`)
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
