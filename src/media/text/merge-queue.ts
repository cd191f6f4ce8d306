/** Places in a word fit into so many, and ranks above them: both together stay below 2^53. */
const PLACES = 2 ** 24

/** A binary heap of merges, lowest rank first and of equal ranks the leftmost. */
export class MergeQueue {
  #keys: Float64Array
  #count = 0
  steps = 0
  /** What was taken out last. */
  rank = 0
  at = 0

  constructor(expected: number) {
    this.#keys = new Float64Array(Math.max(8, expected))
  }

  push(rank: number, at: number): void {
    if (this.#count === this.#keys.length) {
      const keys = new Float64Array(2 * this.#count)
      keys.set(this.#keys)
      this.#keys = keys
    }
    const keys = this.#keys
    const key = rank * PLACES + at
    let place = this.#count++
    while (place > 0) {
      this.steps++
      const parent = (place - 1) >> 1
      const above = keys[parent] ?? 0
      if (above <= key) break
      keys[place] = above
      place = parent
    }
    keys[place] = key
  }

  /** Takes the first one out; false if there is none. */
  pop(): boolean {
    if (this.#count === 0) return false
    const keys = this.#keys
    const first = keys[0] ?? 0
    this.rank = Math.floor(first / PLACES)
    this.at = first - this.rank * PLACES
    const count = --this.#count
    const key = keys[count] ?? 0
    let place = 0
    for (let child = 1; child < count; child = 2 * place + 1) {
      this.steps++
      if (child + 1 < count && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++
      const below = keys[child] ?? 0
      if (below >= key) break
      keys[place] = below
      place = child
    }
    keys[place] = key
    return true
  }
}
