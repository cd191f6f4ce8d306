import { filledSlots, MOST_PROBES, maskOf, spread } from './text-hash.ts'

/**
 * The merges of a BPE model by their ranks: three numbers for each, the two tokens and the one that they make. A hash table
 * with open addressing finds the rank of a pair: each slot has a rank plus one, or 0.
 */
export class MergeTable {
  readonly merges: Int32Array
  readonly slots: Int32Array
  readonly #mask: number

  /** @throws Error if the number of slots is no power of two */
  constructor(merges: Int32Array, slots: Int32Array) {
    this.#mask = maskOf(slots)
    this.merges = merges
    this.slots = slots
  }

  /** The rank of the merge of two tokens; -1 where they do not merge. */
  rankOf(left: number, right: number): number {
    const { merges, slots } = this
    let slot = hashOf(left, right)
    for (let probe = 0; probe < MOST_PROBES; probe++, slot++) {
      const rank = (slots[slot & this.#mask] ?? 0) - 1
      if (rank === -1) return -1
      if (merges[3 * rank] === left && merges[3 * rank + 1] === right) return rank
    }
    return -1
  }

  /** The token that a merge makes. */
  resultOf(rank: number): number {
    return this.merges[3 * rank + 2] ?? 0
  }
}

/** @param merges three numbers for each; of equal pairs the last counts */
export function buildMerges(merges: Int32Array): MergeTable {
  const slots = filledSlots({
    count: merges.length / 3,
    hashOf: (rank) => hashOf(merges[3 * rank] ?? 0, merges[3 * rank + 1] ?? 0),
    same: (rank, other) => merges[3 * rank] === merges[3 * other] && merges[3 * rank + 1] === merges[3 * other + 1],
  })
  return new MergeTable(merges, slots)
}

/** Both tokens spread over all bits. */
function hashOf(left: number, right: number): number {
  return spread(Math.imul(left, 0x9e3779b1) ^ Math.imul(right + 0x7f4a7c15, 0x85ebca6b))
}
