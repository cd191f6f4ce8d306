/** The 95 % quantile of the standard normal distribution, two-sided. */
const Z = 1.959964

/**
 * The 95 % confidence interval of a proportion, by Wilson's score: sound near 0 and 1 and for few samples, where the
 * usual plus-or-minus is not. (E. B. Wilson, 1927.)
 */
export function wilsonInterval(right: number, count: number): readonly [number, number] {
  if (count === 0) return [0, 1]
  const share = right / count
  const scale = 1 + Z ** 2 / count
  const centre = (share + Z ** 2 / (2 * count)) / scale
  const half = (Z / scale) * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2))
  // At both ends the interval reaches the end, which rounding would miss.
  return [right === 0 ? 0 : Math.max(0, centre - half), right === count ? 1 : Math.min(1, centre + half)]
}

/** The smallest value that at least `share` of the values do not exceed. @param values at least one */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** @param values at least one */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
}
