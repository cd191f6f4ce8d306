import { describe, expect, it } from 'vitest'
import { planPicture, sizeWithin } from '../../../page/media/fit-picture.ts'
import type { PictureFormat } from '../../../page/media/picture-header.ts'

const MiB = 2 ** 20
const limits = { bytes: 8 * MiB, fullPixels: 32 * MiB, pixels: 4 * MiB, openedBytes: 64 * MiB, openedPixels: 128 * MiB }

function plan(
  format: PictureFormat | undefined,
  [width, height]: readonly [number, number],
  bytes: number = MiB,
  heldWhole = false,
) {
  const header = format && { format, size: { width, height }, heldWhole }
  return planPicture(header, { name: 'a.jpg', bytes }, limits)
}

describe('planPicture', () => {
  it.each<[PictureFormat, readonly [number, number]]>([
    ['PNG', [100, 100]],
    ['JPEG', [6000, 5000]],
    ['WebP', [4000, 4000]],
  ])('sends a %s of %o as it is', (format, size) => {
    expect(plan(format, size)).toEqual({ do: 'send' })
  })

  it.each<[string, PictureFormat, readonly [number, number], number, boolean, RegExp]>([
    [
      'a file above the limit',
      'JPEG',
      [4000, 3000],
      9 * MiB,
      false,
      /^The file has 9 MiB, and a request may have 8 MiB$/,
    ],
    ['a picture above the limit', 'JPEG', [8000, 6000], MiB, false, /has 8000 × 6000 pixels.* 33\.6 million$/],
    ['an interlaced PNG', 'PNG', [3000, 2000], MiB, true, / 4\.2 million$/],
    ['a lossy WebP', 'WebP', [6000, 4000], MiB, false, / 16\.8 million$/],
    ['a very long picture', 'PNG', [70_000, 10], MiB, false, /more than 65535 pixels$/],
    ['a GIF', 'GIF', [300, 200], MiB, false, /^Models take no GIF pictures$/],
    ['an AVIF', 'AVIF', [300, 200], MiB, false, /^Models take no AVIF pictures$/],
  ])('draws %s anew, and says why', (_, format, size, bytes, heldWhole, why) => {
    expect(plan(format, size, bytes, heldWhole)).toEqual({
      do: 'redraw',
      maxPixels: 4 * MiB,
      why: expect.stringMatching(why),
    })
  })

  it.each<[string, PictureFormat | undefined, readonly [number, number], number, RegExp]>([
    ['nothing', 'PNG', [10, 10], 0, /^The file "a.jpg" is empty. Choose another picture.$/],
    ['no picture', undefined, [10, 10], MiB, /is not a picture. Choose a PNG, JPEG or WebP picture.$/],
    ['a vector graphic', 'SVG', [10, 10], MiB, /^SVG pictures cannot be read here. Save "a.jpg" as PNG/],
    [
      'a huge file',
      'PNG',
      [10, 10],
      65 * MiB,
      /has 65 MiB; this page opens pictures of at most 64 MiB. Save it smaller/,
    ],
    [
      'a huge picture',
      'PNG',
      [50_000, 50_000],
      MiB,
      /50000 × 50000 pixels.*at most 134.2 million pixels. Scale it down/,
    ],
    ['a picture without pixels', 'PNG', [0, 5], MiB, /has no pixels/],
  ])('refuses %s, and says what to do', (_, format, size, bytes, message) => {
    expect(plan(format, size, bytes)).toEqual({ do: 'refuse', message: expect.stringMatching(message) })
  })

  it('opens a picture whose size only decoding tells', () => {
    expect(planPicture({ format: 'JPEG', size: undefined, heldWhole: false }, { name: 'a', bytes: 9 }, limits)).toEqual(
      {
        do: 'send',
      },
    )
  })
})

describe('sizeWithin', () => {
  it('keeps the shape, and never makes a picture larger', () => {
    const { width, height } = sizeWithin({ width: 8000, height: 6000 }, 4 * MiB)
    expect(width * height).toBeLessThanOrEqual(4 * MiB)
    expect(width * height).toBeGreaterThan(3.99 * MiB)
    expect(width / height).toBeCloseTo(4 / 3, 2)
    expect(sizeWithin({ width: 30, height: 20 }, 4 * MiB)).toEqual({ width: 30, height: 20 })
    expect(sizeWithin({ width: 1_000_000, height: 1 }, 100)).toEqual({ width: 10_000, height: 1 })
  })
})
