/** A weight of a product in eight bits, [inner, outer] with a scale for each column. */
export interface Int8Columns {
  readonly inner: number
  readonly outer: number
  /** Row-major, [inner, outer]. */
  readonly values: Int8Array
  readonly scales: Float32Array
}

/** Columns that a kernel computes at once, and rows of a weight that one dot takes. */
const COLUMNS = 8
const DEPTH = 4

/** Symmetric, by column: the largest magnitude is 127. A column of zeros has scale 1. */
export function quantizeColumns(values: Float32Array, inner: number, outer: number): Int8Columns {
  const largest = new Float32Array(outer)
  for (let index = 0, column = 0; index < values.length; index++, column = column + 1 === outer ? 0 : column + 1) {
    const magnitude = Math.abs(values[index] as number)
    if (magnitude > (largest[column] as number)) largest[column] = magnitude
  }
  const scales = largest.map((value) => (value === 0 ? 1 : value / 127))
  const quantized = new Int8Array(values.length)
  for (let index = 0, column = 0; index < values.length; index++, column = column + 1 === outer ? 0 : column + 1) {
    quantized[index] = Math.max(-127, Math.min(127, Math.round((values[index] as number) / (scales[column] as number))))
  }
  return { inner, outer, values: quantized, scales }
}

/** Symmetric, by row: for tables whose rows are read one by one. */
export function quantizeRows(
  values: Float32Array,
  rows: number,
  width: number,
): { values: Int8Array; scales: Float32Array } {
  const scales = new Float32Array(rows)
  const quantized = new Int8Array(values.length)
  for (let row = 0; row < rows; row++) {
    const start = row * width
    let largest = 0
    for (let index = start; index < start + width; index++)
      largest = Math.max(largest, Math.abs(values[index] as number))
    const scale = Math.fround(largest === 0 ? 1 : largest / 127)
    scales[row] = scale
    for (let index = start; index < start + width; index++) {
      quantized[index] = Math.max(-127, Math.min(127, Math.round((values[index] as number) / scale)))
    }
  }
  return { values: quantized, scales }
}

/** Weights side by side: one product in the place of several with the same left side. */
export function besideColumns(weights: readonly Int8Columns[]): Int8Columns {
  const [first] = weights
  if (first === undefined) throw new RangeError('there is no weight')
  if (weights.length === 1) return first
  const outer = weights.reduce((sum, weight) => sum + weight.outer, 0)
  const values = new Int8Array(first.inner * outer)
  const scales = new Float32Array(outer)
  let start = 0
  for (const weight of weights) {
    scales.set(weight.scales, start)
    for (let row = 0; row < first.inner; row++) {
      values.set(weight.values.subarray(row * weight.outer, (row + 1) * weight.outer), row * outer + start)
    }
    start += weight.outer
  }
  return { inner: first.inner, outer, values, scales }
}

/** `[outer / 8][inner / 4][8][4]`, both filled up with zeros: one 16-byte load holds four columns by four rows. */
export function packInt8({ inner, outer, values }: Int8Columns): Int8Array {
  const strips = Math.ceil(outer / COLUMNS)
  const steps = Math.ceil(inner / DEPTH)
  const packed = new Int8Array(strips * steps * COLUMNS * DEPTH)
  for (let row = 0; row < inner; row++) {
    const within = (row >> 2) * COLUMNS * DEPTH + (row & 3)
    for (let column = 0; column < outer; column++) {
      packed[(column >> 3) * steps * COLUMNS * DEPTH + within + (column & 7) * DEPTH] = values[
        row * outer + column
      ] as number
    }
  }
  return packed
}

/** Sums over each column of an eight-bit weight: what a zero point of the activations is multiplied by. */
export function columnSums({ inner, outer, values }: Int8Columns): Int32Array {
  const sums = new Int32Array(outer)
  for (let row = 0; row < inner; row++) {
    for (let column = 0; column < outer; column++)
      sums[column] = (sums[column] as number) + (values[row * outer + column] as number)
  }
  return sums
}

/** `[outer / 8][inner][8]`, filled up with zeros. */
export function packFloats(values: Float32Array, inner: number, outer: number): Float32Array {
  const packed = new Float32Array(Math.ceil(outer / COLUMNS) * inner * COLUMNS)
  for (let row = 0; row < inner; row++) {
    for (let column = 0; column < outer; column++) {
      packed[((column >> 3) * inner + row) * COLUMNS + (column & 7)] = values[row * outer + column] as number
    }
  }
  return packed
}

export function transposed<Data extends Float32Array | Int8Array>(values: Data, rows: number, columns: number): Data {
  const result = values.slice() as Data
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = values[row * columns + column] as number
  }
  return result
}
