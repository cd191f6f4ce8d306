import { VergeError } from './errors.ts'

/** Element types, by their Open Inference Protocol names. */
export const DATATYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const

export type Datatype = (typeof DATATYPES)[number]

/**
 * A tensor's elements in row-major order. BOOL is one byte an element (0 or 1); FP16 is the raw IEEE 754 half bits;
 * BYTES is one string an element (ONNX strings are UTF-8, so the protocol's byte strings must be too).
 */
export interface TensorDataMap {
  readonly BOOL: Uint8Array
  readonly UINT8: Uint8Array
  readonly UINT16: Uint16Array
  readonly UINT32: Uint32Array
  readonly UINT64: BigUint64Array
  readonly INT8: Int8Array
  readonly INT16: Int16Array
  readonly INT32: Int32Array
  readonly INT64: BigInt64Array
  readonly FP16: Uint16Array
  readonly FP32: Float32Array
  readonly FP64: Float64Array
  readonly BYTES: readonly string[]
}

export type TensorOf<D extends Datatype> = {
  readonly datatype: D
  /** Dimensions, outermost first; empty for a scalar. A dimension may be 0. */
  readonly shape: readonly number[]
  readonly data: TensorDataMap[D]
}

export type Tensor = { [D in Datatype]: TensorOf<D> }[Datatype]

/** Tensors by name. A Map, because a name is the model author's and may be `__proto__`. */
export type Tensors = ReadonlyMap<string, Tensor>

/** Bytes an element of fixed size takes; BYTES elements have none. */
export const ELEMENT_BYTES: Readonly<Record<Exclude<Datatype, 'BYTES'>, 1 | 2 | 4 | 8>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
}

export type NumericArray = TensorDataMap[Exclude<Datatype, 'BYTES'>]

type NumericConstructor = {
  new (length: number): NumericArray
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): NumericArray
}

export const ARRAY_TYPES: Readonly<Record<Exclude<Datatype, 'BYTES'>, NumericConstructor>> = {
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
}

/**
 * One input or output of a model.
 * `datatype` is null where the value is not a tensor (a sequence or a map), or is of a type that the protocol lacks.
 * A dimension is a number where it is fixed, a name where it is symbolic, and -1 where it is unknown and unnamed.
 */
export interface TensorSpec {
  readonly name: string
  readonly datatype: Datatype | null
  readonly shape: readonly (number | string)[]
}

export interface Signature {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

/** An input that no request can hold: the model cannot be asked at all. */
export function unsendableInput(name: string): VergeError {
  return new VergeError(
    'unsupported_datatype',
    `Input "${name}" does not have a tensor type of the protocol, so the model cannot be used. Export the model with tensors as inputs, and push it again.`,
    { details: { input: name } },
  )
}

/** Elements in a shape. Dimensions have been checked to be non-negative safe integers. */
export function elementCount(shape: readonly number[]): number {
  let count = 1
  for (const dimension of shape) count *= dimension
  return count
}

/** Builds a tensor, checking that the shape multiplies out to the data's length. */
export function tensor<D extends Datatype>(datatype: D, shape: readonly number[], data: TensorDataMap[D]): Tensor {
  const expected = elementCount(shape)
  if (!shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0) || data.length !== expected) {
    throw new VergeError(
      'invalid_tensor',
      `Shape [${shape.join(', ')}] needs ${expected} elements, but there are ${data.length}.`,
    )
  }
  return { datatype, shape, data } as unknown as Tensor
}

/** The numbers that half-precision bits encode: a view of the same memory, so that writing to it sets the bits. */
export function halves(bits: Uint16Array): Float16Array {
  return new Float16Array(bits.buffer, bits.byteOffset, bits.length)
}

/** The bits of the halves nearest to numbers, ties to even. Numbers from 65520 on become infinite. */
export function halfBits(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  return new Uint16Array(Float16Array.from(values).buffer)
}

/** A floating-point tensor's elements, without a copy. Undefined for other datatypes. */
export function floatElements(value: Tensor): Float16Array | Float32Array | Float64Array | undefined {
  switch (value.datatype) {
    case 'FP16':
      return halves(value.data)
    case 'FP32':
    case 'FP64':
      return value.data
    default:
      return undefined
  }
}

/** The same in single precision; copied unless it is in single precision already. */
export function toFloats(value: Tensor): Float32Array | undefined {
  const elements = floatElements(value)
  return elements === undefined || elements instanceof Float32Array ? elements : Float32Array.from(elements)
}

/** The same in double precision; always a copy. */
export function toDoubles(value: Tensor): Float64Array | undefined {
  const elements = floatElements(value)
  return elements && Float64Array.from(elements)
}

/** A run's inputs in the signature's order. @throws unknown_input, missing_input */
export function selectInputs(signature: Signature, inputs: Tensors): readonly { spec: TensorSpec; value: Tensor }[] {
  const known = new Set(signature.inputs.map((spec) => spec.name))
  for (const name of inputs.keys()) {
    if (!known.has(name)) {
      throw new VergeError('unknown_input', `The model has no input "${name}". It has: ${[...known].join(', ')}.`, {
        details: { input: name },
      })
    }
  }
  return signature.inputs.map((spec) => {
    const value = inputs.get(spec.name)
    if (!value && spec.datatype === null) throw unsendableInput(spec.name)
    if (!value) {
      throw new VergeError('missing_input', `Input "${spec.name}" is missing.`, { details: { input: spec.name } })
    }
    return { spec, value }
  })
}

/**
 * The requested outputs in the requested order; without names all outputs that are tensors, in the order of the
 * metadata.
 * @throws unknown_output; unsupported_output for an output that is not a tensor, or if no output is
 */
export function selectOutputs(signature: Signature, wanted: readonly string[] | undefined): readonly TensorSpec[] {
  const specs = signature.outputs
  const [first] = specs
  if (wanted === undefined) {
    const tensors = specs.filter(({ datatype }) => datatype !== null)
    if (tensors.length === 0 && first !== undefined) throw notATensor(first.name)
    return tensors
  }
  return wanted.map((name) => {
    const spec = specs.find((candidate) => candidate.name === name)
    if (!spec) {
      const names = specs.map((candidate) => candidate.name).join(', ')
      throw new VergeError('unknown_output', `The model has no output "${name}". It has: ${names}.`, {
        details: { output: name },
      })
    }
    if (spec.datatype === null) throw notATensor(name)
    return spec
  })
}

export function notATensor(name: string): VergeError {
  return new VergeError(
    'unsupported_output',
    `Output "${name}" does not have a tensor type of the protocol. Request other outputs by name.`,
    { details: { output: name } },
  )
}

/** Bytes of memory that tensors' elements take; of texts, those of their UTF-16 units. */
export function bytesHeld(tensors: Tensors): number {
  let bytes = 0
  for (const { datatype, data } of tensors.values()) {
    if (datatype === 'BYTES') for (const text of data) bytes += 2 * text.length
    else bytes += data.byteLength
  }
  return bytes
}
