/** Bars of a chart, in its own coordinates. Pure. */

export const WIDTH = 600
export const HEIGHT = 100
/** Between two bars, as a part of a bar's place. */
const GAP = 0.2
/** A minute with one request among thousands is still seen. */
const LEAST = 2

export interface Bar {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** One for each value, as high as its part of the largest; all of them low where every value is zero. */
export function bars(values: readonly number[]): readonly Bar[] {
  const largest = Math.max(0, ...values)
  const place = WIDTH / values.length
  return values.map((value, i) => {
    const height = value <= 0 || largest === 0 ? 0 : Math.max(LEAST, (HEIGHT * value) / largest)
    return { x: place * i, y: HEIGHT - height, width: place * (1 - GAP), height }
  })
}
