import { type StepMeter, tooManySteps, type Work } from '../../core/work.ts'
import type { Axis } from './axis.ts'

/** Maps of one size, one over the other: element (plane, pixel) is at `plane * planeStep + pixel * pixelStep`. */
export interface Planes {
  readonly data: Float32Array | Float64Array
  readonly count: number
  readonly width: number
  readonly height: number
  readonly planeStep: number
  readonly pixelStep: number
}

/** What becomes of pixels `from` to `to` of a row. */
export type Paint = (row: number, from: number, to: number) => void

export const refuseMap = tooManySteps('Making a map of this image from what the model answers', 'Send a smaller image')

/** Steps (docs/limits.md): of a pixel that is interpolated. */
const INTERPOLATED = 4

/** One plane in the size of a picture. @throws input_too_large */
export function* interpolating(
  planes: Planes,
  plane: number,
  across: Axis,
  down: Axis,
  meter: StepMeter,
): Work<Float32Array<ArrayBuffer>> {
  const { data, width, planeStep, pixelStep } = planes
  const [columns, rows] = [across.first.length, down.first.length]
  meter.require(columns * rows * INTERPOLATED, refuseMap)
  yield meter.piece()
  const out = new Float32Array(columns * rows)
  const base = plane * planeStep
  for (let y = 0, to = 0; y < rows; y++) {
    const top = base + (down.first[y] ?? 0) * width * pixelStep
    const bottom = base + (down.second[y] ?? 0) * width * pixelStep
    const low = down.share[y] ?? 0
    for (let x = 0; x < columns; x++) {
      const left = (across.first[x] ?? 0) * pixelStep
      const right = (across.second[x] ?? 0) * pixelStep
      const share = across.share[x] ?? 0
      const above = (data[top + left] ?? 0) * (1 - share) + (data[top + right] ?? 0) * share
      const below = (data[bottom + left] ?? 0) * (1 - share) + (data[bottom + right] ?? 0) * share
      out[to++] = above * (1 - low) + below * low
    }
    meter.spend(columns * INTERPOLATED, refuseMap)
    if (y % 64 === 0) yield meter.piece()
  }
  return out
}

/** Steps of a cell whose corners are looked at, and of a pixel inside of one that is neither in nor out. */
const CELL = 10
const COMPUTED = 8

/**
 * Paints the pixels at which a plane, in the size of a picture, is at least `threshold`. What lies between four samples is
 * never above the largest or below the smallest of them, so that only cells on an edge are computed.
 * @throws input_too_large
 */
export function* paintingAbove(
  planes: Planes,
  plane: number,
  threshold: number,
  across: Axis,
  down: Axis,
  meter: StepMeter,
  paint: Paint,
): Work<void> {
  const { data, width, planeStep, pixelStep } = planes
  const base = plane * planeStep
  const columns = across.groups
  const rows = down.groups
  for (let row = 0; row + 1 < rows.length; row++) {
    const [y0, y1] = [rows[row] ?? 0, rows[row + 1] ?? 0]
    const top = base + (down.first[y0] ?? 0) * width * pixelStep
    const bottom = base + (down.second[y0] ?? 0) * width * pixelStep
    for (let column = 0; column + 1 < columns.length; column++) {
      const [x0, x1] = [columns[column] ?? 0, columns[column + 1] ?? 0]
      const left = (across.first[x0] ?? 0) * pixelStep
      const right = (across.second[x0] ?? 0) * pixelStep
      const a = data[top + left] ?? 0
      const b = data[top + right] ?? 0
      const c = data[bottom + left] ?? 0
      const d = data[bottom + right] ?? 0
      const inside =
        (a >= threshold ? 1 : 0) + (b >= threshold ? 1 : 0) + (c >= threshold ? 1 : 0) + (d >= threshold ? 1 : 0)
      if (inside === 0) continue
      if (inside === 4) {
        for (let y = y0; y < y1; y++) paint(y, x0, x1)
        continue
      }
      meter.spend((x1 - x0) * (y1 - y0) * COMPUTED, refuseMap)
      for (let y = y0; y < y1; y++) {
        const low = down.share[y] ?? 0
        for (let x = x0; x < x1; x++) {
          const share = across.share[x] ?? 0
          const value = (a * (1 - share) + b * share) * (1 - low) + (c * (1 - share) + d * share) * low
          if (value >= threshold) paint(y, x, x + 1)
        }
      }
    }
    meter.spend(columns.length * (CELL + y1 - y0), refuseMap)
    yield meter.piece()
  }
}
