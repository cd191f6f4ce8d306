import type { Floats } from '../../shared/outputs.ts'

/** Rows of numbers in a tensor: element `k` of row `n` is at `first + n * rowStep + k * step`. */
export interface Rows {
  readonly data: Float32Array | Float64Array
  readonly first: number
  readonly count: number
  readonly width: number
  readonly rowStep: number
  readonly step: number
}

export function at({ data, first, rowStep, step }: Rows, row: number, k: number): number {
  return data[first + row * rowStep + k * step] ?? Number.NaN
}

/** The last two dimensions, if there is nothing more than one picture in front of them. */
export function asRows({ shape, data }: Pick<Floats, 'shape' | 'data'>): Rows | undefined {
  const [count, width] = shape.slice(-2)
  if (count === undefined || width === undefined || count * width !== data.length) return undefined
  return { data, first: 0, count, width, rowStep: width, step: 1 }
}

export function transposed({ data, first, count, width, rowStep, step }: Rows): Rows {
  return { data, first, count: width, width: count, rowStep: step, step: rowStep }
}

/** Some of the numbers of each row. */
export function part(rows: Rows, from: number, width: number): Rows {
  return { ...rows, first: rows.first + from * rows.step, width }
}

/** Rows that are made here. @param width of each of them */
export function madeRows(data: Float64Array, width: number): Rows {
  return { data, first: 0, count: data.length / width, width, rowStep: width, step: 1 }
}
