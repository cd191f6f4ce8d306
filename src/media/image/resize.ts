import type { Resampling } from '../../catalog/settings/resample.ts'
import { finish, StepMeter, tooManySteps, type Work } from '../../core/work.ts'
import { FILTERS, type Filter } from './filters.ts'
import type { Raster } from './raster.ts'

/**
 * Resizing as Pillow's `Image.resize` does it: a filter widened by the scale when shrinking, in two passes over 8-bit
 * samples with 22-bit fixed-point weights. Models are trained on pictures made so, and another filter costs accuracy.
 *
 * The passes are interleaved row by row, so that nothing is held but source, result and a few rows: a picture of one by
 * sixty thousand pixels is as cheap as any other of its size.
 */

const PRECISION_BITS = 22

/** A part of the result: no more than it is computed. */
export interface Window {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

interface Weights {
  /** First source sample of each output sample, and how many there are. */
  readonly first: Int32Array
  readonly count: Int32Array
  /** `size` weights for each output sample. */
  readonly values: Int32Array
  readonly size: number
}

/** Of `length` output samples from `start` on, of `to` in all. */
function weights(from: number, to: number, start: number, length: number, filter: Filter): Weights {
  const scale = from / to
  const filterScale = Math.max(1, scale)
  const support = filter.support * filterScale
  const size = Math.ceil(support) * 2 + 1
  const first = new Int32Array(length)
  const count = new Int32Array(length)
  const values = new Int32Array(length * size)
  const exact = new Float64Array(size)
  const narrowed = 1 / filterScale
  for (let i = 0; i < length; i++) {
    const centre = (start + i + 0.5) * scale
    const begin = Math.max(0, Math.trunc(centre - support + 0.5))
    const end = Math.min(from, Math.trunc(centre + support + 0.5))
    let sum = 0
    for (let j = 0; j < end - begin; j++) {
      const weight = filter.at((j + begin - centre + 0.5) * narrowed)
      exact[j] = weight
      sum += weight
    }
    first[i] = begin
    count[i] = end - begin
    for (let j = 0; j < end - begin; j++) {
      const weight = ((exact[j] ?? 0) / (sum === 0 ? 1 : sum)) * (1 << PRECISION_BITS)
      values[i * size + j] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5)
    }
  }
  return { first, count, values, size }
}

/** Steps (docs/limits.md): of a weight applied to a sample, of a sample written, and of a row. */
const WEIGHED = 1.5
const WRITTEN = 12
const ROW = 200
const ROWS_PER_PIECE = 32

/** As `resizing`, all at once. */
export function resize(
  image: Raster,
  width: number,
  height: number,
  resampling: Resampling = 'bilinear',
  window?: Window,
): Raster {
  return finish(resizing(image, width, height, resampling, new StepMeter(), window))
}

/**
 * @param width @param height of the result, at least 1
 * @param window the part of the result that is wanted, inside of it; by default all
 * @throws input_too_large
 */
export function* resizing(
  image: Raster,
  width: number,
  height: number,
  resampling: Resampling = 'bilinear',
  meter: StepMeter = new StepMeter(),
  window: Window = { left: 0, top: 0, width, height },
): Work<Raster> {
  const whole = window.width === width && window.height === height
  if (whole && width === image.width && height === image.height) return image
  const refusal = tooManySteps(
    `Scaling an image of ${image.width} x ${image.height} pixels for this model`,
    'Send a smaller image, or one that is less narrow',
  )
  if (resampling === 'nearest') {
    meter.spend(window.width * window.height * image.channels * WRITTEN, refusal)
    return nearest(image, width, height, window)
  }
  const filter = FILTERS[resampling]
  const { channels } = image
  // Every row of the source is scaled to the result's width first, however few rows there will be.
  const across = tapsOf(image.width, width, filter)
  const down = tapsOf(image.height, height, filter)
  const used = Math.min(image.height, Math.ceil((window.height * image.height) / height) + down)
  const rowSteps = ROW + window.width * channels * (WRITTEN + across * WEIGHED)
  const outSteps = ROW + window.width * channels * (WRITTEN + down * WEIGHED)
  meter.require(used * rowSteps + window.height * outSteps, refusal)

  const rows = rowsOf(image, width, window, filter)
  const out = new Uint8Array(window.width * window.height * channels)
  const raster = { width: window.width, height: window.height, channels, data: out }
  if (height === image.height) {
    for (let y = 0; y < window.height; y++) {
      rows(window.top + y, out, y * window.width * channels)
      meter.spend(rowSteps, refusal)
      if (y % ROWS_PER_PIECE === 0) yield meter.piece()
    }
    return raster
  }
  const vertical = weights(image.height, height, window.top, window.height, filter)
  for (const [scaled, written] of height > image.height
    ? gather(rows, vertical, raster)
    : scatter(rows, vertical, raster)) {
    meter.spend(scaled * rowSteps + written * outSteps, refusal)
    yield meter.piece()
  }
  return raster
}

/** Samples of the source that one of the result is made of, at most. */
function tapsOf(from: number, to: number, { support }: Filter): number {
  return from === to ? 0 : Math.min(from, Math.ceil(support * Math.max(1, from / to)) * 2 + 1)
}

/** Writes row `y` of the source, in the result's width, to `out` from `at` on. */
type Rows = (y: number, out: Uint8Array, at: number) => void

