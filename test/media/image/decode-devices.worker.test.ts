import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { bytesFromBase64 } from '../../../src/media/base64.ts'
import { decodeImage } from '../../../src/media/image/decode.ts'
import files from '../../fixtures/device-images.json'
import { codeOf } from '../../fixtures/http.ts'
import images from '../../fixtures/pil-images.json'

const OPTIONS = { maxPixels: LIMITS.imagePixels, maxScans: LIMITS.jpegScans }

function bytes(base64: string): Uint8Array {
  const decoded = bytesFromBase64(base64)
  if (decoded === undefined) throw new Error('the fixture is not base64')
  return decoded
}

const fileOf = (name: string): Uint8Array => bytes(files.find((file) => file.name === name)?.file ?? '')

/** Offset of a marker that is followed by the given bytes. */
function find(data: Uint8Array, ...pattern: number[]): number {
  const at = data.findIndex((_, i) => pattern.every((byte, j) => data[i + j] === byte))
  if (at < 0) throw new Error('the fixture holds no such bytes')
  return at
}

describe('pictures as devices write them, against libvips', () => {
  for (const { name, file, width, height, channels, pixels } of files) {
    it(name, () => {
      const decoded = decodeImage(bytes(file), OPTIONS)
      expect([decoded.width, decoded.height, decoded.channels]).toEqual([width, height, channels])
      const expected = bytes(pixels)
      // Opacity is blended in other roundings; everything else is the same to the bit.
      const tolerance = name.includes('smaller') ? 1 : 0
      const worst = decoded.data.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? 0))), 0)
      expect(worst).toBeLessThanOrEqual(tolerance)
    })
  }
})

describe('pictures as devices write them, in other ways', () => {
  it('reads a PNG whose eXIf chunk comes behind the pixels, as Pillow does', () => {
    const file = fileOf('png orientation 6')
    const at = find(file, 0x65, 0x58, 0x49, 0x66) - 4
    const length = 12 + new DataView(file.buffer).getUint32(at)
    const end = file.length - 12
    const moved = new Uint8Array(file.length)
    moved.set(file.subarray(0, at))
    moved.set(file.subarray(at + length, end), at)
    moved.set(file.subarray(at, at + length), end - length)
    moved.set(file.subarray(end), end)
    expect(decodeImage(moved, OPTIONS)).toEqual(decodeImage(file, OPTIONS))
  })

  it('reads CMYK without Adobe’s marker as Pillow and libvips do: as if it were there', () => {
    const { file, pixels } = images.find(({ name }) => name === 'jpeg CMYK') ?? { file: '', pixels: '' }
    const whole = bytes(file)
    const at = find(whole, 0xff, 0xee)
    const length = 2 + new DataView(whole.buffer).getUint16(at + 2)
    const without = new Uint8Array(whole.length - length)
    without.set(whole.subarray(0, at))
    without.set(whole.subarray(at + length), at)
    expect(decodeImage(without, OPTIONS).data).toEqual(bytes(pixels))
  })

  it('does not take a progressive JPEG without its tables for one that means the usual ones', () => {
    const { file } = images.find(({ name }) => name === 'jpeg grey progressive') ?? { file: '' }
    const whole = bytes(file)
    // The first table's segment becomes a comment.
    const at = find(whole, 0xff, 0xc4)
    expect(codeOf(() => decodeImage(whole.with(at + 1, 0xfe), OPTIONS))).toBe('invalid_image')
  })

  it('refuses progressive arithmetic coding by its name', () => {
    const file = fileOf('jpeg arithmetic grey')
    const at = find(file, 0xff, 0xc9)
    expect(() => decodeImage(file.with(at + 1, 0xca), OPTIONS)).toThrow(/Progressive arithmetic-coded JPEGs are not/)
  })

  it('refuses an arithmetic-coded JPEG that is cut off', () => {
    const file = fileOf('jpeg arithmetic 4:2:0')
    for (let length = 20; length < file.length * 0.95; length += 31) {
      expect(
        codeOf(() => decodeImage(file.slice(0, length), OPTIONS)),
        `${length}`,
      ).toBe('invalid_image')
    }
  })

  it('answers any damage with a picture or a typed error', () => {
    let seed = 3
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return (seed >>> 8) % below
    }
    const outcomes = new Set<string>()
    for (const { file } of files) {
      for (let round = 0; round < 30; round++) {
        const data = bytes(file)
        for (let i = 0; i < 1 + random(6); i++) data[random(data.length)] = random(256)
        outcomes.add(codeOf(() => decodeImage(data, { ...OPTIONS, maxPixels: 20_000 })))
      }
    }
    outcomes.delete('unsupported_media_type')
    expect([...outcomes].sort()).toEqual(['fine', 'input_too_large', 'invalid_image'])
  })

  it('takes an animated WebP whose canvas is too large for too large', () => {
    const file = fileOf('webp animation')
    const at = find(file, 0x56, 0x50, 0x38, 0x58)
    file.set([0xff, 0x1f, 0, 0xff, 0x1f, 0], at + 12)
    expect(codeOf(() => decodeImage(file, OPTIONS))).toBe('input_too_large')
  })

  it('refuses an animated WebP whose first picture does not lie in it', () => {
    const file = fileOf('webp animation whose first picture is smaller')
    const at = find(file, 0x41, 0x4e, 0x4d, 0x46)
    expect(codeOf(() => decodeImage(file.with(at + 8, 9), OPTIONS))).toBe('invalid_image')
  })
})
