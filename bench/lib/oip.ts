import type { Datatype } from '../../src/core/tensors.ts'
import { JSON_LENGTH_HEADER } from '../../src/protocols/oip/headers.ts'
import { type RequestParts, requestBytes } from './connection.ts'

/** A tensor to send, in any protocol. */
export interface Input {
  readonly name: string
  readonly datatype: Extract<Datatype, 'FP32' | 'INT64'>
  readonly shape: readonly number[]
  readonly data: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>
}

function bytesOf({ data }: Input): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** The Open Inference Protocol with binary tensors both ways. */
export function binaryRequest(
  model: string,
  inputs: readonly Input[],
  more: Readonly<Record<string, string>> = {},
): Buffer {
  const parts = binaryParts(model, inputs)
  return requestBytes({ ...parts, headers: { ...parts.headers, ...more } })
}

/** The same before it is serialised: for requests that have to be signed. */
export function binaryParts(model: string, inputs: readonly Input[]): RequestParts & { readonly body: Uint8Array } {
  const header = Buffer.from(
    JSON.stringify({
      inputs: inputs.map(({ name, datatype, shape, data }) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: data.byteLength },
      })),
      parameters: { binary_data_output: true },
    }),
  )
  return {
    method: 'POST',
    path: `/v2/models/${model}/infer`,
    headers: {
      'content-type': 'application/octet-stream',
      [JSON_LENGTH_HEADER]: String(header.length),
    },
    body: Buffer.concat([header, ...inputs.map(bytesOf)]),
  }
}

/** The same in JSON. */
export function jsonRequest(model: string, inputs: readonly Input[]): Buffer {
  const body = JSON.stringify({
    inputs: inputs.map(({ name, datatype, shape, data }) => ({
      name,
      datatype,
      shape,
      data: Array.from(data, Number),
    })),
  })
  return requestBytes({
    method: 'POST',
    path: `/v2/models/${model}/infer`,
    headers: { 'content-type': 'application/json' },
    body,
  })
}

/** What `workers/plain.ts` takes: the tensors' bytes, described in a header. */
export function plainRequest(model: string, inputs: readonly Input[]): Buffer {
  return requestBytes({
    method: 'POST',
    path: `/infer?model=${model}`,
    headers: { 'x-tensors': JSON.stringify(inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape }))) },
    body: Buffer.concat(inputs.map(bytesOf)),
  })
}
