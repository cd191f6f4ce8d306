import { VergeError } from '../../core/errors.ts'
import { decodeUtf8 } from '../../core/json.ts'
import { isObject } from '../../core/objects.ts'
import { DATATYPES, type Datatype, type Tensor, type TensorSpec, type Tensors } from '../../core/tensors.ts'
import { tensorFromBinary } from './binary.ts'
import { restoreLongIntegers, tensorFromJson } from './json.ts'
import { fitsSpec } from './read-request.ts'

type Bytes = Uint8Array<ArrayBuffer>
type Fields = Readonly<Record<string, unknown>>

export interface AnswerLimits {
  readonly tensors: number
  readonly rank: number
  /** Elements of one tensor, and bytes of one element of a BYTES tensor. */
  readonly elements: number
}

export interface ReadAnswerOptions {
  readonly limits: AnswerLimits
  /** Outputs that must be in the answer. Others are skipped. If left out, all outputs of the answer are read. */
  readonly wanted?: readonly string[]
  /** The model's outputs. If given, each output read must be one of them, of its datatype and shape. */
  readonly specs?: readonly TensorSpec[]
}

/**
 * Reads the answer to an inference request. Nothing that the server says is trusted: shapes are checked and multiplied
 * out, and the bytes counted, before memory is given for elements.
 * @param jsonLength bytes of JSON before binary tensors; undefined if all is JSON
 * @returns the outputs, in the order of `wanted`, else in the order of the answer
 * @throws origin_failed, invalid_tensor: the message says what is wrong
 */
export function readInferAnswer(
  body: Bytes,
  jsonLength: number | undefined,
  { limits: most, specs, wanted }: ReadAnswerOptions,
): Tensors {
  // An element takes one byte at least, in JSON as in binary.
  const limits = { ...most, elements: Math.min(most.elements, body.length) }
  if (jsonLength !== undefined && jsonLength > body.length) throw wrong('its JSON is shorter than its header declares')
  const head = jsonLength === undefined ? body : body.subarray(0, jsonLength)
  const binary = jsonLength === undefined ? new Uint8Array(0) : body.subarray(jsonLength)
  const entries = outputsOf(head, limits)
  restoreLongIntegers(
    entries,
    () => decodeUtf8(head) ?? '',
    (json) => (isObject(json) ? json.outputs : undefined),
  )
  const found = new Map<string, Tensor>()
  let at = 0
  for (const entry of entries) {
    const size = binarySize(entry)
    const bytes = size === undefined ? undefined : binary.subarray(at, at + size)
    if (size !== undefined && bytes?.length !== size) throw wrong('its binary data ends before its last tensor')
    at += size ?? 0
    const name = typeof entry.name === 'string' ? entry.name : ''
    if (wanted !== undefined && !wanted.includes(name)) continue
    if (found.has(name)) throw wrong('an output occurs twice')
    found.set(name, tensorOf(name, entry, bytes, specs, limits))
  }
  if (at !== binary.length) throw wrong('binary data remains after its tensors')
  if (wanted === undefined) return found
  return new Map(wanted.map((name) => [name, found.get(name) ?? missing(name)] as const))
}

function missing(name: string): never {
  throw wrong(`output "${name}" is missing`)
}

function outputsOf(json: Bytes, limits: AnswerLimits): readonly Fields[] {
  const text = decodeUtf8(json)
  let value: unknown
  try {
    value = JSON.parse(text ?? '')
  } catch {
    throw wrong('it is not JSON')
  }
  const outputs = isObject(value) ? value.outputs : undefined
  if (!Array.isArray(outputs) || outputs.length > limits.tensors || !outputs.every(isObject)) {
    throw wrong('it has no list of outputs')
  }
  return outputs
}

function binarySize({ parameters }: Fields): number | undefined {
  const size = isObject(parameters) ? parameters.binary_data_size : undefined
  if (size === undefined) return undefined
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size
  throw wrong('a "binary_data_size" is not a number of bytes')
}

function tensorOf(
  name: string,
  entry: Fields,
  bytes: Bytes | undefined,
  specs: readonly TensorSpec[] | undefined,
  limits: AnswerLimits,
): Tensor {
  const { datatype } = entry
  const shape = shapeOf(name, entry.shape, limits)
  if (!isDatatype(datatype)) throw wrong(`output "${name}" has no datatype of the protocol`)
  if (specs !== undefined) {
    const spec = specs.find((candidate) => candidate.name === name)
    if (spec === undefined || spec.datatype === null) throw wrong(`output "${name}" is not a tensor of the model`)
    if (datatype !== spec.datatype) throw wrong(`output "${name}" is not ${spec.datatype}`)
    if (!fitsSpec(shape, spec)) {
      throw wrong(`output "${name}" has the shape [${shape.join(', ')}], which does not match the model`)
    }
  }
  return bytes === undefined
    ? tensorFromJson(name, datatype, shape, entry.data, limits.elements)
    : tensorFromBinary(name, datatype, shape, bytes, limits.elements)
}

function isDatatype(value: unknown): value is Datatype {
  return (DATATYPES as readonly unknown[]).includes(value)
}

function shapeOf(name: string, value: unknown, { elements: most, rank }: AnswerLimits): readonly number[] {
  const isShape =
    Array.isArray(value) && value.length <= rank && value.every((size) => Number.isSafeInteger(size) && size >= 0)
  if (!isShape) throw wrong(`output "${name}" has no shape`)
  const shape = value as readonly number[]
  if (shape.includes(0)) return shape
  let elements = 1
  for (const dimension of shape) {
    elements *= dimension
    if (elements > most) throw wrong(`output "${name}" is too large`)
  }
  return shape
}

function wrong(what: string): VergeError {
  return new VergeError('origin_failed', `The answer does not match the request: ${what}.`)
}
