import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type PictureHeader, pictureHeader } from '../../../page/media/picture-header.ts'
import { encodeJpeg, largePicture } from '../../../synthetic/node/jpeg.ts'
import { greyPng, png } from '../../../synthetic/png.ts'

const DIGITS = join(import.meta.dirname, '../../../models/digits/samples')

function bytes(...parts: readonly (string | readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => (typeof part === 'string' ? Array.from(part, (c) => c.charCodeAt(0)) : [...part])),
  )
}

const header = (
  format: PictureHeader['format'],
  size?: readonly [width: number, height: number],
  heldWhole = false,
) => ({ format, size: size && { width: size[0], height: size[1] }, heldWhole })

describe('pictureHeader', () => {
  it('reads the size of a PNG, and whether it is interlaced', async () => {
    expect(pictureHeader(readFileSync(join(DIGITS, 'photo.png')))).toEqual(header('PNG', [280, 280]))
    expect(pictureHeader(await greyPng(3, 2, new Uint8Array(6)))).toEqual(header('PNG', [3, 2]))
    const interlaced = png({ width: 9, height: 7, depth: 8, colour: 2, interlaced: true }, new Uint8Array(0))
    expect(pictureHeader(interlaced)).toEqual(header('PNG', [9, 7], true))
  })

  it('reads the size of a JPEG behind other segments', async () => {
    const jpeg = await encodeJpeg(largePicture(48, 40), { quality: 80, progressive: true })
    expect(pictureHeader(jpeg)).toEqual(header('JPEG', [48, 40]))
    const frame = [0xff, 0xc2, 0x00, 0x11, 8, 0x12, 0x34, 0x0a, 0xbc, 3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1]
    const exif = [0xff, 0xe1, 0x00, 0x06, 1, 2, 3, 4, 0xff]
    expect(pictureHeader(bytes([0xff, 0xd8], exif, frame))).toEqual(header('JPEG', [0x0abc, 0x1234]))
  })

  it('says that it is a JPEG where its size is not among the bytes, or the bytes are damaged', () => {
    expect(pictureHeader(bytes([0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff]))).toEqual(header('JPEG'))
    expect(pictureHeader(bytes([0xff, 0xd8], new Array<number>(40).fill(7)))).toEqual(header('JPEG'))
    expect(pictureHeader(bytes([0xff, 0xd8], new Array<number>(40).fill(0xff)))).toEqual(header('JPEG'))
  })

  it('reads the sizes of the three kinds of WebP', () => {
    const lossy = bytes('RIFF', [0, 0, 0, 0], 'WEBPVP8 ', [0, 0, 0, 0, 0, 0, 0, 0x9d, 1, 0x2a, 0x80, 2, 0xe0, 1])
    expect(pictureHeader(lossy)).toEqual(header('WebP', [640, 480]))
    // 14 bits each of width and height, less one.
    const bits = 99 + (49 << 14)
    const least = [bits & 255, (bits >> 8) & 255, (bits >> 16) & 255, (bits >> 24) & 255]
    const lossless = bytes('RIFF', [0, 0, 0, 0], 'WEBPVP8L', [0, 0, 0, 0, 0x2f], least, [0, 0, 0, 0, 0])
    expect(pictureHeader(lossless)).toEqual(header('WebP', [100, 50], true))
    const extended = bytes(
      'RIFF',
      [0, 0, 0, 0],
      'WEBPVP8X',
      [10, 0, 0, 0, 0, 0, 0, 0],
      [0x0f, 0x27, 0],
      [0x1f, 0x4e, 0],
    )
    expect(pictureHeader(extended)).toEqual(header('WebP', [10_000, 20_000], true))
    expect(pictureHeader(bytes('RIFF', [0, 0, 0, 0], 'WEBP'))).toEqual(header('WebP', undefined, true))
  })

  it('knows other formats that people have', () => {
    expect(pictureHeader(bytes('GIF89a', [0x20, 0x03, 0x58, 0x02]))).toEqual(header('GIF', [800, 600]))
    // The height of a BMP is negative where its rows go down.
    const bmp = bytes('BM', new Array<number>(16).fill(0), [0x40, 1, 0, 0], [0x10, 0xff, 0xff, 0xff])
    expect(pictureHeader(bmp)).toEqual(header('BMP', [320, 240]))
    expect(pictureHeader(bytes('II*\0'))).toEqual(header('TIFF'))
    expect(pictureHeader(bytes([0, 0, 0, 28], 'ftypavif'))).toEqual(header('AVIF'))
    expect(pictureHeader(bytes([0, 0, 0, 28], 'ftypheic'))).toEqual(header('HEIC'))
    expect(pictureHeader(bytes('<?xml version="1.0"?>\n<svg xmlns="">'))).toEqual(header('SVG'))
  })

  it.each([
    ['a text', bytes('Hello, world. This is a text.')],
    ['a video', bytes([0, 0, 0, 28], 'ftypisom')],
    ['a page', bytes('<!doctype html><svg></svg>')],
    ['nothing', bytes('')],
  ])('has nothing to say about %s', (_, file) => {
    expect(pictureHeader(file)).toBeUndefined()
  })
})
