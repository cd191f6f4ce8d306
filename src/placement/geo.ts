import type { Coordinates } from '../core/runtime.ts'

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
