const EIGHT_BITS = /^(q8|u?int8)$/

/**
 * Whether an artifact of this precision may take one scale for the activations of all rows of a run, as dynamic
 * quantisation does: then a row's answer depends, in its third digit, on the rows beside it.
 */
export function quantisesRowsTogether(dtype: string): boolean {
  return EIGHT_BITS.test(dtype)
}
