import type { Tensor } from '../../core/tensors.ts'
import { tensorToBinary } from './binary.ts'
import { JSON_LENGTH_HEADER } from './headers.ts'
import { dataToJson } from './json.ts'

/**
 * How requests and answers carry tensors: all in JSON, or JSON with the bytes of some tensors after it. The JSON is
 * written by hand, because `JSON.stringify` knows no 64-bit integers and would copy every tensor first.
 */

/** Tensors as JSON, and the bytes of those that go in binary, in the same order. */
export interface WrittenTensors {
  /** A JSON array. */
  readonly json: string
  readonly binary: readonly Uint8Array[]
}

/** @param isBinary whether a tensor's data go after the JSON */
export function writeTensors(
  tensors: Iterable<readonly [string, Tensor]>,
  isBinary: (name: string) => boolean,
): WrittenTensors {
  const entries: string[] = []
  const binary: Uint8Array[] = []
  for (const [name, value] of tensors) {
    const bytes = isBinary(name) ? tensorToBinary(value) : undefined
    if (bytes !== undefined) binary.push(bytes)
    const data =
      bytes === undefined ? `"data":${dataToJson(value)}` : `"parameters":{"binary_data_size":${bytes.length}}`
    entries.push(
      `{"name":${JSON.stringify(name)},"datatype":"${value.datatype}","shape":[${value.shape.join(',')}],${data}}`,
    )
  }
  return { json: `[${entries.join(',')}]`, binary }
}

const SPACE = 0x20

/**
 * One body of JSON and of the bytes that follow it.
 * @param alignment the bytes begin at a multiple of it: white space after the JSON fills the gap
 */
export function joinMessage(
  json: string,
  binary: readonly Uint8Array[],
  alignment = 1,
): { readonly body: Uint8Array<ArrayBuffer>; readonly jsonLength: number } {
  const head = new TextEncoder().encode(json)
  const jsonLength = Math.ceil(head.length / alignment) * alignment
  const body = new Uint8Array(binary.reduce((total, bytes) => total + bytes.length, jsonLength))
  body.set(head)
  body.fill(SPACE, head.length, jsonLength)
  let at = jsonLength
  for (const bytes of binary) {
    body.set(bytes, at)
    at += bytes.length
  }
  return { body, jsonLength }
}

/** The headers that say how to read a body. @param jsonLength undefined if all of the body is JSON */
export function messageHeaders(jsonLength: number | undefined): Readonly<Record<string, string>> {
  if (jsonLength === undefined) return { 'content-type': 'application/json' }
  return { 'content-type': 'application/octet-stream', [JSON_LENGTH_HEADER]: String(jsonLength) }
}

/** The value of `JSON_LENGTH_HEADER`; undefined if it is not a number of bytes, at least 1. */
export function parseJsonLength(header: string): number | undefined {
  return /^\d{1,12}$/.test(header) && Number(header) > 0 ? Number(header) : undefined
}
