import { type Refusal, tooManySteps } from '../../../core/work.ts'

/** What decoding a JPEG costs, in steps (docs/limits.md), measured with the costliest content of each kind. */

/** A marker segment, whatever it holds. */
export const SEGMENT = 150
/** A byte of Huffman-coded data: four coefficients at most, or eight that are made finer. */
export function dataByte(progressive: boolean): number {
  return progressive ? 65 : 50
}
/** One decision of an arithmetic decoder. */
export const ARITHMETIC_DECISION = 20
/** A pixel made of its components. */
export const PIXEL = 12
/** Tables of a scan, and what else is made for each. */
export const SCAN = 20_000

type Kind = { readonly progressive: boolean; readonly side: number }

/** Looking at one block in a scan, beside reading its data. */
export function visitSteps(
  { progressive, side }: Kind,
  { first, last, high }: { readonly first: number; readonly last: number; readonly high: number },
): number {
  if (!progressive) return 50 + transformSteps(side)
  // What is decoded smaller is kept in a smaller form, and unpacked for each visit.
  const kept = side === 8 ? 12 : 85
  return kept + (high > 0 && first > 0 ? 20 + 2 * (last - first + 1) : 20)
}

/** The inverse transform of one block into `side` x `side` samples. */
export function transformSteps(side: number): number {
  return side === 8 ? 230 : 20 + 10 * side * side
}

/** What is said where the work turns out to be more than was foreseen. */
export const refusal: Refusal = tooManySteps('This JPEG', 'Send a smaller image, or save it as a baseline JPEG')
