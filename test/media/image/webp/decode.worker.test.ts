import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../../src/core/limits.ts'
import { bytesFromBase64 } from '../../../../src/media/base64.ts'
import { decodeImage } from '../../../../src/media/image/decode.ts'
import { codeOf } from '../../../fixtures/http.ts'
import webps from '../../../fixtures/pil-webp.json'

const OPTIONS = { maxPixels: LIMITS.imagePixels, maxFullPixels: LIMITS.fullImagePixels, maxScans: 1 }

function bytes(base64: string): Uint8Array {
  const decoded = bytesFromBase64(base64)
  if (decoded === undefined) throw new Error('the fixture is not base64')
  return decoded
}

const file = (name: string): Uint8Array => bytes(webps.find((webp) => webp.name === name)?.file ?? '')

describe('WebP, against Pillow', () => {
  for (const { name, file, width, height, pixels } of webps) {
    it(name, () => {
      const decoded = decodeImage(bytes(file), OPTIONS)
      expect([decoded.width, decoded.height, decoded.channels]).toEqual([width, height, 3])
      const expected = bytes(pixels)
      // Opacity is blended in other roundings; everything else is the same to the bit.
      const tolerance = name.includes('opacity') ? 1 : 0
      const worst = decoded.data.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? 0))), 0)
      expect(worst).toBeLessThanOrEqual(tolerance)
    })
  }
})

describe('WebPs that are none, or not taken', () => {
  const lossy = file('lossy 75 6')
  const lossless = file('lossless soft 100 6')
  const clear = file('lossy with opacity')
  const code = (data: Uint8Array, options = OPTIONS) => codeOf(() => decodeImage(data, options))

  it('checks sizes by the header, before anything is decoded', () => {
    const wide = lossy.slice()
    // Behind RIFF (12), the chunk's head (8), the frame's (3) and the start code (3).
    new DataView(wide.buffer).setUint16(26, 16383, true)
    new DataView(wide.buffer).setUint16(28, 16383, true)
    expect(code(wide)).toBe('input_too_large')
    expect(code(lossless, { ...OPTIONS, maxPixels: 1000, maxFullPixels: 1e6 })).toBe('input_too_large')
    expect(code(clear, { ...OPTIONS, maxPixels: 500, maxFullPixels: 1e6 })).toBe('input_too_large')
  })

  it('makes large lossy ones smaller', () => {
    const whole = decodeImage(lossy, OPTIONS)
    const half = decodeImage(lossy, { ...OPTIONS, maxPixels: 31 * 23, maxFullPixels: 2 * 61 * 45 })
    expect(half).toMatchObject({ width: 31, height: 23, fullWidth: 61, fullHeight: 45 })
    const at = (image: typeof whole, x: number, y: number) => image.data[3 * (y * image.width + x)] ?? 0
    const mean = (at(whole, 20, 10) + at(whole, 21, 10) + at(whole, 20, 11) + at(whole, 21, 11)) / 4
    expect(Math.abs(at(half, 10, 5) - mean)).toBeLessThanOrEqual(0.5)
  })

  it('refuses one that is cut off', () => {
    for (const whole of [lossy, lossless, clear]) {
      for (let length = 12; length < whole.length - 1; length += 17) {
        expect(code(whole.slice(0, length)), `${length} of ${whole.length} bytes`).toMatch(/^invalid_image$/)
      }
    }
  })

  it('answers any damage with a picture or with invalid_image, never otherwise', () => {
    let seed = 5
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return (seed >>> 8) % below
    }
    const outcomes = new Set<string>()
    for (const webp of webps) {
      const whole = bytes(webp.file)
      for (let round = 0; round < 40; round++) {
        const data = whole.slice()
        for (let i = 0; i < 1 + random(6); i++) data[random(data.length)] = random(256)
        // A size of millions is well formed; what it costs is another test.
        outcomes.add(code(data, { ...OPTIONS, maxPixels: 20_000, maxFullPixels: 20_000 }))
      }
    }
    outcomes.delete('unsupported_media_type')
    expect([...outcomes].sort()).toEqual(['fine', 'input_too_large', 'invalid_image'])
  })
})
