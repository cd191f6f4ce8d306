import type { Raster } from './raster.ts'

/**
 * Resizing as Pillow's `Image.resize(..., BILINEAR)` does it: a triangle filter widened by the scale when shrinking, in
 * two passes over 8-bit samples with 22-bit fixed-point weights. Models are trained on pictures made so, and another
 * filter costs accuracy.
 */

const PRECISION_BITS = 22

interface Weights {
  /** First source sample of each output sample, and how many there are. */
  readonly first: Int32Array
  readonly count: Int32Array
  /** `size` weights for each output sample. */
  readonly values: Int32Array
  readonly size: number
}

function weights(from: number, to: number): Weights {
  const scale = from / to
  const filterScale = Math.max(1, scale)
  const size = Math.ceil(filterScale) * 2 + 1
  const first = new Int32Array(to)
  const count = new Int32Array(to)
  const values = new Int32Array(to * size)
  const exact = new Float64Array(size)
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale
    const begin = Math.max(0, Math.trunc(centre - filterScale + 0.5))
    const end = Math.min(from, Math.trunc(centre + filterScale + 0.5))
    let sum = 0
    for (let j = 0; j < end - begin; j++) {
      const distance = Math.abs((j + begin - centre + 0.5) / filterScale)
      const weight = distance < 1 ? 1 - distance : 0
      exact[j] = weight
      sum += weight
    }
    first[i] = begin
    count[i] = end - begin
    for (let j = 0; j < end - begin; j++) {
      values[i * size + j] = Math.trunc(0.5 + ((exact[j] ?? 0) / sum) * (1 << PRECISION_BITS))
    }
  }
  return { first, count, values, size }
}

/** @param width @param height of the result, at least 1 */
export function resize(image: Raster, width: number, height: number): Raster {
  const wide = width === image.width ? image : resizeWidth(image, width)
  return height === wide.height ? wide : resizeHeight(wide, height)
}

function resizeWidth({ width: from, height, channels, data }: Raster, width: number): Raster {
  const { first, count, values, size } = weights(from, width)
  const out = new Uint8Array(width * height * channels)
  let at = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const start = (y * from + (first[x] ?? 0)) * channels
      const taps = count[x] ?? 0
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (PRECISION_BITS - 1)
        for (let j = 0; j < taps; j++) sum += (data[start + j * channels + channel] ?? 0) * (values[x * size + j] ?? 0)
        out[at++] = clamp(sum >> PRECISION_BITS)
      }
    }
  }
  return { width, height, channels, data: out }
}

function resizeHeight({ width, height: from, channels, data }: Raster, height: number): Raster {
  const { first, count, values, size } = weights(from, height)
  const stride = width * channels
  const out = new Uint8Array(stride * height)
  const sums = new Int32Array(stride)
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (PRECISION_BITS - 1))
    const start = first[y] ?? 0
    for (let j = 0; j < (count[y] ?? 0); j++) {
      const weight = values[y * size + j] ?? 0
      const row = (start + j) * stride
      for (let x = 0; x < stride; x++) sums[x] = (sums[x] ?? 0) + (data[row + x] ?? 0) * weight
    }
    for (let x = 0; x < stride; x++) out[y * stride + x] = clamp((sums[x] ?? 0) >> PRECISION_BITS)
  }
  return { width, height, channels, data: out }
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value
}
