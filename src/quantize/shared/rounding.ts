/** Added to a double and taken away again, it leaves the nearest whole number, ties to even. */
export const ROUNDER = 1.5 * 2 ** 52
