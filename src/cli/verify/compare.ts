import { floatElements, type Tensor } from '../../core/tensors.ts'

/** How one output of an artifact agrees with the original's, over all samples. */
export interface OutputAgreement {
  readonly output: string
  /** Whether it is of floating-point numbers, which are compared by tolerance; all else has to be equal. */
  readonly kind: 'float' | 'exact'
  readonly elements: number
  /** Between -1 and 1. This and the other figures of floats are null for exact outputs, and where nothing was compared. */
  readonly cosine: number | null
  /** Of the worst sample. */
  readonly worstCosine: number | null
  /** Largest difference of two elements. */
  readonly maxAbs: number | null
  /** Largest magnitude of the artifact's own elements. */
  readonly largest: number | null
  /** Root-mean-square error as a share of the reference's root mean square. */
  readonly relative: number | null
  /** Signal to noise in decibels; null also where nothing differs. */
  readonly sqnrDb: number | null
  /** Elements that are NaN on either side, which equals nothing, or infinite on one side only. */
  readonly notNumbers: number
  /** Rows of a classifier's scores with the same best class, of `rows`; null where the output is no such thing. */
  readonly top1: { readonly same: number; readonly rows: number } | null
  /** Elements of an exact output that are equal. */
  readonly equal: number | null
  /** Samples with a different shape or type; they are not compared further. */
  readonly misshapen: number
}

/** Sums of one comparison, sample by sample: memory does not grow with their number. */
export class Comparison {
  readonly #output: string
  readonly #classes: boolean
  #kind: OutputAgreement['kind'] = 'float'
  #elements = 0
  /** Elements that are numbers on both sides. */
  #numbers = 0
  #largest = 0
  #sums = { dot: 0, reference: 0, actual: 0, error: 0 }
  #worstCosine = 1
  #maxAbs = 0
  #notNumbers = 0
  #same = 0
  #rows = 0
  #equal = 0
  #misshapen = 0

  /** @param classes whether it may hold the scores of a classifier, a row for each example: if it has two dimensions */
  constructor(output: string, { classes = false }: { readonly classes?: boolean } = {}) {
    this.#output = output
    this.#classes = classes
  }

  add(reference: Tensor, actual: Tensor | undefined): void {
    if (!actual || actual.datatype !== reference.datatype || !sameShape(reference.shape, actual.shape)) {
      this.#misshapen++
      return
    }
    this.#elements += reference.data.length
    const left = floatElements(reference)
    const right = floatElements(actual)
    if (left === undefined || right === undefined) {
      this.#kind = 'exact'
      for (let i = 0; i < reference.data.length; i++) if (reference.data[i] === actual.data[i]) this.#equal++
      return
    }
    this.#addFloats(left, right)
    const classes = reference.shape.at(-1) ?? 0
    if (this.#classes && classes > 1 && reference.shape.length === 2) this.#addRows(left, right, classes)
  }

  result(): OutputAgreement {
    const exact = this.#kind === 'exact'
    const unknown = exact || this.#numbers === 0
    const { dot, reference, actual, error } = this.#sums
    return {
      output: this.#output,
      kind: this.#kind,
      elements: this.#elements,
      cosine: unknown ? null : cosineOf(dot, reference, actual),
      worstCosine: unknown ? null : this.#worstCosine,
      maxAbs: unknown ? null : this.#maxAbs,
      largest: unknown ? null : this.#largest,
      relative: unknown ? null : relativeOf(error, reference),
      sqnrDb: unknown || error === 0 ? null : 10 * Math.log10(reference / error),
      notNumbers: this.#notNumbers,
      top1: this.#rows === 0 ? null : { same: this.#same, rows: this.#rows },
      equal: exact ? this.#equal : null,
      misshapen: this.#misshapen,
    }
  }

  #addFloats(left: ArrayLike<number>, right: ArrayLike<number>): void {
    const sums = { dot: 0, reference: 0, actual: 0, error: 0 }
    const before = this.#numbers
    for (let i = 0; i < left.length; i++) {
      const a = left[i] as number
      const b = right[i] as number
      if (!Number.isFinite(a) || !Number.isFinite(b)) {
        // NaN equals nothing, not even NaN: what both sides fail to compute is no agreement.
        if (a !== b) this.#notNumbers++
        continue
      }
      this.#numbers++
      const difference = b - a
      sums.dot += a * b
      sums.reference += a * a
      sums.actual += b * b
      sums.error += difference * difference
      if (Math.abs(difference) > this.#maxAbs) this.#maxAbs = Math.abs(difference)
      if (Math.abs(b) > this.#largest) this.#largest = Math.abs(b)
    }
    if (this.#numbers === before) return
    this.#worstCosine = Math.min(this.#worstCosine, cosineOf(sums.dot, sums.reference, sums.actual))
    this.#sums.dot += sums.dot
    this.#sums.reference += sums.reference
    this.#sums.actual += sums.actual
    this.#sums.error += sums.error
  }

  #addRows(left: ArrayLike<number>, right: ArrayLike<number>, classes: number): void {
    for (let row = 0; row + classes <= left.length; row += classes) {
      this.#rows++
      // The original's score of the artifact's class says whether it is as good: of two equal scores either is right.
      const best = left[bestOf(left, row, classes)] as number
      if (Object.is(left[bestOf(right, row, classes)], best)) this.#same++
    }
  }
}

/** Two zero vectors are alike; a zero vector is at right angles to all others. */
function cosineOf(dot: number, left: number, right: number): number {
  if (left === 0 || right === 0) return left === right ? 1 : 0
  return Math.max(-1, Math.min(1, dot / Math.sqrt(left * right)))
}

function relativeOf(error: number, reference: number): number {
  return error === 0 ? 0 : Math.sqrt(error / reference)
}

function sameShape(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((dimension, axis) => dimension === right[axis])
}

function bestOf(values: ArrayLike<number>, start: number, count: number): number {
  let best = start
  for (let i = start + 1; i < start + count; i++) {
    if ((values[i] as number) > (values[best] as number)) best = i
  }
  return best
}
