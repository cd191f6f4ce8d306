import { describe, expect, it } from 'vitest'
import type { Coordinates } from '../../../src/core/runtime.ts'
import { coordinatesOf } from '../../../src/http/middleware/call.ts'
import { distanceKm } from '../../../src/placement/origin-pool.ts'

const at = (latitude: number, longitude: number): Coordinates => ({ latitude, longitude })

describe('where a caller is', () => {
  it.each<[string, unknown, Coordinates | undefined]>([
    ['coordinates as text', { latitude: '37.78', longitude: '-122.39' }, at(37.78, -122.39)],
    ['coordinates as numbers', { latitude: 1, longitude: 2 }, at(1, 2)],
    ['coordinates before the continent', { latitude: '1', longitude: '2', continent: 'EU' }, at(1, 2)],
    ['nothing', undefined, undefined],
    ['null', null, undefined],
    ['an empty object', {}, undefined],
    ['empty text', { latitude: '', longitude: ' ' }, undefined],
    ['no number', { latitude: 'north', longitude: '2' }, undefined],
    ['off the globe', { latitude: '91', longitude: '2' }, undefined],
    ['one of two', { latitude: '1' }, undefined],
    ['an unknown continent', { continent: 'constructor' }, undefined],
  ])('%s', (_, cf, expected) => {
    expect(coordinatesOf(cf as Parameters<typeof coordinatesOf>[0])).toEqual(expected)
  })

  it('is nearer to its own continent than to any other', () => {
    const cities: Readonly<Record<string, Coordinates>> = {
      AF: at(-1.29, 36.82),
      AS: at(19.08, 72.88),
      EU: at(50.11, 8.68),
      NA: at(40.71, -74.01),
      OC: at(-33.87, 151.21),
      SA: at(-33.45, -70.67),
    }
    for (const [continent, city] of Object.entries(cities)) {
      const distances = Object.keys(cities).map((other) => {
        const centre = coordinatesOf({ latitude: 'unknown', continent: other })
        return [other, centre === undefined ? Number.NaN : distanceKm(centre, city)] as const
      })
      distances.sort(([, a], [, b]) => a - b)
      expect(distances[0]?.[0]).toBe(continent)
    }
  })
})
