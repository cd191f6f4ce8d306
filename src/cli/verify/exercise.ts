import { floatElements, type Tensor } from '../../core/tensors.ts'

/** What samples make of one output of the original: whether there is anything in it that a comparison could show. */
export interface Exercise {
  readonly samples: number
  readonly elements: number
  /** Elements that are NaN. */
  readonly nans: number
  /** Largest magnitude of its elements that are finite; null for outputs of whole numbers and of strings. */
  readonly largest: number | null
  /**
   * How far its answers are from the first sample's: root mean square as a share of the answers' own, or the share of
   * elements that differ where they are not floats. Null with fewer than two samples.
   */
  readonly moved: number | null
}

/** Watches one output of the original over all samples; memory grows with one answer and not with their number. */
export class ExerciseWatch {
  #samples = 0
  #elements = 0
  #nans = 0
  #largest: number | null = null
  #first: ArrayLike<unknown> | undefined
  #power = 0
  #change = 0
  #differing = 0
  #compared = 0

  add(reference: Tensor): void {
    const values = floatElements(reference)
    this.#samples++
    this.#elements += reference.data.length
    if (values === undefined) this.#addExact(reference.data)
    else this.#addFloats(values)
  }

  result(): Exercise {
    const moved =
      this.#samples < 2
        ? null
        : this.#largest === null
          ? this.#differing / Math.max(1, this.#compared)
          : this.#power === 0
            ? 0
            : Math.sqrt(this.#change / this.#power)
    return { samples: this.#samples, elements: this.#elements, nans: this.#nans, largest: this.#largest, moved }
  }

  #addFloats(values: ArrayLike<number>): void {
    if (this.#first === undefined) this.#first = Float64Array.from(values)
    const first = this.#first as ArrayLike<number>
    let largest = this.#largest ?? 0
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number
      if (Number.isNaN(value)) this.#nans++
      if (!Number.isFinite(value)) continue
      largest = Math.max(largest, Math.abs(value))
      this.#power += value * value
      // Answers of other lengths are compared as far as they go.
      const before = first[i]
      if (before !== undefined && Number.isFinite(before)) this.#change += (value - before) ** 2
    }
    this.#largest = largest
  }

  #addExact(values: ArrayLike<unknown>): void {
    const first = this.#first
    if (first === undefined) {
      this.#first = Array.from(values)
      return
    }
    for (let i = 0; i < Math.min(values.length, first.length); i++) {
      this.#compared++
      if (values[i] !== first[i]) this.#differing++
    }
  }
}

/**
 * Answers that move by less than this share of their size are constant: an artifact that ignores its input and always
 * gives one of them is within the narrowest of the tolerances, fp32's.
 */
const CONSTANT = 1e-3

/** Why the samples do not exercise an output; null if its values change. */
export function stillness({ elements, largest, moved }: Exercise): string | null {
  if (elements === 0) return 'it is empty'
  if (largest === 0) return 'the original returns only zeros'
  if (moved !== null && moved <= CONSTANT) return 'the original returns the same output for every sample'
  return null
}
