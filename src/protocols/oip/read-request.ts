import { VergeError } from '../../core/errors.ts'
import { decodeUtf8, parseJson } from '../../core/json.ts'
import type { Limits } from '../../core/limits.ts'
import { type Signature, type Tensor, type TensorSpec, type Tensors, unsendableInput } from '../../core/tensors.ts'
import { refuseManyItems, validate } from '../../core/validation.ts'
import { parseJsonLength, tensorFromBinary } from './binary.ts'
import { JSON_LENGTH_HEADER } from './headers.ts'
import { restoreLongIntegers, tensorFromJson } from './json.ts'
import { type InferRequest, type InputTensor, inferRequestSchema, type RequestedOutput } from './wire.ts'

/** What a request is checked against: a model's signature, and how long a text it takes. */
export interface AskedModel extends Signature, TextBounds {}

/** An inference request, read and checked against the model's signature. */
export interface ParsedRequest {
  readonly envelope: InferRequest
  readonly inputs: Tensors
  /** Outputs asked for, in the order asked for; undefined for all. */
  readonly outputs: readonly string[] | undefined
}

/**
 * The length of the JSON header before binary data, or undefined if the whole body is JSON.
 * @throws invalid_request, body_too_large
 */
export function readJsonLength(header: string | undefined, maxBytes: number): number | undefined {
  if (header === undefined) return undefined
  const length = parseJsonLength(header)
  if (length === undefined) {
    throw new VergeError(
      'invalid_request',
      `"${JSON_LENGTH_HEADER}" must be the number of bytes of JSON at the start of the body, at least 1.`,
    )
  }
  if (length > maxBytes) {
    throw new VergeError('body_too_large', `The JSON header may have at most ${maxBytes} bytes.`, {
      details: { limit_bytes: maxBytes },
    })
  }
  return length
}

/**
 * Reads an inference request. Shapes are checked and multiplied out before memory is given for their elements.
 * @param jsonLength what `readJsonLength` returned
 * @throws empty_input, invalid_json, invalid_request, invalid_tensor, unknown_input, missing_input, unknown_output,
 * unsupported_output, unsupported_datatype, input_too_large
 */
export function readInferRequest(
  body: Uint8Array<ArrayBuffer>,
  jsonLength: number | undefined,
  model: AskedModel,
  limits: Limits,
): ParsedRequest {
  if (jsonLength !== undefined && jsonLength > body.length) {
    throw new VergeError(
      'invalid_request',
      `"${JSON_LENGTH_HEADER}" says ${jsonLength} bytes, but the body has ${body.length}.`,
    )
  }
  const head = jsonLength === undefined ? body : body.subarray(0, jsonLength)
  const json = parseJson(head, limits)
  refuseManyItems(json, limits.requestItems)
  const envelope = validate(inferRequestSchema, json, 'The inference request')
  refuseSequences(envelope.parameters)
  checkInputs(envelope.inputs, model.inputs, limits)
  refuseLongTexts(envelope.inputs, model)
  const outputs = checkOutputs(envelope.outputs, model.outputs, limits)
  // What lies behind the JSON is exact as it is.
  if (envelope.inputs.some(({ data }) => data !== undefined)) {
    restoreLongIntegers(envelope.inputs, () => decodeUtf8(head) ?? '', inputsIn)
  }
  const binary = jsonLength === undefined ? undefined : body.subarray(jsonLength)
  return { envelope, inputs: readTensors(envelope.inputs, binary, limits), outputs }
}

function inputsIn(json: unknown): unknown {
  return typeof json === 'object' && json !== null && 'inputs' in json ? json.inputs : undefined
}

function readTensors(
  inputs: readonly InputTensor[],
  binary: Uint8Array<ArrayBuffer> | undefined,
  limits: Limits,
): Tensors {
  const tensors = new Map<string, Tensor>()
  let at = 0
  for (const input of inputs) {
    const { name, datatype, shape, data } = input
    const size = input.parameters?.binary_data_size
    if (size === undefined) {
      tensors.set(name, tensorFromJson(name, datatype, shape, data, limits.stringBytes))
      continue
    }
    if (data !== undefined) {
      throw new VergeError(
        'invalid_tensor',
        `Input "${name}" has both "data" and "binary_data_size"; send one of them.`,
      )
    }
    if (binary === undefined) {
      throw new VergeError(
        'invalid_request',
        `Input "${name}" has "binary_data_size", so the request needs the header "${JSON_LENGTH_HEADER}".`,
      )
    }
    if (at + size > binary.length) {
      throw new VergeError(
        'invalid_tensor',
        `Input "${name}" needs ${size} bytes of binary data, but only ${binary.length - at} are left in the body.`,
      )
    }
    tensors.set(name, tensorFromBinary(name, datatype, shape, binary.subarray(at, at + size), limits.stringBytes))
    at += size
  }
  if (binary !== undefined && at !== binary.length) {
    throw new VergeError(
      'invalid_request',
      `${binary.length - at} bytes of binary data remain after the inputs. Check "${JSON_LENGTH_HEADER}" and each "binary_data_size".`,
    )
  }
  return tensors
}

