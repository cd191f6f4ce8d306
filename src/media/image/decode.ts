import { VergeError } from '../../core/errors.ts'
import { jpegOrientation } from './exif.ts'
import { decodeJpeg, readJpegHeader } from './jpeg/decode.ts'
import { decodePng, PNG_SIGNATURE, readPngHeader } from './png.ts'
import { orient, type Raster } from './raster.ts'

export interface DecodeOptions {
  /** Most pixels, checked before anything is decoded. */
  readonly maxPixels: number
  /** Most scans of a progressive JPEG. */
  readonly maxScans: number
}

/**
 * Decodes a PNG or a JPEG, told apart by their first bytes, turned the way they are to be seen.
 * @throws invalid_image, input_too_large
 */
export function decodeImage(bytes: Uint8Array, { maxPixels, maxScans }: DecodeOptions): Raster {
  if (PNG_SIGNATURE.every((byte, i) => bytes[i] === byte)) {
    const header = readPngHeader(bytes)
    checkSize(header, maxPixels)
    return decodePng(bytes, header)
  }
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    checkSize(readJpegHeader(bytes), maxPixels)
    return orient(decodeJpeg(bytes, { maxScans }), jpegOrientation(bytes))
  }
  throw new VergeError('invalid_image', 'This is not a PNG or a JPEG. Send one of them.')
}

function checkSize({ width, height }: { readonly width: number; readonly height: number }, maxPixels: number): void {
  if (width === 0 || height === 0) throw new VergeError('invalid_image', 'The image has no pixels.')
  if (width * height > maxPixels) {
    throw new VergeError(
      'input_too_large',
      `The image has ${width} x ${height} pixels; at most ${maxPixels} are taken. Send a smaller one.`,
      { details: { limit_pixels: maxPixels } },
    )
  }
}
