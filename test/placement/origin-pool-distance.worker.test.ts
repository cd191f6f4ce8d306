import { describe, expect, it } from 'vitest'
import type { Coordinates } from '../../src/core/runtime.ts'
import { byDistance, distanceKm, type OriginLocation } from '../../src/placement/origin-pool.ts'

const at = (latitude: number, longitude: number): Coordinates => ({ latitude, longitude })
const FRANKFURT = at(50.11, 8.68)
const AMSTERDAM = at(52.37, 4.9)
const NEW_YORK = at(40.71, -74.01)
const SYDNEY = at(-33.87, 151.21)
const SANTIAGO = at(-33.45, -70.67)

describe('distance', () => {
  // as published by distance calculators, on the ellipsoid: a sphere is up to half a percent off
  it.each([
    [FRANKFURT, AMSTERDAM, 364],
    [FRANKFURT, NEW_YORK, 6_220],
    [SYDNEY, SANTIAGO, 11_340],
  ])('is known between cities', (a, b, km) => {
    expect(Math.abs(distanceKm(a, b) - km) / km).toBeLessThan(0.01)
    expect(distanceKm(b, a)).toBeCloseTo(distanceKm(a, b), 6)
  })

  it('agrees with the spherical law of cosines', () => {
    const cosines = (a: Coordinates, b: Coordinates): number => {
      const [p, q, d] = [a.latitude, b.latitude, b.longitude - a.longitude].map((x) => (x / 180) * Math.PI) as [
        number,
        number,
        number,
      ]
      return 6371.0088 * Math.acos(Math.sin(p) * Math.sin(q) + Math.cos(p) * Math.cos(q) * Math.cos(d))
    }
    for (let i = 0; i < 50; i++) {
      const a = at(((i * 37) % 170) - 85, ((i * 73) % 360) - 180)
      const b = at(((i * 59) % 170) - 85, ((i * 101) % 360) - 180)
      expect(distanceKm(a, b)).toBeCloseTo(cosines(a, b), 3)
    }
  })

  it('crosses the date line, and has no distance to itself', () => {
    expect(distanceKm(at(0, 179.5), at(0, -179.5))).toBeCloseTo(111.195, 2)
    expect(distanceKm(SYDNEY, SYDNEY)).toBe(0)
    expect(distanceKm(at(30, 10), at(-30, -170))).toBeCloseTo(Math.PI * 6371.0088, 3)
  })
})

describe('order', () => {
  const fra: OriginLocation = { name: 'fra', at: FRANKFURT, weight: 1 }
  const ams: OriginLocation = { name: 'ams', at: AMSTERDAM, weight: 3 }
  const nyc: OriginLocation = { name: 'nyc', at: NEW_YORK, weight: 1 }
  const lost: OriginLocation = { name: 'lost', weight: 1 }
  const names = (origins: readonly OriginLocation[]): string => origins.map(({ name }) => name).join(' ')

  it('is by distance, and by weight among the near', () => {
    const all = [lost, nyc, fra, ams]
    expect(names(byDistance(all, AMSTERDAM, () => 0))).toBe('ams fra nyc lost')
    expect(names(byDistance(all, AMSTERDAM, () => 0.76))).toBe('fra ams nyc lost')
    expect(names(byDistance(all, NEW_YORK, () => 0))).toBe('nyc ams fra lost')
    expect(names(all)).toBe('lost nyc fra ams')
    expect(byDistance([], FRANKFURT, () => 0)).toEqual([])
  })

  it('is by weight where nothing is known of the caller', () => {
    expect(names(byDistance([fra, ams], undefined, () => 0.2))).toBe('fra ams')
    expect(names(byDistance([fra, ams], undefined, () => 0.3))).toBe('ams fra')
  })

  it('shares the work as the weights say', () => {
    let first = 0
    for (let i = 0; i < 1000; i++) {
      if (byDistance([fra, ams], FRANKFURT, () => i / 1000)[0] === fra) first++
    }
    expect(first).toBe(250)
  })
})
