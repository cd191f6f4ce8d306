import { describe, expect, it } from 'vitest'
import type { ImageSettings } from '../../../src/catalog/manifest.ts'
import type { Resampling } from '../../../src/catalog/settings/resample.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { bytesFromBase64 } from '../../../src/media/base64.ts'
import { decodeImage } from '../../../src/media/image/decode.ts'
import { framing } from '../../../src/media/image/preprocess.ts'
import { crop, type Raster, toGrey } from '../../../src/media/image/raster.ts'
import { resize } from '../../../src/media/image/resize.ts'
import { greyPng } from '../../../synthetic/png.ts'
import { preprocess } from '../../fixtures/all-at-once.ts'
import { codeOf } from '../../fixtures/http.ts'
import more from '../../fixtures/pil-resample.json'
import golden from '../../fixtures/pil-resize.json'

function bytes(base64: string): Uint8Array {
  const decoded = bytesFromBase64(base64)
  if (decoded === undefined) throw new Error('the fixture is not base64')
  return decoded
}

function meanDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length
}

/** Options under which a picture of this size is decoded so many times smaller. */
function by(reduction: number, width: number, height: number) {
  const pixels = Math.ceil(width / reduction) * Math.ceil(height / reduction)
  return { maxPixels: pixels, maxFullPixels: width * height, maxScans: LIMITS.jpegScans }
}

const colour: Raster = { width: golden.width, height: golden.height, channels: 3, data: bytes(golden.rgb) }

describe('every filter, against Pillow', () => {
  it.each(more.resamples)('$filter: $mode to $width x $height', ({ filter, mode, width, height, pixels }) => {
    const resized = resize(mode === 'L' ? toGrey(colour) : colour, width, height, filter as Resampling)
    expect(resized.data).toEqual(bytes(pixels))
  })

  it.each(more.strips)(
    '$filter: a strip of $fromWidth x $fromHeight',
    ({ filter, fromWidth, fromHeight, width, height, pixels }) => {
      const data = Uint8Array.from({ length: fromWidth * fromHeight }, (_, i) => (7 * i) % 251)
      const strip: Raster = { width: fromWidth, height: fromHeight, channels: 1, data }
      expect(resize(strip, width, height, filter as Resampling).data).toEqual(bytes(pixels))
    },
  )

  it.each(['nearest', 'bilinear', 'lanczos'] as const)('computes a part as it is in the whole: %s', (filter) => {
    for (const [width, height] of [
      [90, 70],
      [21, 13],
      [37, 29],
    ] as const) {
      const whole = resize(colour, width, height, filter)
      const window = { left: 5, top: 3, width: 11, height: 9 }
      expect(resize(colour, width, height, filter, window)).toEqual(crop(whole, 5, 3, 11, 9))
    }
  })
})

