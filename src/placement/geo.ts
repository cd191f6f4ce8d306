import type { Coordinates } from '../core/runtime.ts'
import type { Origin } from './origin.ts'

/** Mean radius of the Earth in kilometres (IUGG). */
const EARTH_KM = 6371.0088

/** Great-circle distance in kilometres, by the haversine formula: exact enough for small and for large distances. */
export function distanceKm(a: Coordinates, b: Coordinates): number {
  const [latitudeA, latitudeB] = [radians(a.latitude), radians(b.latitude)]
  const north = Math.sin((latitudeB - latitudeA) / 2) ** 2
  const east = Math.sin(radians(b.longitude - a.longitude) / 2) ** 2
  const chord = north + Math.cos(latitudeA) * Math.cos(latitudeB) * east
  // rounding may take antipodes a hair above 1
  return 2 * EARTH_KM * Math.asin(Math.sqrt(Math.min(1, chord)))
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180
}

/** What is used of `request.cf`; absent outside the platform and for calls between Workers. */
export interface CfLike {
  readonly latitude?: unknown
  readonly longitude?: unknown
  readonly continent?: unknown
}

/**
 * Middle of where a continent's people are, to a few degrees: for a caller of whom the platform knows no more. Antarctica
 * is left out; its cables end elsewhere.
 */
const CONTINENTS: Readonly<Record<string, Coordinates>> = {
  AF: { latitude: 5, longitude: 20 },
  AS: { latitude: 28, longitude: 95 },
  EU: { latitude: 49, longitude: 12 },
  NA: { latitude: 38, longitude: -92 },
  OC: { latitude: -30, longitude: 147 },
  SA: { latitude: -15, longitude: -57 },
}

/** Where the caller is: its coordinates, else its continent, else undefined. */
export function coordinatesOf(cf: CfLike | null | undefined): Coordinates | undefined {
  if (cf === null || cf === undefined) return undefined
  const latitude = degrees(cf.latitude, 90)
  const longitude = degrees(cf.longitude, 180)
  if (latitude !== undefined && longitude !== undefined) return { latitude, longitude }
  const { continent } = cf
  return typeof continent === 'string' && Object.hasOwn(CONTINENTS, continent) ? CONTINENTS[continent] : undefined
}

/** The platform gives degrees as text. */
function degrees(value: unknown, most: number): number | undefined {
  if (typeof value !== 'number' && (typeof value !== 'string' || value.trim() === '')) return undefined
  const number = Number(value)
  return Math.abs(number) <= most ? number : undefined
}

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
