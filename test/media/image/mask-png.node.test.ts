import { inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { finish, StepMeter } from '../../../src/core/work.ts'
import { maskPng, mostMaskBytes } from '../../../src/media/image/mask-png.ts'
import { findingRuns, type MaskRuns, NO_LABEL } from '../../../src/media/image/mask-runs.ts'
import { seededFloats } from '../../../synthetic/onnx.ts'

const runsOf = (map: Uint16Array, width: number, height: number, count: number, mostRuns = 1e6): MaskRuns =>
  finish(findingRuns(map, width, height, count, { mostRuns, tooMany: () => new Error('too many') }, new StepMeter()))

/** Pixels of a PNG as node's own zlib unpacks them, which also verifies the checksum. */
function pixelsOf(png: Uint8Array<ArrayBuffer>, width: number, height: number): number[] {
  const file = Buffer.from(png)
  expect([file.readUInt32BE(16), file.readUInt32BE(20), file[24], file[25]]).toEqual([width, height, 8, 0])
  const at = file.indexOf('IDAT')
  const rows = inflateSync(file.subarray(at + 4, at + 4 + file.readUInt32BE(at - 4)))
  expect(rows.length).toBe((width + 1) * height)
  const pixels: number[] = []
  for (let y = 0; y < height; y++) {
    expect(rows[y * (width + 1)]).toBe(0)
    pixels.push(...rows.subarray(y * (width + 1) + 1, (y + 1) * (width + 1)))
  }
  return pixels
}

describe('PNG of masks', () => {
  it.each([
    [1, 1, 1],
    [1, 300, 2],
    [300, 1, 2],
    [7, 5, 3],
    [260, 3, 1],
    [519, 40, 4],
  ])('has the pixels of each label of a map of %i x %i with %i labels', (width, height, count) => {
    const noise = seededFloats(width * height, width + height)
    for (const smooth of [1, 50]) {
      const map = Uint16Array.from({ length: width * height }, (_, i) => {
        const value = noise[Math.floor(i / smooth)] ?? 0
        // Some pixels have no label.
        return value < -0.9 ? NO_LABEL : Math.floor(((value + 1) / 2) * count)
      })
      const runs = runsOf(map, width, height, count)
      for (let label = 0; label < count; label++) {
        const png = maskPng(runs, label)
        const expected = [...map].map((value) => (value === label ? 255 : 0))
        expect(pixelsOf(png, width, height)).toEqual(expected)
        const pieces = (runs.offsets[label + 1] ?? 0) - (runs.offsets[label] ?? 0)
        expect(png.length).toBeLessThanOrEqual(mostMaskBytes(width * height, height, pieces) + 57)
      }
    }
  })

  it('takes the bytes of an outline, not of an area', () => {
    const side = 512
    const disc = Uint16Array.from({ length: side * side }, (_, i) =>
      Math.hypot((i % side) - 256, Math.floor(i / side) - 256) < 200 ? 0 : NO_LABEL,
    )
    expect(maskPng(runsOf(disc, side, side, 1), 0).length).toBeLessThan(6_000)
  })

  it('refuses a map of more pieces than it may hold', () => {
    const checks = Uint16Array.from({ length: 100 }, (_, i) => i & 1)
    expect(() => runsOf(checks, 10, 10, 2, 99)).toThrow('too many')
    expect(runsOf(checks, 10, 10, 2, 100).starts.length).toBe(100)
  })
})
