import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Tensor, Tensors } from '../../core/tensors.ts'
import { decodeUtf8 } from '../../core/utf8.ts'
import { refuseManyItems, validate } from '../../core/validation.ts'
import { tensorFromBinary } from '../../protocols/oip/binary.ts'
import { restoreLongIntegers } from '../../protocols/oip/exact.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'
import { tensorFromJson } from '../../protocols/oip/json.ts'
import { type InferRequest, type InputTensor, inferRequestSchema } from '../../protocols/oip/wire.ts'
import { parseJson } from '../body.ts'
import { refuseSequences } from './parameters.ts'
import { checkInputs, checkOutputs, refuseLongTexts } from './validate.ts'

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
export function headerLength(header: string | undefined, maxBytes: number): number | undefined {
  if (header === undefined) return undefined
  const length = Number(header)
  if (!/^\d{1,12}$/.test(header) || length === 0) {
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
 * @param jsonLength what `headerLength` returned
 * @throws empty_input, invalid_json, invalid_request, invalid_tensor, unknown_input, missing_input, unknown_output,
 * unsupported_output, unsupported_datatype, input_too_large
 */
export function parseInferRequest(
  body: Uint8Array<ArrayBuffer>,
  jsonLength: number | undefined,
  manifest: Manifest,
  limits: Limits,
): ParsedRequest {
  if (jsonLength !== undefined && jsonLength > body.length) {
    throw new VergeError(
      'invalid_request',
      `"${JSON_LENGTH_HEADER}" says ${jsonLength} bytes, but the body has ${body.length}.`,
    )
  }
  const head = jsonLength === undefined ? body : body.subarray(0, jsonLength)
  const json = parseJson(head)
  refuseManyItems(json, limits.requestItems)
  const envelope = validate(inferRequestSchema, json, 'The inference request')
  refuseSequences(envelope.parameters)
  checkInputs(envelope.inputs, manifest.inputs, limits)
  refuseLongTexts(envelope.inputs, manifest)
  const outputs = checkOutputs(envelope.outputs, manifest.outputs, limits)
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
