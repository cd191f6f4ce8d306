import type { StepMeter, Work } from '../../core/work.ts'
import { refuseMap } from './planes.ts'

/** A pixel of a label map that has no label. */
export const NO_LABEL = 0xffff

/** Where each label of a map is: pieces of rows, label by label, each from the top. */
export interface MaskRuns {
  readonly width: number
  readonly height: number
  /** The first piece of each label, and the end of the last. */
  readonly offsets: Uint32Array
  /** The pixel with which a piece begins, and the one behind it, counted row by row. */
  readonly starts: Uint32Array
  readonly ends: Uint32Array
}

/** Steps (docs/limits.md) of a pixel that is looked at, which is done twice. */
const LOOKED = 2
const ROWS_PER_PIECE = 64

/**
 * Makes pieces of rows of a label map in two passes, however many labels there are.
 * @param count labels; pixels with another are left out
 * @param mostRuns refused from there on, before they are held
 * @throws input_too_large, and what `tooMany` makes
 */
export function* findingRuns(
  map: Uint16Array,
  width: number,
  height: number,
  count: number,
  { mostRuns, tooMany }: { readonly mostRuns: number; readonly tooMany: () => Error },
  meter: StepMeter,
): Work<MaskRuns> {
  const offsets = new Uint32Array(count + 1)
  let all = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0, at = y * width, before = -1; x < width; x++, at++) {
      const label = map[at] ?? NO_LABEL
      if (label === before) continue
      before = label
      if (label >= count) continue
      offsets[label + 1] = (offsets[label + 1] ?? 0) + 1
      all++
    }
    meter.spend(width * LOOKED, refuseMap)
    if (y % ROWS_PER_PIECE === 0) yield meter.piece()
  }
  if (all > mostRuns) throw tooMany()
  for (let label = 0; label < count; label++) offsets[label + 1] = (offsets[label + 1] ?? 0) + (offsets[label] ?? 0)
  const next = offsets.slice()
  const starts = new Uint32Array(all)
  const ends = new Uint32Array(all)
  for (let y = 0; y < height; y++) {
    const end = (y + 1) * width
    for (let at = y * width; at < end; ) {
      const label = map[at] ?? NO_LABEL
      const start = at
      do at++
      while (at < end && map[at] === label)
      if (label >= count) continue
      const to = next[label] ?? 0
      next[label] = to + 1
      starts[to] = start
      ends[to] = at
    }
    meter.spend(width * LOOKED, refuseMap)
    if (y % ROWS_PER_PIECE === 0) yield meter.piece()
  }
  return { width, height, offsets, starts, ends }
}
