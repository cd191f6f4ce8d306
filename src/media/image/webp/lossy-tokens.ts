import type { BoolReader } from './bool-reader.ts'

/** Coefficients of a block (RFC 6386, 13). */

/** The kinds of blocks, which have probabilities of their own. */
export const LUMA_WITHOUT_DC = 0
export const SECOND_LEVEL = 1
export const CHROMA = 2
export const LUMA = 3

const BANDS = [0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0]
const ZIGZAG = [0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15]
/** Extra bits of the four largest categories, by their probabilities. */
const CATEGORIES = [
  [173, 148, 140],
  [176, 155, 140, 135],
  [180, 157, 141, 134, 130],
  [254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129],
] as const

/**
 * Reads a block's coefficients, times their steps, in natural order.
 * @param context how many of the blocks above and to the left have any
 * @param first 1 where the DC comes from elsewhere
 * @returns the place behind the last one, in zigzag order
 */
export function readBlock(
  reader: BoolReader,
  probabilities: Uint8Array,
  kind: number,
  context: number,
  first: 0 | 1,
  steps: readonly [number, number],
  out: Int16Array,
  at: number,
): number {
  const own = kind * 264
  let p = own + (BANDS[first] ?? 0) * 33 + context * 11
  const bit = (branch: number): 0 | 1 => reader.bit(probabilities[p + branch] ?? 128)
  for (let n: number = first; n < 16; ) {
    if (bit(0) === 0) return n
    while (bit(1) === 0) {
      if (++n === 16) return 16
      p = own + (BANDS[n] ?? 0) * 33
    }
    let value = 1
    let next = 1
    if (bit(2) === 1) {
      value = largeValue(reader, probabilities, p)
      next = 2
    }
    if (reader.bit(128) === 1) value = -value
    out[at + (ZIGZAG[n] ?? 0)] = value * (n > 0 ? steps[1] : steps[0])
    p = own + (BANDS[++n] ?? 0) * 33 + next * 11
  }
  return 16
}

function largeValue(reader: BoolReader, probabilities: Uint8Array, p: number): number {
  const bit = (branch: number): 0 | 1 => reader.bit(probabilities[p + branch] ?? 128)
  if (bit(3) === 0) {
    if (bit(4) === 0) return 2
    return 3 + bit(5)
  }
  if (bit(6) === 0) {
    if (bit(7) === 0) return 5 + reader.bit(159)
    const high = reader.bit(165)
    return 7 + 2 * high + reader.bit(145)
  }
  const high = bit(8)
  const category = 2 * high + bit(9 + high)
  let value = 0
  for (const probability of CATEGORIES[category] ?? []) value = 2 * value + reader.bit(probability)
  return value + 3 + (8 << category)
}
