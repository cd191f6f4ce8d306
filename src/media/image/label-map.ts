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
  const [cellColumns, cellRows] = [across.groups, down.groups]
  const edges = edgeCells(planes, across, winners)
  const paint = edgePainter(planes, across, down, map)
  for (let row = 0; row + 1 < cellRows.length; row++) {
    const [y0, y1] = [cellRows[row] ?? 0, cellRows[row + 1] ?? 0]
    const top = (down.first[y0] ?? 0) * width
    const bottom = (down.second[y0] ?? 0) * width
    let [label, begin] = [-1, 0]
    let some = 0
    for (let column = 0; column + 1 < cellColumns.length; column++) {
      const x0 = cellColumns[column] ?? 0
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
      if (!uniform) edges.columns[some++] = column
    }
    if (label >= 0) fill(map, columns, label, begin, columns, y0, y1)
    meter.spend(some * count * COMPUTED, refuseMap)
    edges.compare(some, top, bottom)
    for (let i = 0; i < some; i++) meter.spend(paint(edges, i, y0, y1), refuseMap)
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

/** Cells of a row that no plane has alone. */
interface EdgeCells {
  /** Their numbers in the row, to be set before `compare`. */
  readonly columns: Int32Array
  /** The planes that may be the strongest somewhere in each, `count` places to a cell, and how many they are. */
  readonly candidates: Uint16Array
  readonly counts: Int32Array
  /** @param top @param bottom rows of the samples above and below, as the places at which they begin */
  compare(some: number, top: number, bottom: number): void
}

/** Goes plane by plane, and not cell by cell: the samples of a plane lie together, those of a cell a plane apart. */
function edgeCells({ data, count, planeStep, pixelStep }: Planes, across: Axis, winners: Uint16Array): EdgeCells {
  const most = across.groups.length
  const columns = new Int32Array(most)
  const candidates = new Uint16Array(most * count)
  const counts = new Int32Array(most)
  const lefts = new Int32Array(most)
  const rights = new Int32Array(most)
  const bars = new Float64Array(most)

  return {
    columns,
    candidates,
    counts,
    compare(some, top, bottom) {
      for (let i = 0; i < some; i++) {
        const x = across.groups[columns[i] ?? 0] ?? 0
        const left = across.first[x] ?? 0
        const right = across.second[x] ?? 0
        lefts[i] = left
        rights[i] = right
        counts[i] = 0
        let bar = Number.NEGATIVE_INFINITY
        // Only of the planes that are the strongest at a corner: enough to leave out nearly all others.
        for (const corner of [top + left, top + right, bottom + left, bottom + right]) {
          const base = (winners[corner] ?? 0) * planeStep
          const least = Math.min(
            data[base + (top + left) * pixelStep] ?? 0,
            data[base + (top + right) * pixelStep] ?? 0,
            data[base + (bottom + left) * pixelStep] ?? 0,
            data[base + (bottom + right) * pixelStep] ?? 0,
          )
          if (least > bar) bar = least
        }
        bars[i] = bar
      }
      for (let plane = 0; plane < count; plane++) {
        const above = plane * planeStep + top * pixelStep
        const below = plane * planeStep + bottom * pixelStep
        for (let i = 0; i < some; i++) {
          const left = (lefts[i] ?? 0) * pixelStep
          const right = (rights[i] ?? 0) * pixelStep
          const bar = bars[i] ?? 0
          if (
            (data[above + left] ?? 0) >= bar ||
            (data[above + right] ?? 0) >= bar ||
            (data[below + left] ?? 0) >= bar ||
            (data[below + right] ?? 0) >= bar
          ) {
            const at = counts[i] ?? 0
            candidates[i * count + at] = plane
            counts[i] = at + 1
          }
        }
      }
    },
  }
}

/** Writes the pixels of such a cell. @returns the steps that it took */
function edgePainter(
  { data, count, width, planeStep, pixelStep }: Planes,
  across: Axis,
  down: Axis,
  map: Uint16Array,
): (cells: EdgeCells, cell: number, y0: number, y1: number) => number {
  const columns = across.first.length
  return ({ columns: numbers, candidates, counts }, cell, y0, y1) => {
    const column = numbers[cell] ?? 0
    const x0 = across.groups[column] ?? 0
    const x1 = across.groups[column + 1] ?? 0
    const left = (across.first[x0] ?? 0) * pixelStep
    const right = (across.second[x0] ?? 0) * pixelStep
    const top = (down.first[y0] ?? 0) * width * pixelStep
    const bottom = (down.second[y0] ?? 0) * width * pixelStep
    const from = cell * count
    const some = counts[cell] ?? 0
    for (let y = y0; y < y1; y++) {
      const low = down.share[y] ?? 0
      for (let x = x0; x < x1; x++) {
        const share = across.share[x] ?? 0
        // Arrays taken apart would be made for each pixel.
        const wa = (1 - share) * (1 - low)
        const wb = share * (1 - low)
        const wc = (1 - share) * low
        const wd = share * low
        let best = Number.NEGATIVE_INFINITY
        let label = candidates[from] ?? 0
        for (let i = 0; i < some; i++) {
          const plane = candidates[from + i] ?? 0
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
    return (x1 - x0) * (y1 - y0) * some * COMPUTED
  }
}
