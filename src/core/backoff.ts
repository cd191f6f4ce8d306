/**
 * Pauses that double with each attempt, from about `firstMs` on; between half and one and a half of that, so that
 * clients that failed together do not return together.
 * @param attempt 1 for the first that failed @param random between 0 and 1
 */
export function doublingPauseMs(attempt: number, firstMs: number, random: number): number {
  return firstMs * 2 ** (attempt - 1) * (0.5 + random)
}
