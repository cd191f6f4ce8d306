import { type Tensor, type Tensors, toFloats } from '../../src/core/tensors.ts'

/**
 * How far an answer of a GPU may be from the processor's, as the length of the difference by the length of the answer
 * (both Euclidean), of the worst row.
 *
 * CUDA multiplies FP32 matrices as TF32 by default, with 10 bits behind the point: a factor is off by 2^-11 at most, a
 * product by 2^-10. Errors of products that follow each other add up like the square root of their number; the longest
 * chain here is the decoder's, 12 layers with 6 products each: 8.5 x 2^-10 = 0.0083. With weights rounded in this way the
 * CPU provider gives 0.0004 (digits) to 0.0009 (the decoder). Two items that are swapped give 0.1 and more, a mask that
 * is ignored 0.015 in `encoder-fp32`.
 */
export const TOLERANCE = 1e-2
/**
 * Where activations are rounded to 8 bits, a difference of the last bit before the rounding moves an activation by a
 * 255th of its range, 0.004, and the errors of 36 roundings in a row add up like their square root: 0.024. Twice that.
 */
export const TOLERANCE_8_BITS = 5e-2

/**
 * The distance of the worst row of the worst output; a row is what belongs to one item of a batch. Infinite where an
 * output is missing, has another shape or datatype, or is not a number.
 */
export function distance(expected: Tensors, found: Tensors): number {
  let worst = 0
  for (const [name, value] of expected) {
    const other = found.get(name)
    worst = Math.max(worst, other === undefined ? Number.POSITIVE_INFINITY : tensorDistance(value, other))
  }
  return worst
}

function tensorDistance(expected: Tensor, found: Tensor): number {
  const [left, right] = [toFloats(expected), toFloats(found)]
  if (expected.datatype !== found.datatype || left === undefined || right === undefined) return Number.POSITIVE_INFINITY
  if (expected.shape.join() !== found.shape.join() || left.length !== right.length) return Number.POSITIVE_INFINITY
  const rows = expected.shape[0] ?? 1
  const width = left.length / Math.max(1, rows)
  let worst = 0
  for (let row = 0; row < rows; row++) {
    const [from, to] = [row * width, (row + 1) * width]
    worst = Math.max(worst, vectorDistance(left.subarray(from, to), right.subarray(from, to)))
  }
  return worst
}

/** Of two vectors of the same length; infinite where one has a value that is not finite. */
function vectorDistance(expected: Float32Array, found: Float32Array): number {
  if (expected.length !== found.length) return Number.POSITIVE_INFINITY
  let apart = 0
  let length = 0
  for (let at = 0; at < expected.length; at++) {
    const value = expected[at] ?? Number.NaN
    const off = (found[at] ?? Number.NaN) - value
    apart += off * off
    length += value * value
  }
  if (apart === 0) return 0
  const share = Math.sqrt(apart / length)
  return Number.isFinite(share) ? share : Number.POSITIVE_INFINITY
}

export interface Judgement {
  readonly tolerance: number
  readonly distance?: number
  readonly fault?: string
}

/** @param found the distance; undefined where there is nothing to compare with */
export function judged(found: number | undefined, tolerance: number): Judgement {
  if (found === undefined) return { tolerance }
  const fault = `its answer is ${found.toExponential(1)} away from the processor's; ${tolerance} is allowed`
  return { tolerance, distance: found, ...(!(found <= tolerance) && { fault }) }
}
