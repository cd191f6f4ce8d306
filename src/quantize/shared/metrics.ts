/** Ratio of a signal's power to a noise's, in decibels; infinite where there is no noise. */
export function decibels(signal: number, noise: number): number {
  if (noise === 0) return Number.POSITIVE_INFINITY
  return 10 * Math.log10(signal / noise)
}

type Numbers = ArrayLike<number>

/**
 * How far a result differs from the one it should be, added up piece by piece, so that no more than one piece is held.
 * The same infinity agrees and counts for nothing else. Any other is an infinite error, and so is NaN, which equals
 * nothing: what both fail to compute is no agreement.
 */
export class Agreement {
  /** Elements compared. */
  count = 0
  /** Largest absolute difference. */
  maxAbs = 0
  #signal = 0
  #other = 0
  #product = 0
  #noise = 0

  /** @throws RangeError where the pieces differ in length */
  add(reference: Numbers, actual: Numbers): this {
    sameLength(reference, actual)
    let [signal, other, product, noise, largest] = [0, 0, 0, 0, 0]
    for (let index = 0; index < reference.length; index++) {
      const right = reference[index] as number
      const given = actual[index] as number
      const error = given - right
      if (error - error !== 0) {
        if (right !== given) largest = Number.POSITIVE_INFINITY
        continue
      }
      signal += right * right
      other += given * given
      product += right * given
      noise += error * error
      if (error > largest) largest = error
      else if (-error > largest) largest = -error
    }
    this.#signal += signal
    this.#other += other
    this.#product += product
    this.#noise += largest === Number.POSITIVE_INFINITY ? largest : noise
    this.maxAbs = Math.max(this.maxAbs, largest)
    this.count += reference.length
    return this
  }

  /** Signal to noise in decibels: infinite where all is equal, minus infinity where nothing but noise came. */
  get sqnrDb(): number {
    return decibels(this.#signal, this.#noise)
  }

  /** Cosine of the angle between the two as vectors; 1 where both are all zeros, 0 where one of them is. */
  get cosine(): number {
    if (this.#noise === 0) return 1
    if (this.#noise === Number.POSITIVE_INFINITY) return 0
    const norms = Math.sqrt(this.#signal) * Math.sqrt(this.#other)
    return norms === 0 ? 0 : Math.max(-1, Math.min(1, this.#product / norms))
  }
}

/** Signal to quantization noise ratio in decibels. See `Agreement.sqnrDb`. */
export function sqnrDb(reference: Numbers, actual: Numbers): number {
  return new Agreement().add(reference, actual).sqnrDb
}

/** See `Agreement.cosine`. */
export function cosine(reference: Numbers, actual: Numbers): number {
  return new Agreement().add(reference, actual).cosine
}

/** Index of the largest element, the first of equals; NaN is never the largest. -1 if there is none. */
export function argmax(values: Numbers, start = 0, end = values.length): number {
  let best = -1
  for (let index = start; index < end; index++) {
    const value = values[index] as number
    if (best < 0 ? !Number.isNaN(value) : value > (values[best] as number)) best = index
  }
  return best < 0 ? -1 : best - start
}

function sameLength(reference: Numbers, actual: Numbers): void {
  if (reference.length !== actual.length) {
    throw new RangeError(`${actual.length} elements cannot be compared with ${reference.length}.`)
  }
}
