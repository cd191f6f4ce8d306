import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Datatype, Tensor, TensorSpec, Tensors } from '../../core/tensors.ts'
import { decodeUtf8 } from '../../core/utf8.ts'
import { tensorFromBinary } from '../../protocols/oip/binary.ts'
import { restoreLongIntegers } from '../../protocols/oip/exact.ts'
import { tensorFromJson } from '../../protocols/oip/json.ts'

type Bytes = Uint8Array<ArrayBuffer>
type Fields = Readonly<Record<string, unknown>>

/** The outputs to ask for: those named, or all that are tensors, in the model's order. */
export function wantedOutputs(
  manifest: Pick<Manifest, 'outputs'>,
  names: readonly string[] | undefined,
): readonly string[] {
  return names ?? manifest.outputs.flatMap(({ name, datatype }) => (datatype === null ? [] : [name]))
}

/**
 * Reads the answer to an inference request and holds it against the manifest: another server says what it likes. Shapes
 * are checked and multiplied out, and the bytes counted, before memory is given for elements.
 * @param jsonLength bytes of JSON before binary tensors; undefined if all is JSON
 * @param wanted outputs that must be there; others are passed over
 * @throws VergeError whose message says what is wrong
 */
export function tensorsOfAnswer(
  body: Bytes,
  jsonLength: number | undefined,
  manifest: Pick<Manifest, 'outputs'>,
  wanted: readonly string[],
): Tensors {
  const binary = jsonLength === undefined ? new Uint8Array(0) : body.subarray(jsonLength)
  const entries = outputsOf(jsonLength === undefined ? body : body.subarray(0, jsonLength))
  restoreLongIntegers(
    entries,
    () => decodeUtf8(jsonLength === undefined ? body : body.subarray(0, jsonLength)) ?? '',
    (json) => (isObject(json) ? json.outputs : undefined),
  )
  const found = new Map<string, Tensor>()
  let at = 0
  for (const entry of entries) {
    const size = binarySize(entry)
    const bytes = size === undefined ? undefined : binary.subarray(at, at + size)
    if (size !== undefined && bytes?.length !== size) throw wrong('its binary data end before its tensors do')
    at += size ?? 0
    const name = typeof entry.name === 'string' ? entry.name : ''
    if (!wanted.includes(name)) continue
    if (found.has(name)) throw wrong('an output comes twice')
    found.set(name, tensorOf(name, entry, bytes, manifest))
  }
  if (at !== binary.length) throw wrong('binary data are left over after its tensors')
  return new Map(wanted.map((name) => [name, found.get(name) ?? missing(name)] as const))
}

function missing(name: string): never {
  throw wrong(`output "${name}" is missing`)
}

function outputsOf(json: Bytes): readonly Fields[] {
  const text = decodeUtf8(json)
  let value: unknown
  try {
    value = JSON.parse(text ?? '')
  } catch {
    throw wrong('it is not JSON')
  }
  const outputs = isObject(value) ? value.outputs : undefined
  if (!Array.isArray(outputs) || outputs.length > LIMITS.tensorsPerRequest || !outputs.every(isObject)) {
    throw wrong('it has no list of outputs')
  }
  return outputs
}

function binarySize({ parameters }: Fields): number | undefined {
  const size = isObject(parameters) ? parameters.binary_data_size : undefined
  if (size === undefined) return undefined
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size
  throw wrong('a "binary_data_size" is no number of bytes')
}

function tensorOf(
  name: string,
  entry: Fields,
  bytes: Bytes | undefined,
  { outputs }: Pick<Manifest, 'outputs'>,
): Tensor {
  const spec = outputs.find((candidate) => candidate.name === name)
  if (spec === undefined || spec.datatype === null) throw wrong(`output "${name}" is no tensor of the model's`)
  if (entry.datatype !== spec.datatype) throw wrong(`output "${name}" is not ${spec.datatype}`)
  const shape = shapeOf(entry.shape, spec)
  return bytes === undefined
    ? fromJson(name, spec.datatype, shape, entry.data)
    : fromBytes(name, spec.datatype, shape, bytes)
}

function fromJson(name: string, datatype: Datatype, shape: readonly number[], data: unknown): Tensor {
  return tensorFromJson(name, datatype, shape, data, LIMITS.originTensorBytes)
}

function fromBytes(name: string, datatype: Datatype, shape: readonly number[], bytes: Bytes): Tensor {
  return tensorFromBinary(name, datatype, shape, bytes, LIMITS.originTensorBytes)
}

/** @returns a shape that the manifest allows, of no more elements than an answer has bytes */
function shapeOf(value: unknown, spec: TensorSpec): readonly number[] {
  const isShape =
    Array.isArray(value) && value.length <= LIMITS.tensorRank && value.every((d) => Number.isSafeInteger(d) && d >= 0)
  if (!isShape) throw wrong(`output "${spec.name}" has no shape`)
  const shape = value as readonly number[]
  // No dimensions in a signature means a scalar or an unknown rank.
  const fits =
    spec.shape.length === 0 ||
    (shape.length === spec.shape.length &&
      shape.every((dimension, i) => {
        const expected = spec.shape[i]
        return typeof expected !== 'number' || expected < 0 || expected === dimension
      }))
  if (!fits) throw wrong(`output "${spec.name}" has the shape [${shape.join(', ')}], which is not the model's`)
  if (shape.includes(0)) return shape
  let elements = 1
  for (const dimension of shape) {
    elements *= dimension
    if (elements > LIMITS.originTensorBytes) throw wrong(`output "${spec.name}" is too large`)
  }
  return shape
}

function wrong(what: string): VergeError {
  return new VergeError('origin_failed', `The origin's answer is not what was asked for: ${what}.`)
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
