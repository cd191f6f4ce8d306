import { VergeError } from '../../core/errors.ts'
import {
  ARRAY_TYPES,
  type Datatype,
  ELEMENT_BYTES,
  elementCount,
  type NumericArray,
  type Tensor,
  tensor,
} from '../../core/tensors.ts'
import { JSON_LENGTH_HEADER } from './headers.ts'
import { dataToJson } from './json.ts'

/**
 * Tensors as bytes, both ways, as Triton's binary tensor data extension has them: row-major, little-endian; a BYTES
 * element is its length as a u32, then its bytes. Every platform that this runs on is little-endian, so the elements of
 * typed arrays are the bytes on the wire.
 */

/**
 * Reads a tensor from exactly the bytes given: a view of them where they are aligned, a copy where they are not.
 * @param shape checked: non-negative dimensions whose product is within limits
 * @throws invalid_tensor
 */
export function tensorFromBinary(
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
  maxStringBytes: number,
): Tensor {
  const count = elementCount(shape)
  if (datatype === 'BYTES') return tensor('BYTES', shape, stringsFromBinary(name, bytes, count, maxStringBytes))
  const size = ELEMENT_BYTES[datatype]
  if (bytes.length !== count * size) {
    throw new VergeError(
      'invalid_tensor',
      `Input "${name}": shape [${shape.join(', ')}] of ${datatype} takes ${count * size} bytes, but "binary_data_size" says ${bytes.length}.`,
    )
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  const data: NumericArray = new ARRAY_TYPES[datatype](aligned.buffer, aligned.byteOffset, count)
  if (datatype === 'BOOL' && aligned.some((byte) => byte > 1)) {
    throw new VergeError('invalid_tensor', `Input "${name}": a BOOL element is one byte, 0 or 1.`)
  }
  return { datatype, shape, data } as Tensor
}

function stringsFromBinary(name: string, bytes: Uint8Array, count: number, maxBytes: number): string[] {
  // Every element takes four bytes at least: checked before an array of `count` is made.
  if (count * 4 > bytes.length) throw truncated(name)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const strings: string[] = new Array(count)
  let at = 0
  for (let i = 0; i < count; i++) {
    if (at + 4 > bytes.length) throw truncated(name)
    const length = view.getUint32(at, true)
    at += 4
    if (length > maxBytes) {
      throw new VergeError('invalid_tensor', `Input "${name}": element ${i} is longer than ${maxBytes} bytes.`)
    }
    if (at + length > bytes.length) throw truncated(name)
    try {
      strings[i] = decoder.decode(bytes.subarray(at, at + length))
    } catch (cause) {
      throw new VergeError('invalid_tensor', `Input "${name}": element ${i} is not valid UTF-8.`, { cause })
    }
    at += length
  }
  if (at !== bytes.length) {
    throw new VergeError('invalid_tensor', `Input "${name}": ${bytes.length - at} bytes remain after its elements.`)
  }
  return strings
}

function truncated(name: string): VergeError {
  return new VergeError('invalid_tensor', `Input "${name}": its data ends before its last element.`)
}

/** The bytes of a tensor: for numbers, a view of its own memory. */
export function tensorToBinary(value: Tensor): Uint8Array {
  if (value.datatype !== 'BYTES') return new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength)
  const encoder = new TextEncoder()
  const elements = value.data.map((element) => encoder.encode(element))
  const bytes = new Uint8Array(elements.reduce((total, element) => total + 4 + element.length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const element of elements) {
    view.setUint32(at, element.length, true)
    bytes.set(element, at + 4)
    at += 4 + element.length
  }
  return bytes
}

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
