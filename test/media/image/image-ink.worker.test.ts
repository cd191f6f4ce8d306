import { describe, expect, it } from 'vitest'
import { crop, type Raster } from '../../../src/media/image/raster.ts'
import { resize } from '../../../src/media/image/resize.ts'
import { mnistGlyph } from '../../fixtures/all-at-once.ts'
import { codeOf } from '../../fixtures/http.ts'

/** Draws thick lines, 255 on 0, with soft edges. */
function drawing(
  size: number,
  lines: readonly (readonly [number, number, number, number])[],
  thickness: number,
): Raster {
  const data = new Uint8Array(size * size)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const nearest = Math.min(...lines.map(([x0, y0, x1, y1]) => distance(x + 0.5, y + 0.5, x0, y0, x1, y1)))
      data[y * size + x] = Math.max(0, Math.min(1, thickness / 2 - nearest + 0.5)) * 255
    }
  }
  return { width: size, height: size, channels: 1, data }
}

function distance(x: number, y: number, x0: number, y0: number, x1: number, y1: number): number {
  const t = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
  const clamped = Math.max(0, Math.min(1, t))
  return Math.hypot(x - x0 - clamped * (x1 - x0), y - y0 - clamped * (y1 - y0))
}

function massOf({ width, data }: Raster): { mass: number; x: number; y: number } {
  let [mass, x, y] = [0, 0, 0]
  data.forEach((sample, i) => {
    mass += sample
    x += sample * (i % width)
    y += sample * Math.floor(i / width)
  })
  return { mass, x: x / mass, y: y / mass }
}

function boxOf({ width, data }: Raster): { width: number; height: number } {
  const xs: number[] = []
  const ys: number[] = []
  data.forEach((sample, i) => {
    if (sample < 64) return
    xs.push(i % width)
    ys.push(Math.floor(i / width))
  })
  return { width: Math.max(...xs) - Math.min(...xs) + 1, height: Math.max(...ys) - Math.min(...ys) + 1 }
}

function meanDifference(a: Raster, b: Raster): number {
  return a.data.reduce((sum, sample, i) => sum + Math.abs(sample - (b.data[i] ?? 0)), 0) / a.data.length
}

/** Cosine of two pictures, each at half its size. */
function similarity(a: Raster, b: Raster): number {
  const x = resize(a, 14, 14).data
  const y = resize(b, 14, 14).data
  const dot = (p: Uint8Array, q: Uint8Array): number => p.reduce((sum, value, i) => sum + value * (q[i] ?? 0), 0)
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))
}

const map = (image: Raster, change: (sample: number, i: number) => number): Raster => ({
  ...image,
  data: Uint8Array.from(image.data, (sample, i) => Math.max(0, Math.min(255, Math.round(change(sample, i))))),
})

/** A seven, drawn large: what all pictures below are made from. */
const SEVEN: readonly (readonly [number, number, number, number])[] = [
  [70, 60, 180, 60],
  [180, 60, 110, 220],
]
const large = drawing(280, SEVEN, 20)
const reference = mnistGlyph(large, 28, 28, 20)

describe('mnist', () => {
  it('comes out at the size and the place that MNIST has', () => {
    expect([reference.width, reference.height, reference.channels]).toEqual([28, 28, 1])
    const { width, height } = boxOf(reference)
    expect(Math.max(width, height)).toBeGreaterThanOrEqual(19)
    expect(Math.max(width, height)).toBeLessThanOrEqual(20)
    const { x, y } = massOf(reference)
    expect(Math.abs(x - 14)).toBeLessThanOrEqual(0.5)
    expect(Math.abs(y - 14)).toBeLessThanOrEqual(0.5)
    expect(Math.max(...reference.data)).toBe(255)
  })

  it('leaves a picture that is in that form already as it is', () => {
    expect(mnistGlyph(reference, 28, 28, 20).data).toEqual(reference.data)
  })

  it('reads dark on light as light on dark', () => {
    const inverted = map(large, (sample) => 255 - sample)
    expect(mnistGlyph(inverted, 28, 28, 20).data).toEqual(reference.data)
  })

  it('reads a faint pencil on grey paper in colour', () => {
    const rgb: Raster = { ...large, channels: 3, data: new Uint8Array(3 * large.data.length) }
    large.data.forEach((sample, i) => {
      rgb.data.set([200 - (sample * 60) / 255, 190 - (sample * 50) / 255, 170 - (sample * 40) / 255], 3 * i)
    })
    expect(meanDifference(mnistGlyph(rgb, 28, 28, 20), reference)).toBeLessThan(3)
  })

  it.each([
    ['in a corner', -100, -120, 500, 500],
    ['off centre in a wide picture', -300, 10, 900, 300],
    ['close to the edge', 60, 45, 140, 200],
  ])('finds the sign %s', (_, left, top, width, height) => {
    const moved = crop(large, left, top, width, height)
    expect(meanDifference(mnistGlyph(moved, 28, 28, 20), reference)).toBeLessThan(1)
  })

  it.each([60, 120, 560])('gives nearly the same for a drawing of %i pixels', (size) => {
    // Placement is by whole pixels, so a sharp line may come out beside where it was.
    expect(similarity(mnistGlyph(resize(large, size, size), 28, 28, 20), reference)).toBeGreaterThan(0.9)
    expect(similarity(mnistGlyph(resize(large, size, size / 2), 28, 28, 20), reference)).toBeLessThan(0.85)
  })

  it('passes over grain, dust and a gradient of light', () => {
    let seed = 3
    const noise = (): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return (seed >>> 16) % 21
    }
    const photo = map(large, (sample, i) => 225 - (sample * 170) / 255 - ((i % 280) * 20) / 280 + noise() - 10)
    for (const [x, y] of [
      [10, 10],
      [265, 20],
      [20, 262],
    ] as const) {
      for (let dy = 0; dy < 4; dy++) for (let dx = 0; dx < 4; dx++) photo.data[(y + dy) * 280 + x + dx] = 60
    }
    expect(meanDifference(mnistGlyph(photo, 28, 28, 20), reference)).toBeLessThan(8)
  })

  it('keeps a sign of two pieces whole', () => {
    const five = drawing(280, [...SEVEN, [60, 150, 85, 150]], 20)
    const bar = mnistGlyph(five, 28, 28, 20)
    expect(meanDifference(bar, reference)).toBeGreaterThan(4)
    expect(boxOf(bar).width).toBeGreaterThan(boxOf(reference).width)
  })

  it.each([
    ['black', map(large, () => 0)],
    ['white', map(large, () => 255)],
    ['grain alone', map(large, (_, i) => 128 + (i % 7))],
    ['one pixel', { width: 1, height: 1, channels: 1, data: Uint8Array.of(9) } as Raster],
  ])('refuses a blank picture: %s', (_, blank) => {
    expect(codeOf(() => mnistGlyph(blank, 28, 28, 20))).toBe('invalid_image')
  })

  it.each([
    [1, 300],
    [300, 1],
    [2, 2],
  ])('copes with a picture of %i x %i', (width, height) => {
    const data = new Uint8Array(width * height)
    data[data.length >> 1] = 255
    expect(mnistGlyph({ width, height, channels: 1, data }, 28, 28, 20).data.length).toBe(784)
  })
})
