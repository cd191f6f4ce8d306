import type { FilterStrength } from './lossy-header.ts'
import type { BorderedPlane } from './lossy-predict.ts'

/** The loop filter (RFC 6386, 15), in place. It looks at three or four samples to either side of an edge. */

export interface MacroblockFilter {
  readonly strength: FilterStrength
  /** Whether edges inside the macroblock are filtered too. */
  readonly inner: boolean
}

/** Filters a macroblock's luma alone, by its next neighbours. */
export function filterSimple(
  plane: BorderedPlane,
  column: number,
  row: number,
  { strength, inner }: MacroblockFilter,
): void {
  const { data, stride, origin } = plane
  const limit = 2 * strength.level + strength.interior
  const at = origin + 16 * (row * stride + column)
  const edge = (from: number, across: number, along: number, most: number): void => {
    for (let i = 0, p = from; i < 16; i++, p += along) {
      if (isEven(data, p, across, 2 * most + 1)) adjustTwo(data, p, across)
    }
  }
  if (column > 0) edge(at, 1, stride, limit + 4)
  if (inner) for (let x = 4; x < 16; x += 4) edge(at + x, 1, stride, limit)
  if (row > 0) edge(at, stride, 1, limit + 4)
  if (inner) for (let y = 4; y < 16; y += 4) edge(at + y * stride, stride, 1, limit)
}

/** Filters a macroblock in one plane. @param side 16 for luma, 8 for chroma */
export function filterNormal(
  plane: BorderedPlane,
  side: 8 | 16,
  column: number,
  row: number,
  { strength, inner }: MacroblockFilter,
): void {
  const { data, stride, origin } = plane
  const { level, interior, highVariance } = strength
  const limit = 2 * level + interior
  const at = origin + side * (row * stride + column)
  const edge = (from: number, across: number, along: number, most: number, outer: boolean): void => {
    for (let i = 0, p = from; i < side; i++, p += along) {
      if (!isEven(data, p, across, 2 * most + 1) || !isSmooth(data, p, across, interior)) continue
      if (isSteep(data, p, across, highVariance)) adjustTwo(data, p, across)
      else if (outer) adjustSix(data, p, across)
      else adjustFour(data, p, across)
    }
  }
  if (column > 0) edge(at, 1, stride, limit + 4, true)
  if (inner) for (let x = 4; x < side; x += 4) edge(at + x, 1, stride, limit, false)
  if (row > 0) edge(at, stride, 1, limit + 4, true)
  if (inner) for (let y = 4; y < side; y += 4) edge(at + y * stride, stride, 1, limit, false)
}

type Samples = Uint8ClampedArray

function difference(data: Samples, a: number, b: number): number {
  return Math.abs((data[a] ?? 0) - (data[b] ?? 0))
}

function isEven(data: Samples, p: number, step: number, most: number): boolean {
  return 4 * difference(data, p - step, p) + difference(data, p - 2 * step, p + step) <= most
}

function isSmooth(data: Samples, p: number, step: number, most: number): boolean {
  return (
    difference(data, p - 4 * step, p - 3 * step) <= most &&
    difference(data, p - 3 * step, p - 2 * step) <= most &&
    difference(data, p - 2 * step, p - step) <= most &&
    difference(data, p + 3 * step, p + 2 * step) <= most &&
    difference(data, p + 2 * step, p + step) <= most &&
    difference(data, p + step, p) <= most
  )
}

function isSteep(data: Samples, p: number, step: number, threshold: number): boolean {
  return difference(data, p - 2 * step, p - step) > threshold || difference(data, p + step, p) > threshold
}

function signed(value: number): number {
  return value < -128 ? -128 : value > 127 ? 127 : value
}

/** To what a change of an eighth may be. */
function eighth(value: number): number {
  const change = value >> 3
  return change < -16 ? -16 : change > 15 ? 15 : change
}

function adjustTwo(data: Samples, p: number, step: number): void {
  const [p1, p0, q0, q1] = [data[p - 2 * step] ?? 0, data[p - step] ?? 0, data[p] ?? 0, data[p + step] ?? 0]
  const a = 3 * (q0 - p0) + signed(p1 - q1)
  data[p - step] = p0 + eighth(a + 3)
  data[p] = q0 - eighth(a + 4)
}

function adjustFour(data: Samples, p: number, step: number): void {
  const [p1, p0, q0, q1] = [data[p - 2 * step] ?? 0, data[p - step] ?? 0, data[p] ?? 0, data[p + step] ?? 0]
  const a = 3 * (q0 - p0)
  const down = eighth(a + 4)
  const outer = (down + 1) >> 1
  data[p - 2 * step] = p1 + outer
  data[p - step] = p0 + eighth(a + 3)
  data[p] = q0 - down
  data[p + step] = q1 - outer
}

function adjustSix(data: Samples, p: number, step: number): void {
  const [p1, p0, q0, q1] = [data[p - 2 * step] ?? 0, data[p - step] ?? 0, data[p] ?? 0, data[p + step] ?? 0]
  const a = signed(3 * (q0 - p0) + signed(p1 - q1))
  const [near, middle, far] = [(27 * a + 63) >> 7, (18 * a + 63) >> 7, (9 * a + 63) >> 7]
  data[p - 3 * step] = (data[p - 3 * step] ?? 0) + far
  data[p - 2 * step] = p1 + middle
  data[p - step] = p0 + near
  data[p] = q0 - near
  data[p + step] = q1 - middle
  data[p + 2 * step] = (data[p + 2 * step] ?? 0) - far
}
