/** Tokens with what each weighs, beside each other; weights are above 0 and need not add up to 1. */
export interface Weighted {
  readonly tokens: Uint32Array
  readonly weights: Float64Array
}

/** More than this many are sorted whole, which then costs less than to keep the best in order one by one. */
const FEW = 256

/** The `most` heaviest, heaviest first; of equals the one that came first. */
export function best(all: Weighted, most: number): Weighted {
  if (most > FEW) return part(all, sorted(all).subarray(0, most))
  const { weights } = all
  const places: number[] = []
  let least = 0
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] ?? 0
    if (places.length === most && weight <= least) continue
    let at = places.length
    while (at > 0 && (weights[places[at - 1] ?? 0] ?? 0) < weight) at--
    places.splice(at, 0, i)
    if (places.length > most) places.pop()
    least = weights[places.at(-1) ?? 0] ?? 0
  }
  return part(all, places)
}

/**
 * The heaviest that together have at least `share` of the whole, heaviest first and one at least: Holtzman et al., "The
 * Curious Case of Neural Text Degeneration", 2020.
 */
export function cut(all: Weighted, share: number): Weighted {
  let total = 0
  for (const weight of all.weights) total += weight
  // All tokens below this have less than 1 - share together, so that none of them is needed, nor has to be sorted.
  const least = ((1 - share) * total) / all.weights.length
  const heavy: number[] = []
  for (let i = 0; i < all.weights.length; i++) if ((all.weights[i] ?? 0) >= least) heavy.push(i)
  const order = sorted(part(all, heavy))
  const wanted = share * total
  let sum = 0
  let count = 0
  for (const place of order) {
    sum += all.weights[heavy[place] ?? 0] ?? 0
    count++
    if (sum >= wanted) break
  }
  return part(
    all,
    Array.from(order.subarray(0, count), (place) => heavy[place] ?? 0),
  )
}

/** Places in order of weight, heaviest first. */
function sorted({ weights }: Weighted): Uint32Array {
  const places = Uint32Array.from(weights, (_, i) => i)
  return places.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b)
}

function part({ tokens, weights }: Weighted, places: ArrayLike<number>): Weighted {
  return {
    tokens: Uint32Array.from(places, (place) => tokens[place] ?? 0),
    weights: Float64Array.from(places, (place) => weights[place] ?? 0),
  }
}