describe('large pictures', () => {
  it.each(more.reduced)('$name, $by times smaller', ({ name, by: reduction, file, width, height, pixels }) => {
    const [fullWidth, fullHeight] = name.startsWith('png') ? [37, 29] : [61, 45]
    const decoded = decodeImage(bytes(file), by(reduction, fullWidth, fullHeight))
    expect(decoded).toMatchObject({ width, height, fullWidth, fullHeight })
    // libjpeg-turbo folds some of the next higher frequencies in; of a picture without sharp edges that is a level or so.
    expect(meanDifference(decoded.data, bytes(pixels))).toBeLessThan(name.startsWith('png') ? 1e-9 : 1.5)
  })

  it('come out the same, sequential or progressive', () => {
    const of = (name: string, reduction: number) => {
      const found = more.reduced.find((image) => image.name === name && image.by === reduction)
      return decodeImage(bytes(found?.file ?? ''), by(reduction, 61, 45)).data
    }
    for (const space of ['4:4:4', '4:2:2', '4:2:0', 'grey']) {
      for (const reduction of [2, 4]) {
        expect(of(`jpeg ${space} progressive`, reduction)).toEqual(of(`jpeg ${space} baseline`, reduction))
      }
    }
  })

  it('are refused where even a quarter of them is too large, and where they are not allowed at all', async () => {
    const png = await greyPng(40, 40, new Uint8Array(1600))
    const limits = { maxPixels: 99, maxFullPixels: 1600, maxScans: 1 }
    expect(codeOf(() => decodeImage(png, limits))).toBe('input_too_large')
    expect(codeOf(() => decodeImage(png, { ...limits, maxPixels: 100 }))).toBe('fine')
    expect(codeOf(() => decodeImage(png, { ...limits, maxPixels: 100, maxFullPixels: 1599 }))).toBe('input_too_large')
    expect(codeOf(() => decodeImage(png, { maxPixels: 1599, maxScans: 1 }))).toBe('input_too_large')
    const interlaced = png.with(28, 1)
    expect(codeOf(() => decodeImage(interlaced, { ...limits, maxPixels: 100 }))).toBe('input_too_large')
  })

  it('are refused where a side is longer than any camera makes', async () => {
    const png = await greyPng(70_000, 1, new Uint8Array(70_000))
    expect(codeOf(() => decodeImage(png, { maxPixels: LIMITS.imagePixels, maxScans: 1 }))).toBe('input_too_large')
  })

  it('of one pixel in height are cut and stretched without holding more than they are', async () => {
    const data = Uint8Array.from({ length: 60_000 }, (_, i) => i % 256)
    const strip = decodeImage(await greyPng(60_000, 1, data), { maxPixels: LIMITS.imagePixels, maxScans: 1 })
    const tall: Raster = { width: 1, height: 60_000, channels: 1, data }
    const settings = { mode: 'RGB', size: [224, 224] as [number, number], rescale: 1, layout: 'NCHW' } as const
    for (const image of [strip, tall]) {
      for (const fit of ['stretch', 'crop', 'letterbox'] as const) {
        // As a whole, the scaled picture of `crop` would have four thousand million pixels.
        const { samples, shape } = preprocess(image, { ...settings, fit, resize: 256 })
        expect(shape).toEqual([1, 3, 224, 224])
        expect(samples.every(Number.isFinite)).toBe(true)
      }
    }
  })
})

describe('other formats', () => {
  const file = (text: string) => Uint8Array.from(text.padEnd(24, '\0'), (character) => character.charCodeAt(0))

  it.each([
    ['GIF', 'GIF89a'],
    ['BMP', 'BM'],
    ['TIFF', 'II*\0'],
    ['AVIF', '\0\0\0\x1cftypavif'],
    ['HEIC', '\0\0\0\x1cftypheic'],
  ])('%s is named and refused', (name, beginning) => {
    const decode = () => decodeImage(file(beginning), { maxPixels: 100, maxScans: 1 })
    expect(codeOf(decode)).toBe('unsupported_media_type')
    expect(decode).toThrow(`${name} images are not supported`)
  })
})

describe('crop', () => {
  // What transformers' processors compute: (scaled - size) // 2, and above the picture the half that is rounded up.
  it.each<[size: [number, number], left: number, top: number]>([
    [[12, 12], 4, 2],
    [[11, 13], 3, 2],
    [[13, 11], 4, 1],
    [[19, 23], -2, -2],
  ])('%j begins where it does for transformers, on odd margins too', (size, left, top) => {
    const settings: ImageSettings = { mode: 'L', fit: 'crop', resize: 16, rescale: 1, layout: 'NCHW', size }
    expect(framing({ width: 37, height: 29 }, settings)).toEqual({ scaledWidth: 20, scaledHeight: 16, left, top })
  })
})

describe('letterbox', () => {
  const settings: ImageSettings = {
    ...{ mode: 'L', fit: 'letterbox', pad: 114, rescale: 1, layout: 'NCHW' },
    size: [8, 8],
  }

  it('keeps the picture whole in the middle, with grey around it', () => {
    const wide: Raster = { width: 16, height: 8, channels: 1, data: new Uint8Array(128).fill(200) }
    const rows = (values: Float32Array) =>
      Array.from({ length: 8 }, (_, y) => new Set(values.subarray(8 * y, 8 * y + 8)))
    expect(rows(preprocess(wide, settings).samples)).toEqual(
      [114, 114, 200, 200, 200, 200, 114, 114].map((value) => new Set([value])),
    )
  })

  it('puts odd margins where the YOLO tools put them', () => {
    // 640 x 480 into 640 x 641: 161 rows left over, 80 above.
    expect(framing({ width: 640, height: 480 }, { ...settings, size: [641, 640] })).toEqual({
      scaledWidth: 640,
      scaledHeight: 480,
      left: -0,
      top: -80,
    })
  })
})