function rowsOf({ width: from, channels, data }: Raster, to: number, window: Window, filter: Filter): Rows {
  const { left, width } = window
  if (to === from) {
    return (y, out, at) => {
      const start = (y * from + left) * channels
      out.set(data.subarray(start, start + width * channels), at)
    }
  }
  const { first, count, values, size } = weights(from, to, left, width, filter)
  if (channels === 3) {
    return (y, out, at) => {
      for (let x = 0; x < width; x++) {
        let source = (y * from + (first[x] ?? 0)) * 3
        let red = 1 << (PRECISION_BITS - 1)
        let green = red
        let blue = red
        for (let weight = x * size, end = weight + (count[x] ?? 0); weight < end; weight++, source += 3) {
          const value = values[weight] ?? 0
          red = (red + Math.imul(data[source] ?? 0, value)) | 0
          green = (green + Math.imul(data[source + 1] ?? 0, value)) | 0
          blue = (blue + Math.imul(data[source + 2] ?? 0, value)) | 0
        }
        out[at++] = clamp(red >> PRECISION_BITS)
        out[at++] = clamp(green >> PRECISION_BITS)
        out[at++] = clamp(blue >> PRECISION_BITS)
      }
    }
  }
  return (y, out, at) => {
    for (let x = 0; x < width; x++) {
      const start = (y * from + (first[x] ?? 0)) * channels
      const taps = count[x] ?? 0
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (PRECISION_BITS - 1)
        for (let j = 0, source = start + channel, weight = x * size; j < taps; j++, source += channels, weight++) {
          sum += (data[source] ?? 0) * (values[weight] ?? 0)
        }
        out[at++] = clamp(sum >> PRECISION_BITS)
      }
    }
  }
}

/** Rows of the source that were scaled to the result's width, and rows of the result that were written, since before. */
type Progress = readonly [scaled: number, written: number]

/** Shrinking: each source row is added to the few output rows that it belongs to, and then forgotten. */
function* scatter(
  rows: Rows,
  { first, count, values, size }: Weights,
  { width, height, channels, data }: Raster,
): Generator<Progress> {
  const stride = width * channels
  const line = new Uint8Array(stride)
  const open = new Map<number, Int32Array>()
  const spare: Int32Array[] = []
  const begin = first[0] ?? 0
  const end = (first[height - 1] ?? 0) + (count[height - 1] ?? 0)
  let next = 0
  // A row of the result takes part of its cost from each row of the source that is added to it.
  const share = height / Math.max(1, end - begin)
  for (let y = begin; y < end; y++) {
    while (next < height && (first[next] ?? 0) <= y) {
      open.set(next++, (spare.pop() ?? new Int32Array(stride)).fill(1 << (PRECISION_BITS - 1)))
    }
    if ((y - begin) % ROWS_PER_PIECE === 0) yield progress(Math.min(ROWS_PER_PIECE, end - y), share)
    if (open.size === 0) continue
    rows(y, line, 0)
    for (const [row, sums] of open) {
      const j = y - (first[row] ?? 0)
      addTo(sums, line, 0, values[row * size + j] ?? 0)
      if (j + 1 < (count[row] ?? 0)) continue
      write(sums, data, row * stride)
      open.delete(row)
      spare.push(sums)
    }
  }
}

function progress(scaled: number, share: number): Progress {
  return [scaled, scaled * share]
}

/** Growing: the few source rows that an output row needs are kept until the next ones no longer need them. */
function* gather(
  rows: Rows,
  { first, count, values, size }: Weights,
  { width, height, channels, data }: Raster,
): Generator<Progress> {
  const stride = width * channels
  const kept = new Uint8Array(size * stride)
  const sums = new Int32Array(stride)
  let ready = first[0] ?? 0
  let told = ready
  for (let row = 0; row < height; row++) {
    const start = first[row] ?? 0
    const taps = count[row] ?? 0
    for (; ready < start + taps; ready++) rows(ready, kept, (ready % size) * stride)
    sums.fill(1 << (PRECISION_BITS - 1))
    for (let j = 0; j < taps; j++) addTo(sums, kept, ((start + j) % size) * stride, values[row * size + j] ?? 0)
    write(sums, data, row * stride)
    if (row % ROWS_PER_PIECE !== ROWS_PER_PIECE - 1 && row < height - 1) continue
    yield [ready - told, (row % ROWS_PER_PIECE) + 1]
    told = ready
  }
}

function addTo(sums: Int32Array, line: Uint8Array, from: number, weight: number): void {
  for (let x = 0; x < sums.length; x++) sums[x] = (sums[x] ?? 0) + Math.imul(line[from + x] ?? 0, weight)
}

function write(sums: Int32Array, data: Uint8Array, to: number): void {
  for (let x = 0; x < sums.length; x++) data[to + x] = clamp((sums[x] ?? 0) >> PRECISION_BITS)
}

function nearest(
  { width: from, height: fromHeight, channels, data }: Raster,
  to: number,
  toHeight: number,
  window: Window,
): Raster {
  const { width, height } = window
  const columns = nearestOf(from, to, window.left, width)
  const rows = nearestOf(fromHeight, toHeight, window.top, height)
  const out = new Uint8Array(width * height * channels)
  let at = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const source = ((rows[y] ?? 0) * from + (columns[x] ?? 0)) * channels
      for (let channel = 0; channel < channels; channel++) out[at++] = data[source + channel] ?? 0
    }
  }
  return { width, height, channels, data: out }
}

/** Pillow adds the scale up instead of multiplying it, which decides where a sample lies exactly between two. */
function nearestOf(from: number, to: number, start: number, length: number): Int32Array {
  const scale = from / to
  const sources = new Int32Array(length)
  let position = scale * 0.5
  for (let i = 0; i < start + length; i++, position += scale) {
    if (i >= start) sources[i - start] = Math.min(from - 1, Math.floor(position))
  }
  return sources
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value
}
