/** A triangle over frequencies: the weights of the bins from `first` on. */
export interface MelFilter {
  readonly first: number
  readonly weights: Float64Array
}

export interface MelBank {
  readonly filters: number
  /** Frequencies of the transform, from 0 to half of the rate. */
  readonly bins: number
  readonly sampleRate: number
  readonly lowest: number
  readonly highest: number
}

/** Slaney's scale: linear up to 1,000 Hz, which are 15 mels, and 27 steps of a logarithm to 6.4 times as much. */
const [LINEAR_HERTZ, LINEAR_MELS, STEP] = [1000, 15, Math.log(6.4) / 27]

function melsOf(hertz: number): number {
  return hertz < LINEAR_HERTZ ? (3 * hertz) / 200 : LINEAR_MELS + Math.log(hertz / LINEAR_HERTZ) / STEP
}

function hertzOf(mels: number): number {
  return mels < LINEAR_MELS ? (200 * mels) / 3 : LINEAR_HERTZ * Math.exp(STEP * (mels - LINEAR_MELS))
}

/**
 * Triangles of equal area whose tops lie at equal distances on Slaney's mel scale (M. Slaney, "Auditory Toolbox", 1998), as
 * librosa's `filters.mel` makes them.
 */
export function melFilters({ bins, filters, highest, lowest, sampleRate }: MelBank): MelFilter[] {
  const [from, to] = [melsOf(lowest), melsOf(highest)]
  const corners = Array.from({ length: filters + 2 }, (_, i) => hertzOf(from + ((to - from) * i) / (filters + 1)))
  const width = Math.floor(sampleRate / 2) / (bins - 1)
  return Array.from({ length: filters }, (_, i) => {
    const [left = 0, top = 0, right = 0] = corners.slice(i, i + 3)
    const first = Math.min(bins, Math.max(0, Math.ceil(left / width)))
    const last = Math.max(first, Math.min(bins, Math.floor(right / width) + 1))
    const area = 2 / (right - left)
    const weights = Float64Array.from({ length: last - first }, (__, j) => {
      const hertz = (first + j) * width
      return area * Math.max(0, Math.min((hertz - left) / (top - left), (right - hertz) / (right - top)))
    })
    return { first, weights }
  })
}
