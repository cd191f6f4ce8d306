import type { StepMeter, Work } from '../../core/work.ts'
import type { Axis } from './axis.ts'
import { type Planes, refuseMap } from './planes.ts'

/** Steps (docs/limits.md): of a sample of a plane that is compared, of a cell, and of a pixel that is computed for a plane. */
const COMPARED = 2
const CELL = 12
const COMPUTED = 6

/**
 * The plane that is the strongest at each pixel of a picture, the first of equal ones: what interpolating all planes to the
 * picture's size and taking the greatest gives, without doing so. Between four samples every plane is a mean of its four
 * values, by the same weights. So a plane that is the strongest at all four is so everywhere between them, and a plane
 * whose greatest value there is below another's least one is so nowhere.
 * @param planes at least one and at most 65,535
 * @throws input_too_large
 */
export function* labelling(planes: Planes, across: Axis, down: Axis, meter: StepMeter): Work<Uint16Array<ArrayBuffer>> {
  const { count, width, height } = planes
  const [columns, rows] = [across.first.length, down.first.length]
  meter.require(count * width * height * COMPARED + across.groups.length * down.groups.length * CELL, refuseMap)
  yield meter.piece()
  const winners = yield* strongestSamples(planes, meter)
  const map = new Uint16Array(columns * rows)
  const cell = edgeCell(planes, across, down, map)
  const [cellColumns, cellRows] = [across.groups, down.groups]
  for (let row = 0; row + 1 < cellRows.length; row++) {
    const [y0, y1] = [cellRows[row] ?? 0, cellRows[row + 1] ?? 0]
    const top = (down.first[y0] ?? 0) * width
    const bottom = (down.second[y0] ?? 0) * width
    let [label, begin] = [-1, 0]
    for (let column = 0; column + 1 < cellColumns.length; column++) {
      const [x0, x1] = [cellColumns[column] ?? 0, cellColumns[column + 1] ?? 0]
      const left = across.first[x0] ?? 0
      const right = across.second[x0] ?? 0
      const winner = winners[top + left] ?? 0
      const uniform =
        winner === winners[top + right] && winner === winners[bottom + left] && winner === winners[bottom + right]
      const next = uniform ? winner : -1
      if (next !== label) {
        if (label >= 0) fill(map, columns, label, begin, x0, y0, y1)
        ;[label, begin] = [next, x0]
      }
      if (!uniform) meter.spend(cell(x0, x1, y0, y1), refuseMap)
    }
    if (label >= 0) fill(map, columns, label, begin, columns, y0, y1)
    meter.spend(cellColumns.length * CELL, refuseMap)
    yield meter.piece()
  }
  return map
}

function fill(
  map: Uint16Array,
  columns: number,
  label: number,
  from: number,
  to: number,
  top: number,
  bottom: number,
): void {
  for (let y = top; y < bottom; y++) map.fill(label, y * columns + from, y * columns + to)
}

function* strongestSamples(planes: Planes, meter: StepMeter): Work<Uint16Array> {
  const { data, count, width, height, planeStep, pixelStep } = planes
  const pixels = width * height
  const winners = new Uint16Array(pixels)
  const best = new Float64Array(pixels)
  for (let i = 0, at = 0; i < pixels; i++, at += pixelStep) best[i] = data[at] ?? 0
  for (let plane = 1; plane < count; plane++) {
    for (let i = 0, at = plane * planeStep; i < pixels; i++, at += pixelStep) {
      const value = data[at] ?? 0
      if (value > (best[i] ?? 0)) {
        best[i] = value
        winners[i] = plane
      }
    }
    meter.spend(pixels * COMPARED, refuseMap)
    yield meter.piece()
  }
  return winners
}

/** Writes the pixels of a cell that no plane has alone. @returns the steps that it took */
function edgeCell(
  { data, count, width, planeStep, pixelStep }: Planes,
  across: Axis,
  down: Axis,
  map: Uint16Array,
): (x0: number, x1: number, y0: number, y1: number) => number {
  const columns = across.first.length
  const greatest = new Float64Array(count)
  const candidates = new Int32Array(count)
  return (x0, x1, y0, y1) => {
    const [left, right] = [(across.first[x0] ?? 0) * pixelStep, (across.second[x0] ?? 0) * pixelStep]
    const top = (down.first[y0] ?? 0) * width * pixelStep
    const bottom = (down.second[y0] ?? 0) * width * pixelStep
    let bar = Number.NEGATIVE_INFINITY
    for (let plane = 0, at = 0; plane < count; plane++, at += planeStep) {
      const a = data[at + top + left] ?? 0
      const b = data[at + top + right] ?? 0
      const c = data[at + bottom + left] ?? 0
      const d = data[at + bottom + right] ?? 0
      const [most, least] = [a > b ? a : b, a < b ? a : b]
      const [otherMost, otherLeast] = [c > d ? c : d, c < d ? c : d]
      greatest[plane] = most > otherMost ? most : otherMost
      const lowest = least < otherLeast ? least : otherLeast
      if (lowest > bar) bar = lowest
    }
    let some = 0
    for (let plane = 0; plane < count; plane++) {
      if ((greatest[plane] ?? 0) >= bar) candidates[some++] = plane
    }
    for (let y = y0; y < y1; y++) {
      const low = down.share[y] ?? 0
      for (let x = x0; x < x1; x++) {
        const share = across.share[x] ?? 0
        const [wa, wb, wc, wd] = [(1 - share) * (1 - low), share * (1 - low), (1 - share) * low, share * low]
        let [best, label] = [Number.NEGATIVE_INFINITY, candidates[0] ?? 0]
        for (let i = 0; i < some; i++) {
          const plane = candidates[i] ?? 0
          const at = plane * planeStep
          const value =
            wa * (data[at + top + left] ?? 0) +
            wb * (data[at + top + right] ?? 0) +
            wc * (data[at + bottom + left] ?? 0) +
            wd * (data[at + bottom + right] ?? 0)
          if (value > best) {
            best = value
            label = plane
          }
        }
        map[y * columns + x] = label
      }
    }
    return count * COMPUTED + (x1 - x0) * (y1 - y0) * some * COMPUTED
  }
}
