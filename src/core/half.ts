/** IEEE 754 half precision, as raw bits: JavaScript's own half arrays are not in every runtime that this runs on. */

const scratch = new Float64Array(1)
const scratchWords = new Uint32Array(scratch.buffer)

/** Scales exactly: both factors are powers of two within the range of a double. */
const SUBNORMAL_SCALE = 2 ** 24

/** The number that a half's bits stand for. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (exponent === 0) return (sign * fraction) / SUBNORMAL_SCALE
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/**
 * The bits of the half nearest to a number, ties to even. Rounds once, from the double; going through single precision
 * would round twice. From 65520 on it is infinity.
 */
export function numberToHalf(value: number): number {
  scratch[0] = value
  const high = scratchWords[1] ?? 0
  const sign = (high >>> 16) & 0x8000
  if (Number.isNaN(value)) return 0x7e00
  const magnitude = Math.abs(value)
  if (magnitude >= 65520) return sign | 0x7c00
  if (magnitude < 2 ** -14) return sign | roundTiesToEven(magnitude * SUBNORMAL_SCALE)
  const exponent = ((high >>> 20) & 0x7ff) - 1023
  // A carry out of the fraction lands in the exponent, which is what rounding up to the next power of two needs.
  return sign | (((exponent + 15) << 10) + roundTiesToEven((magnitude / 2 ** exponent - 1) * 1024))
}

function roundTiesToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}
