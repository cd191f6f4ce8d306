import type { Tensors } from '../../core/tensors.ts'
import { joinMessage, messageHeaders, writeTensors } from './binary.ts'
import { TENSOR_ALIGNMENT } from './headers.ts'

export interface WriteRequestOptions {
  /** Tensors in binary, both ways. */
  readonly binary: boolean
  /** Outputs wanted, in this order; all if left out. */
  readonly outputs?: readonly string[] | undefined
}

/** A request to be sent: its body, and the headers that say how to read it. */
export interface WrittenRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array<ArrayBuffer>
}

/** Writes an inference request. Binary tensors begin where a server can read them without a copy. */
export function writeInferRequest(inputs: Tensors, { binary, outputs }: WriteRequestOptions): WrittenRequest {
  const written = writeTensors(inputs, () => binary)
  const wanted =
    outputs === undefined ? '' : `,"outputs":[${outputs.map((name) => outputJson(name, binary)).join(',')}]`
  const parameters = binary && outputs === undefined ? ',"parameters":{"binary_data_output":true}' : ''
  const json = `{"inputs":${written.json}${wanted}${parameters}}`
  if (!binary) return { headers: messageHeaders(undefined), body: joinMessage(json, []).body }
  const { body, jsonLength } = joinMessage(json, written.binary, TENSOR_ALIGNMENT)
  return { headers: messageHeaders(jsonLength), body }
}

function outputJson(name: string, binary: boolean): string {
  return `{"name":${JSON.stringify(name)}${binary ? ',"parameters":{"binary_data":true}' : ''}}`
}

/** Where a server of the protocol takes inference requests. @param version the server's own choice if left out */
export function inferPath(model: string, version?: string | undefined): string {
  const of = version === undefined ? '' : `/versions/${encodeURIComponent(version)}`
  return `/v2/models/${encodeURIComponent(model)}${of}/infer`
}
