import { VergeError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import type { Limits } from '../../core/limits.ts'
import type { Signature, Tensor, Tensors } from '../../core/tensors.ts'
import { decodeUtf8 } from '../../core/utf8.ts'
import { refuseManyItems, validate } from '../../core/validation.ts'
import { tensorFromBinary } from './binary.ts'
import { restoreLongIntegers } from './exact.ts'
import { JSON_LENGTH_HEADER } from './headers.ts'
import { tensorFromJson } from './json.ts'
import { parseJsonLength } from './message.ts'
import { checkInputs, checkOutputs, refuseLongTexts, type TextBounds } from './signature.ts'
import { type InferRequest, type InputTensor, inferRequestSchema } from './wire.ts'

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
  restoreLongIntegers(envelope.inputs, () => decodeUtf8(head) ?? '', inputsIn)
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
      `${binary.length - at} bytes of binary data are left over after the inputs. Check "${JSON_LENGTH_HEADER}" and each "binary_data_size".`,
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
      `The parameter "${name.slice(0, 64)}" is not supported: no state is kept between requests. Leave it out, and send the model's state as tensors.`,
      { details: { field: `parameters.${name.slice(0, 64)}` } },
    )
  }
}