/** Triton's sequence extension: state that a server keeps between requests. */
const SEQUENCE = /^sequence_/
/** What Triton's clients send for "no sequence". */
const NEUTRAL: ReadonlySet<unknown> = new Set([0, '', false])

/** Refuses parameters that would change the answer and that Verge does not implement. @throws invalid_request */
function refuseSequences(parameters: InferRequest['parameters']): void {
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (!SEQUENCE.test(name) || NEUTRAL.has(value)) continue
    throw new VergeError(
      'invalid_request',
      `The parameter "${name.slice(0, 64)}" is not supported, because Verge keeps no state between requests. Remove it, and send the model's state as tensors.`,
      { details: { field: `parameters.${name.slice(0, 64)}` } },
    )
  }
}

/** A dimension beyond this fits no tensor that is not empty, and no index type of any engine. */
const MAX_DIMENSION = 2 ** 31 - 1

/** Parameters by which the protocol's extensions change what is asked for. Ignoring them would answer wrongly. */
const UNSUPPORTED_PARAMETERS = ['classification', 'shared_memory_region']

/**
 * Checks the inputs' names, types and shapes against a model's signature, before any of their data are read.
 * Two symbolic dimensions of the same name need not agree: models are exported with names that do not hold.
 * @throws unknown_input, missing_input, invalid_request, invalid_tensor, unsupported_datatype, input_too_large
 */
export function checkInputs(inputs: readonly InputTensor[], specs: readonly TensorSpec[], limits: Limits): void {
  // Without all of its inputs a model cannot run, whatever is sent.
  const odd = specs.find(({ datatype }) => datatype === null)
  if (odd !== undefined) throw unsendableInput(odd.name)
  checkTensorCount(inputs.length, 'inputs', limits)
  const byName = new Map(specs.map((spec) => [spec.name, spec]))
  const seen = new Set<string>()
  let elements = 0
  for (const input of inputs) {
    const spec = byName.get(input.name)
    if (spec === undefined) {
      throw new VergeError(
        'unknown_input',
        `The model has no input "${clip(input.name)}". ${listNames(specs, 'inputs')}`,
      )
    }
    if (seen.has(input.name)) {
      throw new VergeError('invalid_request', `Input "${input.name}" is given twice.`)
    }
    seen.add(input.name)
    refuseParameters(input.parameters, `Input "${input.name}"`)
    checkDatatype(input, spec)
    checkShape(input, spec, limits)
    elements += boundedCount(input.name, input.shape, limits.inputElements)
    if (elements > limits.inputElements) throw tooMany('The inputs together', limits.inputElements)
  }
  for (const { name } of specs) {
    if (seen.has(name)) continue
    throw new VergeError('missing_input', `Input "${name}" is missing. ${listNames(specs, 'inputs')}`)
  }
}

/** How many tokens of a text a model takes, as its settings say. */
export interface TextBounds {
  readonly generation?: { readonly contextLength: number } | undefined
  readonly text?: { readonly maxTokens: number } | undefined
}

/** Inputs that have a column for each token of a text. */
const OF_TOKENS: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'])

/**
 * Refuses texts that are longer than the model was made for, as tasks cut them: attention takes the square of their length
 * in time and memory, which no cost by the number of elements knows of.
 * @throws input_too_large
 */
export function refuseLongTexts(
  inputs: readonly Pick<InputTensor, 'name' | 'shape'>[],
  { generation, text }: TextBounds,
): void {
  const most = generation?.contextLength ?? text?.maxTokens
  if (most === undefined) return
  const long = inputs.find(({ name, shape }) => OF_TOKENS.has(name) && shape.length === 2 && (shape[1] ?? 0) > most)
  if (long === undefined) return
  throw new VergeError(
    'input_too_large',
    `Input "${long.name}" has texts of ${long.shape[1]} tokens; the limit of this model is ${most}. Send shorter texts.`,
    { details: { input: long.name, limit_tokens: most } },
  )
}

