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
      const p1 = data[p - 2 * across] ?? 0
      const p0 = data[p - across] ?? 0
      const q0 = data[p] ?? 0
      const q1 = data[p + across] ?? 0
      if (4 * Math.abs(p0 - q0) + Math.abs(p1 - q1) <= 2 * most + 1) adjustTwo(data, p, across, p1, p0, q0, q1)
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
  const limit = 2 * strength.level + strength.interior
  const at = origin + side * (row * stride + column)
  if (column > 0) filterEdge(data, at, 1, stride, side, limit + 4, strength, true)
  if (inner) for (let x = 4; x < side; x += 4) filterEdge(data, at + x, 1, stride, side, limit, strength, false)
  if (row > 0) filterEdge(data, at, stride, 1, side, limit + 4, strength, true)
  if (inner)
    for (let y = 4; y < side; y += 4) filterEdge(data, at + y * stride, stride, 1, side, limit, strength, false)
}

type Samples = Uint8ClampedArray

/**
 * @param across from sample to sample over the edge @param along the edge
 * @param most difference at the edge that is still smoothed
 * @param outer whether it is the macroblock's own edge
 */
function filterEdge(
  data: Samples,
  from: number,
  across: number,
  along: number,
  side: number,
  most: number,
  { interior, highVariance }: FilterStrength,
  outer: boolean,
): void {
  const even = 2 * most + 1
  for (let i = 0, p = from; i < side; i++, p += along) {
    const p1 = data[p - 2 * across] ?? 0
    const p0 = data[p - across] ?? 0
    const q0 = data[p] ?? 0
    const q1 = data[p + across] ?? 0
    if (4 * Math.abs(p0 - q0) + Math.abs(p1 - q1) > even) continue
    const nearP = Math.abs(p1 - p0)
    const nearQ = Math.abs(q1 - q0)
    if (nearP > interior || nearQ > interior) continue
    const p2 = data[p - 3 * across] ?? 0
    const q2 = data[p + 2 * across] ?? 0
    if (Math.abs(p2 - p1) > interior || Math.abs(q2 - q1) > interior) continue
    if (Math.abs((data[p - 4 * across] ?? 0) - p2) > interior) continue
    if (Math.abs((data[p + 3 * across] ?? 0) - q2) > interior) continue
    if (nearP > highVariance || nearQ > highVariance) adjustTwo(data, p, across, p1, p0, q0, q1)
    else if (outer) adjustSix(data, p, across, p2, p1, p0, q0, q1, q2)
    else adjustFour(data, p, across, p1, p0, q0, q1)
  }
}

function signed(value: number): number {
  return value < -128 ? -128 : value > 127 ? 127 : value
}

/** To what a change of an eighth may be. */
function eighth(value: number): number {
  const change = value >> 3
  return change < -16 ? -16 : change > 15 ? 15 : change
}

function adjustTwo(data: Samples, p: number, step: number, p1: number, p0: number, q0: number, q1: number): void {
  const a = 3 * (q0 - p0) + signed(p1 - q1)
  data[p - step] = p0 + eighth(a + 3)
  data[p] = q0 - eighth(a + 4)
}

function adjustFour(data: Samples, p: number, step: number, p1: number, p0: number, q0: number, q1: number): void {
  const a = 3 * (q0 - p0)
  const down = eighth(a + 4)
  const outer = (down + 1) >> 1
  data[p - 2 * step] = p1 + outer
  data[p - step] = p0 + eighth(a + 3)
  data[p] = q0 - down
  data[p + step] = q1 - outer
}

function adjustSix(
  data: Samples,
  p: number,
  step: number,
  p2: number,
  p1: number,
  p0: number,
  q0: number,
  q1: number,
  q2: number,
): void {
  const a = signed(3 * (q0 - p0) + signed(p1 - q1))
  const near = (27 * a + 63) >> 7
  const middle = (18 * a + 63) >> 7
  const far = (9 * a + 63) >> 7
  data[p - 3 * step] = p2 + far
  data[p - 2 * step] = p1 + middle
  data[p - step] = p0 + near
  data[p] = q0 - near
  data[p + step] = q1 - middle
  data[p + 2 * step] = q2 - far
}
