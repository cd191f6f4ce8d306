import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Tensor, Tensors } from '../../core/tensors.ts'
import { tensorToBinary } from '../../protocols/oip/binary.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'
import { dataToJson } from '../../protocols/oip/json.ts'
import type { InferRequest } from '../../protocols/oip/wire.ts'

/**
 * Writes an inference answer: JSON, or a JSON header and binary data after it where binary was asked for.
 * @throws unsupported_output if there is more than JSON is written for, or what JSON cannot hold and the request refuses
 *
 * The JSON is written by hand, because JSON.stringify knows no 64-bit integers and would copy every tensor first.
 */
export function inferResponse(
  envelope: InferRequest,
  manifest: Manifest,
  outputs: Tensors,
  limits: Pick<Limits, 'jsonOutputElements'>,
): Response {
  refuseLargeJson(envelope, outputs, limits.jsonOutputElements)
  if (envelope.parameters?.non_finite === 'refuse') refuseNonFinite(envelope, outputs)
  const parts: string[] = []
  const blobs: Uint8Array[] = []
  for (const [name, value] of outputs) {
    const binary = wantsBinary(envelope, name) ? tensorToBinary(value) : undefined
    if (binary !== undefined) blobs.push(binary)
    parts.push(outputJson(name, value, binary))
  }
  const id = envelope.id === undefined ? '' : `"id":${JSON.stringify(envelope.id)},`
  const json =
    `{"model_name":${JSON.stringify(manifest.model)},"model_version":${JSON.stringify(manifest.version)},` +
    `${id}"outputs":[${parts.join(',')}]}`
  if (blobs.length === 0) return new Response(json, { headers: { 'content-type': 'application/json' } })

  const header = new TextEncoder().encode(json)
  const body = new Uint8Array(blobs.reduce((total, blob) => total + blob.length, header.length))
  body.set(header)
  let at = header.length
  for (const blob of blobs) {
    body.set(blob, at)
    at += blob.length
  }
  return new Response(body, {
    headers: { 'content-type': 'application/octet-stream', [JSON_LENGTH_HEADER]: String(header.length) },
  })
}

/** Counted before any text is made: it would be several times as large as the tensors. */
function refuseLargeJson(envelope: InferRequest, outputs: Tensors, limit: number): void {
  let elements = 0
  for (const [name, { data }] of outputs) if (!wantsBinary(envelope, name)) elements += data.length
  if (elements <= limit) return
  throw new VergeError(
    'unsupported_output',
    `The outputs have ${elements} elements; at most ${limit} are written in JSON. Ask for binary data ` +
      '("parameters": {"binary_data_output": true}), or for fewer outputs.',
    { details: { elements, limit_elements: limit } },
  )
}

/** For callers to whom null is not good enough: JSON has no words for NaN and infinities. */
function refuseNonFinite(envelope: InferRequest, outputs: Tensors): void {
  for (const [name, value] of outputs) {
    if (wantsBinary(envelope, name) || allFinite(value)) continue
    throw new VergeError(
      'unsupported_output',
      `Output "${name}" holds NaN or infinities, which JSON does not have. Ask for binary data ("parameters": ` +
        '{"binary_data_output": true}), or leave "non_finite" out to be answered null in their places.',
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

/** An output's own parameter stands over the request's. */
function wantsBinary(envelope: InferRequest, name: string): boolean {
  const output = envelope.outputs?.find((candidate) => candidate.name === name)
  return output?.parameters?.binary_data ?? envelope.parameters?.binary_data_output ?? false
}

function outputJson(name: string, value: Tensor, binary: Uint8Array | undefined): string {
  const content =
    binary === undefined ? `"data":${dataToJson(value)}` : `"parameters":{"binary_data_size":${binary.length}}`
  return `{"name":${JSON.stringify(name)},"datatype":"${value.datatype}","shape":[${value.shape.join(',')}],${content}}`
}
