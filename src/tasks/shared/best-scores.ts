import type { Work } from '../../core/work.ts'

/** One of many scores, and where it stood among them. */
export interface BestScore {
  readonly index: number
  readonly score: number
}

/** Steps for each score: its exponential takes most of them. */
export const STEPS_PER_SCORE = 12

/**
 * The likeliest of many by softmax over all of them, best first; of equals the first.
 * @param among where only some of them are looked for, without repetitions; all share in the sum
 */
export function* likeliest(logits: Float32Array, most: number, among?: readonly number[]): Work<readonly BestScore[]> {
  let greatest = Number.NEGATIVE_INFINITY
  for (const logit of logits) if (logit > greatest) greatest = logit
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - greatest)
  yield logits.length * STEPS_PER_SCORE
  const kept = new Smallest(most)
  if (among === undefined) for (let i = 0; i < logits.length; i++) kept.offer(i, logits[i] ?? Number.NaN)
  else for (const i of among) kept.offer(i, logits[i] ?? Number.NaN)
  return kept.descending().map(({ index, score }) => ({ index, score: Math.exp(score - greatest) / sum }))
}

/** Keeps the greatest of what it is offered, in a heap whose root is the least of them. */
class Smallest {
  readonly #most: number
  readonly #heap: BestScore[] = []

  constructor(most: number) {
    this.#most = most
  }

  offer(index: number, score: number): void {
    const heap = this.#heap
    const [root] = heap
    if (heap.length < this.#most) {
      heap.push({ index, score })
      this.#rise()
    } else if (root !== undefined && isWorse(root, { index, score })) {
      heap[0] = { index, score }
      this.#sink()
    }
  }

  descending(): BestScore[] {
    return this.#heap.toSorted((a, b) => (isWorse(a, b) ? 1 : -1))
  }

  #rise(): void {
    for (let at = this.#heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!this.#swapIfWorse(at, parent)) return
      at = parent
    }
  }

  #sink(): void {
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      const worse = this.#isWorseAt(right, left) ? right : left
      if (!this.#swapIfWorse(worse, at)) return
      at = worse
    }
  }

  #isWorseAt(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]]
    return a !== undefined && b !== undefined && isWorse(a, b)
  }

  /** Whether the lower one was worse than the upper one, and has taken its place. */
  #swapIfWorse(lower: number, upper: number): boolean {
    const [a, b] = [this.#heap[lower], this.#heap[upper]]
    if (a === undefined || b === undefined || !isWorse(a, b)) return false
    this.#heap[lower] = b
    this.#heap[upper] = a
    return true
  }
}

function isWorse(a: BestScore, b: BestScore): boolean {
  return a.score < b.score || (a.score === b.score && a.index > b.index)
}
