import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { bytesFromBase64 } from '../../../src/media/base64.ts'
import { decodeImage } from '../../../src/media/image/decode.ts'
import { crop, orient, type Raster, toGrey } from '../../../src/media/image/raster.ts'
import { resize } from '../../../src/media/image/resize.ts'
import { greyPng } from '../../../synthetic/png.ts'
import { preprocess } from '../../fixtures/all-at-once.ts'
import { codeOf } from '../../fixtures/http.ts'
import images from '../../fixtures/pil-images.json'
import golden from '../../fixtures/pil-resize.json'

const OPTIONS = { maxPixels: LIMITS.imagePixels, maxScans: LIMITS.jpegScans }

function bytes(base64: string): Uint8Array {
  const decoded = bytesFromBase64(base64)
  if (decoded === undefined) throw new Error('the fixture is not base64')
  return decoded
}

function greatestDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? 0))), 0)
}

const file = (name: string): Uint8Array => bytes(images.find((image) => image.name === name)?.file ?? '')

describe('decoding, against Pillow', () => {
  for (const image of images) {
    it(image.name, () => {
      const decoded = decodeImage(bytes(image.file), OPTIONS)
      expect([decoded.width, decoded.height, decoded.channels]).toEqual([image.width, image.height, image.channels])
      // Alpha is blended in other roundings; everything else is the same to the bit.
      const tolerance = /alpha|transparency/.test(image.name) ? 1 : 0
      expect(greatestDifference(decoded.data, bytes(image.pixels))).toBeLessThanOrEqual(tolerance)
    })
  }
})

describe('pictures that are none', () => {
  const png = file('png 8-bit RGB')
  const jpeg = file('jpeg 4:2:0 baseline')
  const progressive = file('jpeg 4:4:4 progressive')
  const code = (data: Uint8Array) => codeOf(() => decodeImage(data, OPTIONS))

  it('refuses a picture of 100 megapixels by its header', () => {
    const header = png.slice(0, 40)
    new DataView(header.buffer).setUint32(16, 10_000)
    new DataView(header.buffer).setUint32(20, 10_000)
    expect(code(header)).toBe('input_too_large')
    const huge = jpeg.slice()
    const frame = huge.findIndex((byte, i) => byte === 0xff && huge[i + 1] === 0xc0)
    new DataView(huge.buffer).setUint32(frame + 5, 0xffffffff)
    expect(code(huge)).toBe('input_too_large')
  })

  it('refuses a picture without pixels', () => {
    const empty = png.slice()
    new DataView(empty.buffer).setUint32(16, 0)
    expect(code(empty)).toBe('invalid_image')
  })

  it.each([
    ['nothing', new Uint8Array(0)],
    ['text', new TextEncoder().encode('This is no picture at all')],
    ['a signature alone', png.slice(0, 8)],
    ['an SOI alone', Uint8Array.of(0xff, 0xd8)],
    ['an unknown colour type', png.with(25, 5)],
    ['an impossible depth', png.with(24, 3)],
  ])('refuses %s', (_, data) => {
    expect(code(data)).toBe('invalid_image')
  })

  it('refuses a PNG and a JPEG cut off anywhere before their last pixels, and decodes the next good one', () => {
    for (const whole of [png, jpeg, progressive]) {
      for (let length = 9; length < whole.length * 0.9; length += 13) {
        expect(code(whole.slice(0, length)), `${length} of ${whole.length} bytes`).toBe('invalid_image')
      }
      expect(decodeImage(whole, OPTIONS).width).toBe(37)
    }
    expect(code(png.slice(0, png.length / 2))).toBe('invalid_image')
    expect(code(jpeg.slice(0, jpeg.length * 0.8))).toBe('invalid_image')
  })

  it('answers any damage with a picture or with invalid_image, never otherwise', () => {
    let seed = 1
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return (seed >>> 8) % below
    }
    const outcomes = new Set<string>()
    for (const image of images) {
      const whole = bytes(image.file)
      for (let round = 0; round < 40; round++) {
        const data = whole.slice()
        for (let i = 0; i < 1 + random(6); i++) data[random(data.length)] = random(256)
        outcomes.add(code(data))
      }
    }
    expect([...outcomes].sort()).toEqual(['fine', 'input_too_large', 'invalid_image'])
  })

  it('refuses more scans than a picture needs', () => {
    expect(codeOf(() => decodeImage(progressive, { ...OPTIONS, maxScans: 3 }))).toBe('input_too_large')
  })

  it('inflates what the platform deflates: codes of all lengths', async () => {
    let seed = 9
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return Math.floor((seed / 2 ** 32) * below)
    }
    for (let round = 0; round < 40; round++) {
      // One row of noise with a few repetitions: each length and distance is rare, so its code is as long as can be.
      const pixels = Uint8Array.from({ length: 30_000 }, () => random(256 - 6 * round))
      for (let at = 1000; at < 29_000; at += 100 + random(40 * (round + 1))) {
        const distance = 1 + random(at)
        const length = 3 + random(280)
        for (let i = at; i < at + length; i++) pixels[i] = pixels[i - distance] ?? 0
      }
      const decoded = decodeImage(await greyPng(30_000, 1, pixels), OPTIONS)
      expect(greatestDifference(decoded.data, pixels)).toBe(0)
    }
  })

  it('stops inflating where the picture ends, however much the data would give', async () => {
    // Eight rows of eight pixels are 72 bytes; the stream holds 64 MiB of zeros.
    const bomb = await greyPng(8, 8, new Uint8Array(64), 64 * 1024 * 1024)
    expect(bomb.length).toBeLessThan(200_000)
    expect(decodeImage(bomb, OPTIONS).data).toEqual(new Uint8Array(64))
  })
})

