/** Uniform numbers in [0, 1), the same everywhere for the same seed: Marsaglia's xorshift32 ("Xorshift RNGs", 2003). */
export function uniform(seed: number): () => number {
  // Spread, because xorshift starts slowly from seeds that are alike; 0 is the one state that it never leaves.
  let state = Math.imul(seed ^ (seed >>> 16), 0x85ebca6b) ^ 0x9e3779b9 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 0x1_0000_0000
  }
}

/** Nearly normal numbers of mean 0 and variance 1: sums of four uniform ones, without functions that engines round differently. */
export function normal(next: () => number): number {
  return (next() + next() + next() + next() - 2) * Math.sqrt(3)
}
