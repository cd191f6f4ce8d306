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
    throw new VergeError(
      'invalid_tensor',
      `Input "${name}": ${bytes.length - at} bytes are left over after its elements.`,
    )
  }
  return strings
}

function truncated(name: string): VergeError {
  return new VergeError('invalid_tensor', `Input "${name}": its bytes end before its elements do.`)
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
