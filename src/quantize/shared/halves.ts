import { decibels } from './metrics.ts'

/** The largest half. */
export const HALF_MAX = 65_504
/** The smallest half above zero. */
export const HALF_MIN = 2 ** -24

const HALF_NAN = 0x7e00

export interface Halves {
  /** IEEE 754 half bits. */
  readonly bits: Uint16Array
  /** Elements that are finite and became infinite. */
  readonly overflowed: number
  readonly nans: number
  /** Signal to rounding noise in decibels over the finite elements; null where nothing was lost. */
  readonly sqnrDb: number | null
}

/** Halves nearest to 32-bit floats, ties to even. NaNs all become the same half, so that equal weights give equal bytes. */
export function toHalves(
  pieces: Iterable<{ readonly start: number; readonly values: Float32Array }>,
  length: number,
): Halves {
  const bits = new Uint16Array(length)
  const stored = new Float16Array(bits.buffer)
  let [overflowed, nans, signal, noise] = [0, 0, 0, 0]
  for (const { start, values } of pieces) {
    stored.set(values, start)
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as number
      const error = (stored[start + index] as number) - value
      if (error - error === 0) {
        signal += value * value
        noise += error * error
      } else if (Number.isNaN(value)) {
        bits[start + index] = HALF_NAN
        nans++
      } else if (Number.isFinite(value)) overflowed++
    }
  }
  return { bits, overflowed, nans, sqnrDb: noise === 0 ? null : decibels(signal, noise) }
}
