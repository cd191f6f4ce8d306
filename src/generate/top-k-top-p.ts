/** Tokens with what each weighs, beside each other; weights are above 0 and need not add up to 1. */
export interface WeightedTokens {
  readonly tokens: Uint32Array
  readonly weights: Float64Array
}

/** More than this many are found by sorting all weights, which then costs less than to keep the best one by one. */
const FEW = 256

/** The `k` heaviest, in the order in which they came; of equals the first. */
export function keepTopK(all: WeightedTokens, k: number): WeightedTokens {
  const { weights } = all
  if (k >= weights.length) return all
  const order = k > FEW ? weights.slice().sort() : largestFew(weights, k)
  return heaviest(all, order[order.length - k] ?? 0, k)
}

/**
 * The heaviest that together have at least `p` of the whole, and one at least, in the order in which they came; of
 * equals the first: Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020.
 */
export function keepTopP(all: WeightedTokens, p: number): WeightedTokens {
  const { weights } = all
  let total = 0
  for (const weight of weights) total += weight
  // All tokens below this have less than 1 - share together, so that none of them is needed, nor has to be sorted.
  const light = ((1 - p) * total) / weights.length
  const order = weights.filter((weight) => weight >= light).sort()
  let at = order.length - 1
  for (let sum = order[at] ?? 0; sum < p * total && at > 0; sum += order[at] ?? 0) at--
  return heaviest(all, order[at] ?? 0, order.length - at)
}

/** The `most` greatest of many numbers, ascending. */
function largestFew(weights: Float64Array, k: number): number[] {
  const kept: number[] = []
  for (const weight of weights) {
    if (kept.length === k && weight <= (kept[0] ?? 0)) continue
    let at = 0
    while (at < kept.length && (kept[at] ?? 0) < weight) at++
    kept.splice(at, 0, weight)
    if (kept.length > k) kept.shift()
  }
  return kept
}

/** The `most` tokens of at least this weight. */
function heaviest({ tokens, weights }: WeightedTokens, least: number, k: number): WeightedTokens {
  let equals = k
  for (const weight of weights) if (weight > least) equals--
  const own = { tokens: new Uint32Array(k), weights: new Float64Array(k) }
  let count = 0
  for (let i = 0; i < weights.length && count < k; i++) {
    const weight = weights[i] ?? 0
    if (weight < least || (weight === least && equals-- <= 0)) continue
    own.tokens[count] = tokens[i] ?? 0
    own.weights[count++] = weight
  }
  return own
}