/**
 * @returns the outputs' names in the order asked for, or undefined for all
 * @throws unknown_output, unsupported_output, invalid_request
 */
export function checkOutputs(
  outputs: readonly RequestedOutput[] | undefined,
  specs: readonly TensorSpec[],
  limits: Limits,
): readonly string[] | undefined {
  if (outputs === undefined || outputs.length === 0) return undefined
  checkTensorCount(outputs.length, 'outputs', limits)
  const seen = new Set<string>()
  for (const { name, parameters } of outputs) {
    const spec = specs.find((candidate) => candidate.name === name)
    if (spec === undefined) {
      throw new VergeError('unknown_output', `The model has no output "${clip(name)}". ${listNames(specs, 'outputs')}`)
    }
    if (spec.datatype === null) {
      throw new VergeError(
        'unsupported_output',
        `Output "${name}" does not have a tensor type of the protocol, so it cannot be requested.`,
      )
    }
    if (seen.has(name)) throw new VergeError('invalid_request', `Output "${name}" is requested twice.`)
    seen.add(name)
    refuseParameters(parameters, `Output "${name}"`)
  }
  return [...seen]
}

function checkTensorCount(count: number, what: string, limits: Limits): void {
  if (count > limits.tensorsPerRequest) {
    throw new VergeError('invalid_request', `A request may have at most ${limits.tensorsPerRequest} ${what}.`)
  }
}

function refuseParameters(parameters: Readonly<Record<string, unknown>> | undefined, what: string): void {
  if (parameters === undefined) return
  const name = UNSUPPORTED_PARAMETERS.find((candidate) => candidate in parameters)
  if (name !== undefined) {
    throw new VergeError('invalid_request', `${what}: the parameter "${name}" is not supported. Remove it.`)
  }
}

function checkDatatype(input: InputTensor, spec: TensorSpec): void {
  if (input.datatype !== spec.datatype) {
    throw new VergeError(
      'invalid_tensor',
      `Input "${input.name}" must be ${spec.datatype}, but ${input.datatype} was sent.`,
    )
  }
}

function checkShape(input: InputTensor, spec: TensorSpec, limits: Limits): void {
  const { name, shape } = input
  if (shape.length > limits.tensorRank) {
    throw new VergeError('invalid_tensor', `Input "${name}" may have at most ${limits.tensorRank} dimensions.`)
  }
  if (!fitsSpec(shape, spec)) {
    const expected = spec.shape.map((dimension) => (dimension === -1 ? '?' : dimension)).join(', ')
    throw new VergeError(
      'invalid_tensor',
      `Input "${name}" must have the shape [${expected}], but [${shape.join(', ')}] was sent.`,
    )
  }
}

/** Whether a tensor of this shape can be the one that the signature names: symbolic dimensions take any size. */
export function fitsSpec(shape: readonly number[], spec: Pick<TensorSpec, 'shape'>): boolean {
  // No dimensions in a signature means a scalar or an unknown rank; the engine alone can tell which.
  if (spec.shape.length === 0) return true
  return (
    shape.length === spec.shape.length &&
    shape.every((dimension, i) => {
      const expected = spec.shape[i]
      return typeof expected !== 'number' || expected < 0 || expected === dimension
    })
  )
}

/** Multiplies a shape out without passing `limit`, so that nothing is allocated for a product that does not fit. */
function boundedCount(name: string, shape: readonly number[], limit: number): number {
  if (shape.some((dimension) => dimension > MAX_DIMENSION)) throw tooMany(`Input "${name}"`, limit)
  if (shape.includes(0)) return 0
  let count = 1
  for (const dimension of shape) {
    count *= dimension
    if (count > limit) throw tooMany(`Input "${name}"`, limit)
  }
  return count
}

function tooMany(what: string, limit: number): VergeError {
  return new VergeError('input_too_large', `${what} may have at most ${limit} elements.`, {
    details: { limit_elements: limit },
  })
}

function listNames(specs: readonly TensorSpec[], what: string): string {
  return `Its ${what}: ${specs.map((spec) => `"${spec.name}"`).join(', ') || 'none'}.`
}

/** Bounds what of the caller's own words is sent back. */
function clip(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}...` : name
}
