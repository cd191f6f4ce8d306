import { FloatWeights } from './floats.ts'
import { ROUNDER } from './rounding.ts'
import { LEAST_SCALE, type Loss } from './weights.ts'

export type WeightType = 'int8' | 'uint8'

/** How eight bits are laid over a range of numbers, as `onnxruntime.quantization` does it. */
export interface ScaleOptions {
  readonly weightType: WeightType
  /** Zero in the middle: as far down as up. */
  readonly symmetric: boolean
  /** Seven bits: sums of two products then fit the 16 bits that processors without VNNI add them up in. */
  readonly reduceRange: boolean
}

/** A matrix in eight bits: `(data - zeroPoints) * scales`. */
export interface Int8Matrix extends Loss {
  readonly data: Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer>
  readonly scales: Float32Array<ArrayBuffer>
  /** Of the same type as the data, and as many as there are scales. */
  readonly zeroPoints: Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer>
}

interface Grid {
  readonly least: number
  readonly most: number
  readonly middle: number
  /** Steps from the middle to either end where the range is symmetric. */
  readonly reach: number
}

const GRIDS: Readonly<Record<WeightType, readonly [full: Grid, reduced: Grid]>> = {
  int8: [
    { least: -128, most: 127, middle: 0, reach: 127 },
    { least: -64, most: 64, middle: 0, reach: 64 },
  ],
  uint8: [
    { least: 0, most: 255, middle: 128, reach: 127 },
    { least: 0, most: 127, middle: 64, reach: 63 },
  ],
}

/** What shares a scale. */
export type ScaleAxis = 'row' | 'column' | 'matrix'

/**
 * Quantizes a matrix.
 * @param floats finite, [rows, columns]
 */
export function quantizeMatrix(
  floats: FloatWeights,
  [rows, columns]: readonly [rows: number, columns: number],
  axis: ScaleAxis,
  options: ScaleOptions,
): Int8Matrix {
  const grid = GRIDS[options.weightType][options.reduceRange ? 1 : 0]
  const groups = { row: rows, column: columns, matrix: 1 }[axis]
  const make = (length: number) => (options.weightType === 'int8' ? new Int8Array(length) : new Uint8Array(length))
  const data = make(floats.length)
  const scales = new Float32Array(groups)
  const zeroPoints = make(groups)
  const ranges = rangesOf(floats, columns, axis, groups)
  for (let group = 0; group < groups; group++) {
    const low = ranges.lows[group] as number
    const scale = scaleOf(low, ranges.highs[group] as number, grid, options.symmetric)
    scales[group] = scale
    zeroPoints[group] = zeroOf(low, scale, grid, options.symmetric)
  }
  const loss = { signal: 0, noise: 0 }
  for (const { start, values } of floats.pieces(columns)) {
    const target = data.subarray(start, start + values.length)
    if (axis === 'column') roundColumns(values, target, { scales, zeroPoints }, grid, loss)
    else {
      for (let at = 0; at < values.length; at += columns) {
        const group = axis === 'row' ? (start + at) / columns : 0
        const row = { values: values.subarray(at, at + columns), target: target.subarray(at, at + columns) }
        roundRow(row, scales[group] as number, zeroPoints[group] as number, grid, loss)
      }
    }
  }
  return { data, scales, zeroPoints, ...loss }
}

/** As `quantizeMatrix`, with a scale for each row. One row of all elements gives one scale for the whole. */
export function quantizeRows(values: Float32Array, rows: number, columns: number, options: ScaleOptions): Int8Matrix {
  return quantizeMatrix(new FloatWeights(values), [rows, columns], 'row', options)
}

/** As `quantizeMatrix`, with a scale for each column. */
export function quantizeColumns(
  values: Float32Array,
  rows: number,
  columns: number,
  options: ScaleOptions,
): Int8Matrix {
  return quantizeMatrix(new FloatWeights(values), [rows, columns], 'column', options)
}

/** Least and largest element of each group, and 0: a grid must have a level for zero. */
function rangesOf(
  floats: FloatWeights,
  columns: number,
  axis: ScaleAxis,
  groups: number,
): { readonly lows: Float32Array; readonly highs: Float32Array } {
  const lows = new Float32Array(groups)
  const highs = new Float32Array(groups)
  for (const { start, values } of floats.pieces(columns)) {
    for (let at = 0, row = start / columns; at < values.length; row++) {
      if (axis === 'column') {
        for (let column = 0; column < columns; column++, at++) {
          const value = values[at] as number
          if (value < (lows[column] as number)) lows[column] = value
          else if (value > (highs[column] as number)) highs[column] = value
        }
        continue
      }
      const group = axis === 'row' ? row : 0
      let low = lows[group] as number
      let high = highs[group] as number
      for (const end = at + columns; at < end; at++) {
        const value = values[at] as number
        if (value < low) low = value
        else if (value > high) high = value
      }
      lows[group] = low
      highs[group] = high
    }
  }
  return { lows, highs }
}

interface Sums {
  signal: number
  noise: number
}

type Levels = Int8Matrix['data']

function roundRow(
  { values, target }: { readonly values: Float32Array; readonly target: Levels },
  scale: number,
  zero: number,
  { least, most }: Grid,
  loss: Sums,
): void {
  const inverse = 1 / scale
  let signal = 0
  let noise = 0
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    let level = value * inverse + ROUNDER - ROUNDER + zero
    if (level < least) level = least
    else if (level > most) level = most
    target[index] = level
    const lost = value - (level - zero) * scale
    signal += value * value
    noise += lost * lost
  }
  loss.signal += signal
  loss.noise += noise
}

function roundColumns(
  values: Float32Array,
  target: Levels,
  { scales, zeroPoints }: Pick<Int8Matrix, 'scales' | 'zeroPoints'>,
  { least, most }: Grid,
  loss: Sums,
): void {
  const inverses = Float64Array.from(scales, (scale) => 1 / scale)
  let signal = 0
  let noise = 0
  for (let index = 0; index < values.length; ) {
    for (let column = 0; column < scales.length; column++, index++) {
      const value = values[index] as number
      const zero = zeroPoints[column] as number
      let level = value * (inverses[column] as number) + ROUNDER - ROUNDER + zero
      if (level < least) level = least
      else if (level > most) level = most
      target[index] = level
      const lost = value - (level - zero) * (scales[column] as number)
      signal += value * value
      noise += lost * lost
    }
  }
  loss.signal += signal
  loss.noise += noise
}

/** The transpose of a matrix, [rows, columns] to [columns, rows]. */
export function transposed<T extends Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>>(
  data: T,
  rows: number,
  columns: number,
): T {
  const result = data.slice() as T
  // In tiles, so that both the lines read and the lines written stay in the processor's cache.
  const tile = 64
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(rows, top + tile)
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(columns, left + tile)
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          result[column * rows + row] = data[row * columns + column] as number
        }
      }
    }
  }
  return result
}

/** @param low at most 0 @param high at least 0 */
function scaleOf(low: number, high: number, { least, most, reach }: Grid, symmetric: boolean): number {
  const scale = Math.fround(symmetric ? Math.max(-low, high) / reach : (high - low) / (most - least))
  return scale < LEAST_SCALE ? 1 : scale
}

function zeroOf(low: number, scale: number, { least, most, middle }: Grid, symmetric: boolean): number {
  if (symmetric) return middle
  return Math.min(most, Math.max(least, Math.round(least - low / scale)))
}
