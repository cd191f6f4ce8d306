import { halfToNumber } from '../core/half.ts'
import { decibels } from './metrics.ts'

/** The largest half. */
export const HALF_MAX = 65_504
/** The smallest half above zero. */
export const HALF_MIN = 2 ** -24

export interface Halves {
  /** IEEE 754 half bits. */
  readonly bits: Uint16Array
  /** Elements that are finite and became infinite. */
  readonly overflowed: number
  readonly nans: number
  /** Signal to rounding noise in decibels over the finite elements; null where nothing was lost. */
  readonly sqnrDb: number | null
}

/** What each half stands for: looked up for every element, and too slow to compute each time. */
let table: Float32Array | undefined

function numbers(): Float32Array {
  table ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfToNumber(bits))
  return table
}

const scratch = new Float32Array(1)
const word = new Uint32Array(scratch.buffer)
/** Added to a number below the normal halves, it leaves the half's bits, rounded to even, at the end of the sum. */
const SUBNORMAL_MAGIC = 0.5
const SUBNORMAL_MAGIC_BITS = 0x3f000000

/**
 * Halves nearest to 32-bit floats, ties to even. Works on the floats' bits, as F. Giesen's `float_to_half_fast3_rtne`
 * does (https://gist.github.com/rygorous/2156668, public domain): weights have millions of elements.
 */
export function toHalves(
  pieces: Iterable<{ readonly start: number; readonly values: Float32Array }>,
  length: number,
): Halves {
  const bits = new Uint16Array(length)
  const known = numbers()
  let [overflowed, nans, signal, noise] = [0, 0, 0, 0]
  for (const { start, values } of pieces) {
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as number
      const half = halfOf(value)
      bits[start + index] = half
      const error = (known[half] as number) - value
      if (error - error === 0) {
        signal += value * value
        noise += error * error
      } else if (Number.isNaN(value)) nans++
      else if (Number.isFinite(value)) overflowed++
    }
  }
  return { bits, overflowed, nans, sqnrDb: noise === 0 ? null : decibels(signal, noise) }
}

function halfOf(value: number): number {
  scratch[0] = value
  const all = word[0] as number
  const sign = (all >>> 16) & 0x8000
  const magnitude = all & 0x7fffffff
  if (magnitude >= 0x47800000) return magnitude > 0x7f800000 ? 0x7e00 : sign | 0x7c00
  if (magnitude < 0x38800000) {
    scratch[0] = Math.abs(value) + SUBNORMAL_MAGIC
    return sign | ((word[0] as number) - SUBNORMAL_MAGIC_BITS)
  }
  const odd = (magnitude >>> 13) & 1
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13)
}
