import type { Alias } from './alias.ts'

/**
 * The version that answers where none is named: each live one as often as its weight says.
 * @param random uniform in [0, 1)
 */
export function chooseLive(alias: Pick<Alias, 'live'>, random: number): string {
  const total = alias.live.reduce((sum, { weight }) => sum + weight, 0)
  let rest = random * total
  let chosen = ''
  for (const { version, weight } of alias.live) {
    chosen = version
    rest -= weight
    if (rest < 0) break
  }
  return chosen
}
