import type { Datatype, Tensor, Tensors } from '../../src/core/tensors.ts'
import { inferPath, writeInferRequest } from '../../src/protocols/oip/write-request.ts'
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

/** The same before it is serialized: for requests that have to be signed. */
export function binaryParts(model: string, inputs: readonly Input[]): RequestParts & { readonly body: Uint8Array } {
  return { method: 'POST', path: inferPath(model), ...writeInferRequest(tensorsOf(inputs), { binary: true }) }
}

/** The same in JSON. */
export function jsonRequest(model: string, inputs: readonly Input[]): Buffer {
  return requestBytes({
    method: 'POST',
    path: inferPath(model),
    ...writeInferRequest(tensorsOf(inputs), { binary: false }),
  })
}

/** As engines take them. */
export function tensorsOf(inputs: readonly Input[]): Tensors {
  return new Map(inputs.map(({ name, ...tensor }) => [name, tensor as Tensor]))
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
