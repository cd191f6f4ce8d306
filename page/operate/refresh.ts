/** When the page asks again, and when its figures are old. Pure. */

/** Figures come from isolates that tell every half minute: asking more often shows nothing new. */
export const REFRESH_MS = 15_000
/** The longest pause between two attempts that fail. */
const LONGEST_PAUSE_MS = 240_000
/** Three refreshes that did not come. */
export const OLD_MS = 3 * REFRESH_MS

/** Milliseconds until the next request. @param failures one after another */
export function pauseAfter(failures: number): number {
  return Math.min(REFRESH_MS * 2 ** failures, LONGEST_PAUSE_MS)
}

/** Whether what is shown has to be called old. */
export function isOld(ageMs: number): boolean {
  return ageMs > OLD_MS
}
