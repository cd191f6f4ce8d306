/** Points of persons and things, as they are drawn over a picture. Pure. */
import type { Box, PictureSize } from './boxes.ts'

export interface Point {
  /** In pixels of the picture. */
  readonly x: number
  readonly y: number
  readonly score: number | undefined
  readonly name: string | undefined
}

export interface Pose {
  readonly score: number
  readonly label: string | undefined
  readonly box: Box | undefined
  readonly points: readonly Point[]
}

export interface Bone {
  readonly from: Point
  readonly to: Point
}

/** Below this, a point is a guess: it is not drawn, and nothing is drawn to it. */
const SURE = 0.2

export function isSure({ score }: Point): boolean {
  return score === undefined || score >= SURE
}

/** Lines between the points of a pose that are sure. @param skeleton pairs of places in `names` */
export function bonesOf(
  { points }: Pose,
  names: readonly string[],
  skeleton: readonly (readonly [number, number])[],
): readonly Bone[] {
  const byName = new Map(points.filter(isSure).map((point) => [point.name, point]))
  return skeleton.flatMap(([a, b]) => {
    const [from, to] = [byName.get(names[a]), byName.get(names[b])]
    return from === undefined || to === undefined ? [] : [{ from, to }]
  })
}

/** Width of a line in pixels of the picture, so that it looks the same whatever size the picture has. */
export function strokeOf({ width, height }: PictureSize): number {
  return Math.max(1, Math.round(Math.max(width, height) / 200))
}
