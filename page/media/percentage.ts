/** A share for people: `97.3 %`, `0.04 %`. */
export function percentage(share: number): string {
  const percent = 100 * share
  return `${percent >= 99.95 || percent === 0 ? percent.toFixed(0) : percent.toFixed(percent < 0.1 ? 2 : 1)} %`
}
