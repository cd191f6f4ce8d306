import { unexpected, VergeError } from './error.ts'
import type { Datatype, Tensor, TensorInput } from './wire.ts'

/**
 * Tensors as bytes, as the Open Inference Protocol's binary extension has them: JSON, then row-major, little-endian
 * elements. Every platform that this runs on is little-endian, so a typed array's memory is what goes over the wire.
 */

/** Header that gives the number of bytes of JSON at the start of a body. */
export const JSON_LENGTH_HEADER = 'inference-header-content-length'

/** Elements at a multiple of the widest one can be read where they lie. */
const ALIGNMENT = 8

const ARRAYS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const

/** What an array of this type may hold, first what it holds if nothing else is said. */
const DATATYPES: Readonly<Record<string, readonly Datatype[]>> = {
  Uint8Array: ['UINT8', 'BOOL'],
  Uint8ClampedArray: ['UINT8'],
  Uint16Array: ['UINT16', 'FP16'],
  Uint32Array: ['UINT32'],
  BigUint64Array: ['UINT64'],
  Int8Array: ['INT8'],
  Int16Array: ['INT16'],
  Int32Array: ['INT32'],
  BigInt64Array: ['INT64'],
  Float16Array: ['FP16'],
  Float32Array: ['FP32'],
  Float64Array: ['FP64'],
}

export interface WrittenTensors {
  readonly body: Uint8Array<ArrayBuffer>
  readonly jsonLength: number
}

/** @param outputs names of those wanted; all if left out @throws VergeError if an array is not of its datatype */
export function writeTensors(
  inputs: Readonly<Record<string, TensorInput>>,
  outputs: readonly string[] | undefined,
): WrittenTensors {
  const parts: Uint8Array[] = []
  const entries = Object.entries(inputs).map(([name, input]) => {
    const datatype = datatypeOf(name, input)
    const { data, shape } = input
    const bytes = isList(data) ? stringBytes(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    parts.push(bytes)
    return { name, shape, datatype, parameters: { binary_data_size: bytes.length } }
  })
  const wanted = outputs?.map((name) => ({ name, parameters: { binary_data: true } }))
  const json = new TextEncoder().encode(
    JSON.stringify({
      inputs: entries,
      ...(wanted ? { outputs: wanted } : { parameters: { binary_data_output: true } }),
    }),
  )
  const jsonLength = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT
  const body = new Uint8Array(parts.reduce((total, part) => total + part.length, jsonLength))
  // White space after the JSON.
  body.fill(0x20, json.length, jsonLength)
  body.set(json)
  let at = jsonLength
  for (const part of parts) {
    body.set(part, at)
    at += part.length
  }
  return { body, jsonLength }
}

type ArrayInput = Exclude<TensorInput['data'], readonly string[]>

function isList(data: TensorInput['data']): data is readonly string[] {
  return Array.isArray(data)
}

function datatypeOf(name: string, { data, datatype }: TensorInput): Datatype {
  const possible = isList(data) ? (['BYTES'] as const) : DATATYPES[(data as ArrayInput)[Symbol.toStringTag]]
  const chosen = datatype ?? possible?.[0]
  if (chosen !== undefined && possible?.includes(chosen)) return chosen
  throw new VergeError(
    'invalid_tensor',
    `Input "${name}": its data cannot be sent as ${datatype ?? 'a tensor'}. Use the typed array of the datatype, or a list of strings for BYTES.`,
  )
}

/** Each element as its length, a u32, and its UTF-8. */
function stringBytes(texts: readonly string[]): Uint8Array {
  const encoder = new TextEncoder()
  const elements = texts.map((text) => encoder.encode(text))
  const bytes = new Uint8Array(elements.reduce((total, { length }) => total + 4 + length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const element of elements) {
    view.setUint32(at, element.length, true)
    bytes.set(element, at + 4)
    at += 4 + element.length
  }
  return bytes
}

/** The answer to tensors. */
export interface Inferred {
  readonly model: string
  readonly version: string
  /** By name. Each has memory of its own. */
  readonly outputs: Readonly<Record<string, Tensor>>
}

interface InferAnswer {
  readonly model_name: string
  readonly model_version: string
  readonly outputs: readonly {
    readonly name: string
    readonly datatype: Datatype
    readonly shape: readonly number[]
    readonly parameters?: { readonly binary_data_size?: number }
  }[]
}

/** Reads an answer whose outputs are binary. @throws VergeError where its sizes do not agree */
export async function readTensors(response: Response): Promise<Inferred> {
  const jsonLength = Number(response.headers.get(JSON_LENGTH_HEADER) ?? Number.NaN)
  const body = await response.arrayBuffer()
  try {
    return tensorsIn(body, jsonLength)
  } catch (cause) {
    throw unexpected('its tensors are not complete', response, cause)
  }
}

function tensorsIn(body: ArrayBuffer, jsonLength: number): Inferred {
  const text = new TextDecoder().decode(new Uint8Array(body, 0, jsonLength))
  const { model_name: model, model_version: version, outputs } = JSON.parse(text) as InferAnswer
  let at = jsonLength
  const tensors = outputs.map(({ datatype, name, parameters, shape }) => {
    const size = parameters?.binary_data_size ?? Number.NaN
    if (!(at + size <= body.byteLength)) throw new RangeError(`"${name}" ends after the answer`)
    const bytes = body.slice(at, at + size)
    at += size
    const count = shape.reduce((product, dimension) => product * dimension, 1)
    const data = datatype === 'BYTES' ? stringsIn(bytes, count) : new ARRAYS[datatype](bytes)
    if (data.length !== count) throw new RangeError(`"${name}" has ${data.length} elements`)
    return [name, { datatype, shape, data } as Tensor] as const
  })
  return { model, version, outputs: Object.fromEntries(tensors) }
}

/** @throws RangeError where an element ends beyond the bytes */
function stringsIn(bytes: ArrayBuffer, count: number): string[] {
  const view = new DataView(bytes)
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const texts: string[] = []
  let at = 0
  while (texts.length < count) {
    const length = view.getUint32(at, true)
    texts.push(decoder.decode(new Uint8Array(bytes, at + 4, length)))
    at += 4 + length
  }
  return texts
}
