import { edgesOf, type Histogram } from './histogram.ts'
import type { Range } from './ranges.ts'

/**
 * The range that holds a share of what was counted: as much is cut off below as above, as in ONNX Runtime's percentile
 * calibrator (onnxruntime/python/tools/quantization/calibrate.py, `symmetric=False`), but at the far edges of the bins
 * in which the cuts fall, so that it never holds less.
 * @param percentile above 0, at most 100
 */
export function percentileRange(histogram: Histogram, percentile: number): Range {
  const { counts, range } = histogram
  let total = 0
  for (const count of counts) total += count
  const cut = (total * (100 - percentile)) / 200
  let low = 0
  for (let below = counts[0] ?? 0; below <= cut && low < counts.length - 1; below += counts[low] ?? 0) low++
  let high = counts.length - 1
  for (let above = counts[high] ?? 0; above <= cut && high > low; above += counts[high] ?? 0) high--
  return { min: Math.max(range.min, edgesOf(histogram, low)[0]), max: Math.min(range.max, edgesOf(histogram, high)[1]) }
}

/** Candidates are this many bins apart. */
const STRIDE = 16

/** A probability that stands for none where the other distribution has one: as in MXNet's and ONNX Runtime's. */
const EPSILON = 1e-4

/**
 * The range at which quantizing loses the least information: the Kullback-Leibler divergence between the distribution
 * as it is, what lies beyond put at the edge, and as 8 bits would give it back.
 *
 * S. Migacz, "8-bit Inference with TensorRT", GTC 2017. Of magnitudes in 128 levels, as there; in 256 where nothing is
 * below zero, because unsigned levels all lie above it then. Zeros count like their neighbours: they are exact at every
 * scale, and after a ReLU they would outweigh all others.
 */
export function entropyRange(histogram: Histogram): Range {
  const { range, reach } = histogram
  if (reach === 0) return range
  const levels = range.min >= 0 ? 256 : 128
  const counts = histogram.magnitudes()
  counts[0] = counts[1] ?? 0
  const used = counts.findLastIndex((count) => count > 0) + 1
  let [best, least] = [used, Number.POSITIVE_INFINITY]
  for (let bins = levels; bins < used + STRIDE; bins += STRIDE) {
    const divergence = divergenceAt(counts, Math.min(bins, used), levels)
    if (divergence < least) [best, least] = [Math.min(bins, used), divergence]
  }
  const threshold = (best * reach) / counts.length
  return { min: Math.max(range.min, -threshold), max: Math.min(range.max, threshold) }
}

/** Divergence of the first `bins` bins in `levels` levels from all of them, the rest put into the last. */
function divergenceAt(counts: Float64Array, bins: number, levels: number): number {
  const reference = counts.slice(0, bins)
  let beyond = 0
  for (let bin = bins; bin < counts.length; bin++) beyond += counts[bin] ?? 0
  reference[bins - 1] = (reference[bins - 1] ?? 0) + beyond
  return divergence(reference, givenBack(counts.subarray(0, bins), reference, levels))
}

/** What is left of counts after quantizing: each level's sum spread evenly over its bins that hold something. */
function givenBack(counts: Float64Array, reference: Float64Array, levels: number): Float64Array {
  const result = new Float64Array(counts.length)
  for (let level = 0; level < levels; level++) {
    const start = Math.floor((level * counts.length) / levels)
    const end = Math.floor(((level + 1) * counts.length) / levels)
    let [sum, filled] = [0, 0]
    for (let bin = start; bin < end; bin++) {
      sum += counts[bin] ?? 0
      if ((reference[bin] ?? 0) > 0) filled++
    }
    for (let bin = start; bin < end; bin++) if ((reference[bin] ?? 0) > 0) result[bin] = sum / filled
  }
  return result
}

function divergence(reference: Float64Array, other: Float64Array): number {
  const [all, some] = [sumOf(reference), sumOf(other)]
  if (all === 0 || some === 0) return Number.POSITIVE_INFINITY
  let result = 0
  for (let bin = 0; bin < reference.length; bin++) {
    const p = (reference[bin] ?? 0) / all
    if (p > 0) result += p * Math.log(p / Math.max(EPSILON / reference.length, (other[bin] ?? 0) / some))
  }
  return result
}

function sumOf(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}
