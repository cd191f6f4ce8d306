/**
 * How a vector is written. `float`: its numbers. `base64`: they as little-endian 32-bit floats. `int8` and `uint8`: a whole
 * number for each, by one scale for all texts (`INT8_RANGE`). `binary` and `ubinary`: a bit for each, by its sign.
 */
export const VECTOR_ENCODINGS = ['float', 'base64', 'int8', 'uint8', 'binary', 'ubinary'] as const
export type VectorEncoding = (typeof VECTOR_ENCODINGS)[number]

/** A vector on the wire: numbers, or base64. */
export type EncodedVector = readonly number[] | string

/**
 * What 127 stands for in a vector of length 1: so many times the size that its numbers have on average. The same scale for all
 * numbers of all texts keeps angles (docs/tasks/embeddings.md).
 */
const INT8_RANGE = 8

const GREATEST = 127

export function encodeVector(vector: Float32Array, encoding: VectorEncoding): EncodedVector {
  switch (encoding) {
    case 'float':
      return numbersOf(vector)
    case 'base64':
      return base64Of(vector)
    case 'int8':
      return quantized(vector, 0)
    case 'uint8':
      return quantized(vector, 128)
    case 'binary':
      return signs(vector, 128)
    case 'ubinary':
      return signs(vector, 0)
  }
}

/** A loop, because `Array.from` asks the vector's iterator for each number. */
function numbersOf(vector: Float32Array): number[] {
  const numbers = new Array<number>(vector.length)
  for (let i = 0; i < vector.length; i++) numbers[i] = vector[i] ?? 0
  return numbers
}

/** Of the vector's direction, so that models whose vectors have other lengths lose nothing. */
function quantized(vector: Float32Array, zero: number): number[] {
  let squares = 0
  for (let i = 0; i < vector.length; i++) squares += (vector[i] ?? 0) ** 2
  const range = Math.min(1, INT8_RANGE / Math.sqrt(vector.length))
  const scale = squares === 0 ? 0 : GREATEST / (range * Math.sqrt(squares))
  const numbers = new Array<number>(vector.length)
  for (let i = 0; i < vector.length; i++) {
    const level = Math.round((vector[i] ?? 0) * scale)
    numbers[i] = Math.max(-GREATEST, Math.min(GREATEST, level)) + zero
  }
  return numbers
}

/** Eight numbers a byte, the first in its highest bit: 1 above zero. Bits that the last byte has too many are 0. */
function signs(vector: Float32Array, zero: number): number[] {
  const bytes = new Array<number>(Math.ceil(vector.length / 8))
  for (let at = 0; at < bytes.length; at++) {
    let byte = 0
    for (let bit = 0; bit < 8; bit++) if ((vector[8 * at + bit] ?? 0) > 0) byte |= 0x80 >> bit
    bytes[at] = byte - zero
  }
  return bytes
}

/** Characters given to `String.fromCharCode` at once: each is an argument. */
const PIECE = 8_192

/** Little-endian 32-bit floats, as OpenAI's clients read them; so is every machine that runs a Worker. */
function base64Of(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
  let binary = ''
  // Not spread: that would ask an iterator for each byte, and take thirty times as long.
  for (let i = 0; i < bytes.length; i += PIECE) {
    binary += Reflect.apply(String.fromCharCode, null, bytes.subarray(i, i + PIECE))
  }
  return btoa(binary)
}
