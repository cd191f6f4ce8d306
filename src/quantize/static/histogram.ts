import type { Range } from './ranges.ts'

/**
 * Bins on either side of zero. The reach at least halves what fills them, and 2,048 is what TensorRT and ONNX Runtime
 * take.
 */
const SIDE = 4096

/**
 * Counts of numbers in equal bins from `-reach` to `reach`. Grows with what is added, and holds nothing else.
 *
 * The reach is a power of two. To grow, it doubles, and bins merge in pairs: each keeps what was counted in it, so the
 * result does not depend on the order in which the numbers came. (ONNX Runtime's collector, which keeps the width of the
 * first batch's bins, grows without bounds.)
 */
export class Histogram {
  /** Of numbers below zero at the left, from zero on at the right. */
  readonly counts = new Float64Array(2 * SIDE)
  #reach = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY

  /** Range of all that was added; empty as [Infinity, -Infinity]. */
  get range(): Range {
    return { min: this.#min, max: this.#max }
  }

  /** What the bins go up to; 0 while there is nothing but zeros. */
  get reach(): number {
    return this.#reach
  }

  /** @param values finite, all of them in `range` */
  add(values: Float32Array, range: Range): void {
    this.#min = Math.min(this.#min, range.min)
    this.#max = Math.max(this.#max, range.max)
    this.#cover(Math.max(-range.min, range.max))
    const perUnit = this.#reach === 0 ? 0 : SIDE / this.#reach
    const { counts } = this
    for (let index = 0; index < values.length; index++) {
      // The reach itself belongs to the last bin.
      const bin = Math.min(2 * SIDE - 1, SIDE + Math.floor((values[index] as number) * perUnit))
      counts[bin] = (counts[bin] as number) + 1
    }
  }

  /** Counts of absolute values, from zero to the reach. */
  magnitudes(): Float64Array {
    const { counts } = this
    return Float64Array.from({ length: SIDE }, (_, bin) => (counts[SIDE + bin] ?? 0) + (counts[SIDE - 1 - bin] ?? 0))
  }

  #cover(largest: number): void {
    if (largest <= this.#reach) return
    const reach = 2 ** Math.ceil(Math.log2(largest))
    for (; this.#reach !== 0 && this.#reach < reach; this.#reach *= 2) this.#merge()
    if (this.#reach === 0) this.#reach = reach
  }

  #merge(): void {
    const { counts } = this
    const before = counts.slice()
    counts.fill(0)
    for (let bin = 0; bin < 2 * SIDE; bin++) {
      const merged = SIDE + Math.floor((bin - SIDE) / 2)
      counts[merged] = (counts[merged] as number) + (before[bin] as number)
    }
  }
}

/** Edges between which bins of a histogram lie. */
export function edgesOf({ reach }: Histogram, bin: number): readonly [low: number, high: number] {
  return [((bin - SIDE) * reach) / SIDE, ((bin + 1 - SIDE) * reach) / SIDE]
}
