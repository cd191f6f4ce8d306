/**
 * Evidence against a bounded share of successes, one trial after another. Pure: no I/O, no clock, no chance.
 *
 * An e-process is a betting account that no strategy can expect to raise while the hypothesis holds: whoever looks at any
 * time, and as often as they like, sees it exceed 1/alpha with a probability of at most alpha (Ville's inequality). Here it
 * is the likelihood of the trials under larger shares, over that under the tolerated one, averaged over a few larger
 * shares. Sources: Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid inference"
 * (2023); Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (2024).
 */

/** The larger shares: how far they are on the way from the tolerated one to all. */
const STEPS = [0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95] as const

/**
 * The natural logarithm of the e-value against "each trial has at most this chance, whatever came before".
 * @param tolerated above 0 and below 1
 */
export function shareEvidence({ count, of }: Share, tolerated: number): number {
  if (of === 0) return 0
  return logMean(
    STEPS.map((step) => {
      const share = tolerated + (1 - tolerated) * step
      return count * Math.log(share / tolerated) + (of - count) * Math.log((1 - share) / (1 - tolerated))
    }),
  )
}

/** So many of so many. */
export interface Share {
  readonly count: number
  readonly of: number
}

/** The logarithm of the mean of values that are given by their logarithms. */
export function logMean(logs: readonly number[]): number {
  const most = Math.max(...logs)
  if (!Number.isFinite(most)) return most
  let sum = 0
  for (const log of logs) sum += Math.exp(log - most)
  return most + Math.log(sum / logs.length)
}