describe('resizing, against Pillow', () => {
  const colour: Raster = { width: golden.width, height: golden.height, channels: 3, data: bytes(golden.rgb) }

  it('makes the same grey', () => {
    expect(toGrey(colour).data).toEqual(bytes(golden.grey))
  })

  for (const { mode, width, height, pixels } of golden.resizes) {
    it(`${mode} to ${width} x ${height}`, () => {
      const resized = resize(mode === 'L' ? toGrey(colour) : colour, width, height)
      expect(resized.data).toEqual(bytes(pixels))
    })
  }

  it('crops the centre as torchvision does, and normalizes in either layout', () => {
    const { resize: side, size, pixels } = golden.crop
    const expected = bytes(pixels)
    const settings = {
      mode: 'RGB',
      size: [size, size] as [number, number],
      fit: 'crop',
      resize: side,
      rescale: 1 / 255,
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
    } as const
    const options = { ...settings, mean: [...settings.mean], std: [...settings.std] }
    const nhwc = preprocess(colour, { ...options, layout: 'NHWC' })
    expect(nhwc.shape).toEqual([1, 12, 12, 3])
    const nchw = preprocess(colour, { ...options, layout: 'NCHW' })
    expect(nchw.shape).toEqual([1, 3, 12, 12])
    for (let i = 0; i < expected.length; i++) {
      const channel = i % 3
      const value = ((expected[i] ?? 0) / 255 - (settings.mean[channel] ?? 0)) / (settings.std[channel] ?? 1)
      expect(nhwc.samples[i]).toBeCloseTo(value, 5)
      expect(nchw.samples[channel * 144 + Math.floor(i / 3)]).toBeCloseTo(value, 5)
    }
  })
})

describe('rasters', () => {
  const abc: Raster = { width: 3, height: 2, channels: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }

  it.each([
    [1, 3, [1, 2, 3, 4, 5, 6]],
    [2, 3, [3, 2, 1, 6, 5, 4]],
    [3, 3, [6, 5, 4, 3, 2, 1]],
    [4, 3, [4, 5, 6, 1, 2, 3]],
    [5, 2, [1, 4, 2, 5, 3, 6]],
    [6, 2, [4, 1, 5, 2, 6, 3]],
    [7, 2, [6, 3, 5, 2, 4, 1]],
    [8, 2, [3, 6, 2, 5, 1, 4]],
    [9, 3, [1, 2, 3, 4, 5, 6]],
  ])('orientation %i', (orientation, width, expected) => {
    const turned = orient(abc, orientation)
    expect(turned.width).toBe(width)
    expect([...turned.data]).toEqual(expected)
  })

  it('crops beyond its edges in black', () => {
    expect([...crop(abc, -1, -1, 3, 2).data]).toEqual([0, 0, 0, 0, 1, 2])
    expect([...crop(abc, 2, 1, 2, 2).data]).toEqual([6, 0, 0, 0])
    expect([...crop(abc, 5, 5, 1, 1).data]).toEqual([0])
  })
})
