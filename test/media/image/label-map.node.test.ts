import { describe, expect, it } from 'vitest'
import { finish, StepMeter } from '../../../src/core/work.ts'
import { type Axis, axisOf } from '../../../src/media/image/axis.ts'
import { labelling } from '../../../src/media/image/label-map.ts'
import { interpolating, type Planes, paintingAbove } from '../../../src/media/image/planes.ts'
import { seededFloats } from '../../../synthetic/onnx.ts'

const whole = (from: number, to: number): Axis => axisOf(from, { to, inner: from, start: 0, whole: from })

function planesOf(count: number, width: number, height: number, seed: number, channelsLast = false): Planes {
  const data = seededFloats(count * width * height, seed)
  const steps = channelsLast ? { planeStep: 1, pixelStep: count } : { planeStep: width * height, pixelStep: 1 }
  return { data, count, width, height, ...steps }
}

/** Bilinear by the published formula, apart from the code under test. */
function sample(planes: Planes, plane: number, x: number, y: number, toWidth: number, toHeight: number): number {
  const { data, width, height, planeStep, pixelStep } = planes
  const at = (column: number, row: number): number => {
    const [i, j] = [Math.min(width - 1, Math.max(0, column)), Math.min(height - 1, Math.max(0, row))]
    return data[plane * planeStep + (j * width + i) * pixelStep] ?? Number.NaN
  }
  const [u, v] = [((x + 0.5) * width) / toWidth - 0.5, ((y + 0.5) * height) / toHeight - 0.5]
  const [i, j] = [Math.floor(u), Math.floor(v)]
  const [s, t] = [u - i, v - j]
  return (
    at(i, j) * (1 - s) * (1 - t) + at(i + 1, j) * s * (1 - t) + at(i, j + 1) * (1 - s) * t + at(i + 1, j + 1) * s * t
  )
}

describe('maps in the size of a picture', () => {
  it.each([
    [3, 8, 6, 31, 24],
    [7, 5, 9, 5, 9],
    [4, 16, 16, 7, 3],
    [2, 1, 1, 9, 5],
    [5, 6, 1, 1, 40],
    [19, 12, 12, 48, 48],
  ])(
    'label each pixel with the strongest of %i planes of %i x %i, interpolated to %i x %i',
    (count, w, h, toW, toH) => {
      for (const channelsLast of [false, true]) {
        const planes = planesOf(count, w, h, count * 100 + toW, channelsLast)
        const map = finish(labelling(planes, whole(w, toW), whole(h, toH), new StepMeter()))
        expect(map.length).toBe(toW * toH)
        for (let y = 0; y < toH; y++) {
          for (let x = 0; x < toW; x++) {
            const values = Array.from({ length: count }, (_, plane) => sample(planes, plane, x, y, toW, toH))
            const label = map[y * toW + x] ?? -1
            // Equal but for rounding: either is right.
            expect(Math.max(...values) - (values[label] ?? Number.NaN), `${x}, ${y}`).toBeLessThan(1e-9)
          }
        }
      }
    },
  )

  it('paint what interpolating gives above a threshold', () => {
    const planes = planesOf(3, 9, 7, 5)
    const [across, down] = [whole(9, 40), whole(7, 20)]
    const [painted, exact] = [new Uint8Array(800), finish(interpolating(planes, 2, across, down, new StepMeter()))]
    const paint = (row: number, from: number, to: number) => painted.fill(1, row * 40 + from, row * 40 + to)
    finish(paintingAbove(planes, 2, 0.1, across, down, new StepMeter(), paint))
    for (const [i, value] of exact.entries()) {
      expect(value).toBeCloseTo(sample(planes, 2, i % 40, Math.floor(i / 40), 40, 20), 6)
      if (Math.abs(value - 0.1) > 1e-6) expect(painted[i], `${i}`).toBe(value >= 0.1 ? 1 : 0)
    }
  })

  it('read only that part of a map in which the picture lies', () => {
    // A picture of 4 x 2 in the middle of a square of 8, with two pixels of padding above and below.
    const down = axisOf(8, { to: 2, inner: 4, start: 2, whole: 8 })
    expect([...down.first]).toEqual([2, 4])
    expect([...down.share]).toEqual([0.5, 0.5])
    expect([...axisOf(4, { to: 4, inner: 8, start: 0, whole: 8 }).share]).toEqual([0, 0, 0, 0])
  })

  it('cost what their pixels and planes take, and are refused before they are made', () => {
    const planes = planesOf(10, 8, 8, 1)
    const meter = new StepMeter(1_000)
    expect(() => labelling(planes, whole(8, 64), whole(8, 64), meter).next()).toThrow(/million steps/)
    expect(() => interpolating(planes, 0, whole(8, 64), whole(8, 64), meter).next()).toThrow(/million steps/)
  })
})
