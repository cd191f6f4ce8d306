/** Precisions whose rows are independent of each other; not known for precisions of a newer Verge. */
const ROW_BY_ROW: ReadonlySet<string> = new Set(['fp32', 'fp16', 'q4', 'q4f16', 'bnb4'])

/**
 * Whether an artifact of this precision may take one scale for the activations of all rows of a run, as dynamic
 * quantization does: then a row's answer depends, in its third digit, on the rows beside it.
 */
export function quantizesRowsTogether(dtype: string): boolean {
  return !ROW_BY_ROW.has(dtype)
}
