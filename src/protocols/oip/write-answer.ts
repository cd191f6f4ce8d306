import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Tensor, Tensors } from '../../core/tensors.ts'
import { joinMessage, messageHeaders, writeTensors } from './binary.ts'
import type { InferRequest } from './wire.ts'

/** An answer to be sent: its body, and the headers that say how to read it. */
export interface WrittenAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array<ArrayBuffer>
}

/**
 * Writes an inference answer: JSON, or a JSON header and binary data after it where the request asks for binary.
 * @param model that answered, and its version
 * @throws unsupported_output if there is more than JSON is written for, or what JSON cannot hold and the request refuses
 */
export function writeInferAnswer(
  request: Pick<InferRequest, 'id' | 'outputs' | 'parameters'>,
  model: { readonly name: string; readonly version: string },
  outputs: Tensors,
  limits: Pick<Limits, 'jsonOutputElements'>,
): WrittenAnswer {
  refuseLargeJson(request, outputs, limits.jsonOutputElements)
  if (request.parameters?.non_finite === 'refuse') refuseNonFinite(request, outputs)
  const written = writeTensors(outputs, (name) => wantsBinary(request, name))
  const id = request.id === undefined ? '' : `"id":${JSON.stringify(request.id)},`
  const json =
    `{"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)},` +
    `${id}"outputs":${written.json}}`
  if (written.binary.length === 0) return { headers: messageHeaders(undefined), body: json }
  const { body, jsonLength } = joinMessage(json, written.binary)
  return { headers: messageHeaders(jsonLength), body }
}

type Asked = Pick<InferRequest, 'outputs' | 'parameters'>

/** Counted before any text is made: it would be several times as large as the tensors. */
function refuseLargeJson(request: Asked, outputs: Tensors, limit: number): void {
  let elements = 0
  for (const [name, { data }] of outputs) if (!wantsBinary(request, name)) elements += data.length
  if (elements <= limit) return
  throw new VergeError(
    'unsupported_output',
    `The outputs have ${elements} elements; the limit in JSON is ${limit}. Request binary data ` +
      '("parameters": {"binary_data_output": true}), or fewer outputs.',
    { details: { elements, limit_elements: limit } },
  )
}

/** For callers to whom null is not good enough: JSON has no words for NaN and infinities. */
function refuseNonFinite(request: Asked, outputs: Tensors): void {
  for (const [name, value] of outputs) {
    if (wantsBinary(request, name) || allFinite(value)) continue
    throw new VergeError(
      'unsupported_output',
      `Output "${name}" contains NaN or infinities, which JSON does not have. Request binary data ("parameters": ` +
        '{"binary_data_output": true}), or remove "non_finite" to get null instead.',
      { details: { output: name } },
    )
  }
}

function allFinite({ data, datatype }: Tensor): boolean {
  if (datatype === 'FP16') return data.every((half) => (half & HALF_EXPONENT) !== HALF_EXPONENT)
  if (datatype !== 'FP32' && datatype !== 'FP64') return true
  for (const value of data) if (!Number.isFinite(value)) return false
  return true
}

/** All ones: an infinity or NaN. */
const HALF_EXPONENT = 0x7c00

/** An output's own parameter takes precedence over the request's. */
function wantsBinary(request: Asked, name: string): boolean {
  const output = request.outputs?.find((candidate) => candidate.name === name)
  return output?.parameters?.binary_data ?? request.parameters?.binary_data_output ?? false
}
