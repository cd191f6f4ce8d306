import { unitHash } from '../core/hash.ts'
import type { Alias } from './alias.ts'

/** What decides between the live versions. */
export interface Choice {
  /** Who asks: the same caller is given the same version. Undefined: each request is given one by itself. */
  readonly sticky?: string | undefined
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/**
 * The version that answers where none is named: each live one as often as its weight says. Whether a caller meets the canary
 * is decided apart from which of the other versions it meets otherwise, so that a canary with more weight takes callers from
 * the others and moves none among them. Another canary meets other callers.
 */
export function chooseLive(
  { canary, live, model }: Pick<Alias, 'canary' | 'live' | 'model'>,
  { random, sticky }: Choice,
): string {
  const [only] = live
  if (only !== undefined && live.length === 1) return only.version
  const at = (salt: string): number => (sticky === undefined ? random() : unitHash(model, salt, sticky))
  const trial = live.find(({ version }) => version === canary?.version)
  if (trial === undefined) return byWeight(live, at(''))
  const share = trial.weight / totalOf(live)
  if (at(trial.version) >= 1 - share) return trial.version
  return byWeight(
    live.filter((each) => each !== trial),
    at(''),
  )
}

function byWeight(live: Alias['live'], at: number): string {
  let rest = at * totalOf(live)
  let chosen = ''
  for (const { version, weight } of live) {
    chosen = version
    rest -= weight
    if (rest < 0) break
  }
  return chosen
}

function totalOf(live: Alias['live']): number {
  return live.reduce((sum, { weight }) => sum + weight, 0)
}
