import type { Tensor } from './tensors.ts'

/** The numbers that half-precision bits encode: a view of the same memory, so that writing to it sets the bits. */
export function halves(bits: Uint16Array): Float16Array {
  return new Float16Array(bits.buffer, bits.byteOffset, bits.length)
}

/** The bits of the halves nearest to numbers, ties to even. Numbers from 65520 on become infinite. */
export function halfBits(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  return new Uint16Array(Float16Array.from(values).buffer)
}

/** A floating-point tensor's elements, without a copy. Undefined for other datatypes. */
export function floatElements(value: Tensor): Float16Array | Float32Array | Float64Array | undefined {
  switch (value.datatype) {
    case 'FP16':
      return halves(value.data)
    case 'FP32':
    case 'FP64':
      return value.data
    default:
      return undefined
  }
}

/** The same in single precision; copied unless it is in single precision already. */
export function toFloats(value: Tensor): Float32Array | undefined {
  const elements = floatElements(value)
  return elements === undefined || elements instanceof Float32Array ? elements : Float32Array.from(elements)
}

/** The same in double precision; always a copy. */
export function toDoubles(value: Tensor): Float64Array | undefined {
  const elements = floatElements(value)
  return elements && Float64Array.from(elements)
}
