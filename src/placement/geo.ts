import type { Coordinates } from '../core/runtime.ts'

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
export function near(cf: CfLike | null | undefined): Coordinates | undefined {
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
