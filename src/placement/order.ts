import type { Coordinates } from '../core/runtime.ts'
import { distanceKm } from './geo.ts'
import type { Origin } from './origin.ts'

/** Origins within so many kilometres of the nearest are as near: light takes 5 ms there and back. */
const BAND_KM = 500

/** What ordering needs to know of an origin. */
export type OriginLocation = Pick<Origin, 'name' | 'at' | 'weight'>

/**
 * Nearest first, in bands: those about as far as the nearest of a band are chosen by weight at random, so that they share
 * the work. Where the caller or an origin is nowhere known, weight alone decides, and such origins come last.
 * @param random uniform in [0, 1)
 */
export function byDistance<O extends OriginLocation>(
  origins: readonly O[],
  near: Coordinates | undefined,
  random: () => number,
): O[] {
  const distances = new Map(
    origins.map((origin) => [
      origin,
      near === undefined || origin.at === undefined ? Number.POSITIVE_INFINITY : distanceKm(near, origin.at),
    ]),
  )
  const distance = (origin: O): number => distances.get(origin) ?? Number.POSITIVE_INFINITY
  const waiting = [...origins].sort((a, b) => compare(distance(a), distance(b)))
  const ordered: O[] = []
  while (waiting.length > 0) {
    const nearest = distance(waiting[0] as O)
    const end = waiting.findIndex((origin) => distance(origin) > nearest + BAND_KM)
    ordered.push(...byWeight(waiting.splice(0, end === -1 ? waiting.length : end), random))
  }
  return ordered
}

/** Infinity less infinity is not a number. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a - b
}

/** A random order in which each place is drawn by weight among those that are left. */
function byWeight<O extends OriginLocation>(band: readonly O[], random: () => number): O[] {
  const left = [...band]
  const drawn: O[] = []
  while (left.length > 1) {
    let point = random() * left.reduce((sum, { weight }) => sum + weight, 0)
    const index = left.findIndex(({ weight }) => {
      point -= weight
      return point < 0
    })
    // rounding may leave the point a hair past the end
    drawn.push(...left.splice(index === -1 ? left.length - 1 : index, 1))
  }
  return [...drawn, ...left]
}
