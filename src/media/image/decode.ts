import { VergeError } from '../../core/errors.ts'
import { finish, StepMeter, type Work } from '../../core/work.ts'
import { decodeJpeg } from './jpeg/decode.ts'
import type { Reduction } from './jpeg/frame.ts'
import { readStructure } from './jpeg/structure.ts'
import { decodePng, PNG_SIGNATURE, pngRowBytes, readPngHeader } from './png.ts'
import { orient, orientationOf, type Raster } from './raster.ts'
import { decodeWebp, isWebp, readWebp } from './webp/decode.ts'

export interface DecodeOptions {
  /** Most pixels, checked before anything is decoded. */
  readonly maxPixels: number
  /**
   * Most pixels of a picture that is decoded smaller, by 2 or 4 in either direction, so that it has `maxPixels` at most.
   * By default `maxPixels`: none is.
   */
  readonly maxFullPixels?: number
  /** Most scans of a JPEG. */
  readonly maxScans: number
  /** What to do about a picture with too many pixels; by default to send a smaller one. */
  readonly advice?: string
}

/** A picture, and the size that it has in its file, turned the way it is to be seen. */
export interface DecodedImage extends Raster {
  readonly fullWidth: number
  readonly fullHeight: number
}

/** What a JPEG can say at most. A PNG could say four thousand millions, and resizing weighs every pixel of a row. */
const MAX_SIDE = 65_535
/** A large picture's rows are unpacked one by one, but each costs its time. */
const BYTES_PER_FULL_PIXEL = 4

/** As `decodingImage`, all at once. */
export function decodeImage(bytes: Uint8Array, options: DecodeOptions, meter = new StepMeter()): DecodedImage {
  return finish(decodingImage(bytes, options, meter))
}

/**
 * Decodes a PNG, a JPEG or a WebP, told apart by their first bytes, turned the way they are to be seen. What decoding
 * costs is known from the headers, as far as they say it, and refused before anything is decoded.
 * @throws invalid_image, input_too_large, unsupported_media_type
 */
export function* decodingImage(bytes: Uint8Array, options: DecodeOptions, meter: StepMeter): Work<DecodedImage> {
  if (PNG_SIGNATURE.every((byte, i) => bytes[i] === byte)) {
    const header = readPngHeader(bytes)
    const reduction = reductionOf(header, options)
    if (reduction !== 1) {
      if (header.interlaced) throw tooLarge(header, options.maxPixels, ' interlaced')
      const most = BYTES_PER_FULL_PIXEL * (options.maxFullPixels ?? options.maxPixels)
      if (pngRowBytes(header) > most) throw tooLarge(header, most / 8, ' of 64 bits')
    }
    const { raster, orientation } = yield* decodePng(bytes, header, reduction, meter)
    return turned(raster, orientation, header)
  }
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    const survey = readStructure(bytes, options.maxScans, meter)
    const raster = yield* decodeJpeg(survey, reductionOf(survey.frame, options), meter)
    return turned(raster, survey.orientation, survey.frame)
  }
  if (isWebp(bytes)) {
    const file = readWebp(bytes, meter)
    const { maxPixels, maxFullPixels = maxPixels } = options
    // A lossy one's planes are held whole while it is decoded; all else takes four bytes a pixel and more.
    const plain =
      file.lossy && file.alpha === undefined && file.frame.width * file.frame.height === file.width * file.height
    const most = plain ? Math.max(maxPixels, Math.floor(maxFullPixels / 2)) : maxPixels
    const reduction = reductionOf(file, { ...options, maxFullPixels: most })
    return turned(yield* decodeWebp(file, reduction, meter), orientationOf(file.exif), file)
  }
  throw unknownFormat(bytes)
}

/** @param size as the file has it, before it is turned */
function turned(raster: Raster, orientation: number, { width, height }: Size): DecodedImage {
  const [fullWidth, fullHeight] = orientation >= 5 ? [height, width] : [width, height]
  return { ...orient(raster, orientation), fullWidth, fullHeight }
}

/** Formats that people send, by what their files begin with. */
const OTHERS: readonly { readonly name: string; readonly at: number; readonly mark: string }[] = [
  { name: 'GIF', at: 0, mark: 'GIF8' },
  { name: 'BMP', at: 0, mark: 'BM' },
  { name: 'TIFF', at: 0, mark: 'II*\0' },
  { name: 'TIFF', at: 0, mark: 'MM\0*' },
  { name: 'AVIF', at: 4, mark: 'ftypavif' },
  { name: 'HEIC', at: 4, mark: 'ftyphei' },
]

function unknownFormat(bytes: Uint8Array): VergeError {
  const beginning = String.fromCharCode(...bytes.subarray(0, 16))
  const other = OTHERS.find(({ at, mark }) => beginning.startsWith(mark, at))
  if (other === undefined || bytes.length < 16) {
    return new VergeError('invalid_image', 'The file is not a PNG, JPEG or WebP image. Send one of these formats.')
  }
  return new VergeError(
    'unsupported_media_type',
    `${other.name} images are not supported. Send a PNG, JPEG or WebP image.`,
  )
}

type Size = { readonly width: number; readonly height: number }

/** By how much a picture has to be decoded smaller. @throws invalid_image, input_too_large */
function reductionOf(size: Size, { maxPixels, maxFullPixels = maxPixels, advice }: DecodeOptions): Reduction {
  const { width, height } = size
  if (width === 0 || height === 0) throw new VergeError('invalid_image', 'The image has no pixels.')
  if (width * height > maxFullPixels) throw tooLarge(size, maxFullPixels, '', advice)
  if (Math.max(width, height) > MAX_SIDE) {
    throw new VergeError(
      'input_too_large',
      `The image has ${width} x ${height} pixels; the limit of a side is ${MAX_SIDE}. Send a smaller image.`,
      { details: { limit_side: MAX_SIDE } },
    )
  }
  const reduction = REDUCTIONS.find((by) => Math.ceil(width / by) * Math.ceil(height / by) <= maxPixels)
  if (reduction === undefined) throw tooLarge(size, maxPixels)
  return reduction
}

const REDUCTIONS: readonly Reduction[] = [1, 2, 4]

function tooLarge({ width, height }: Size, limit: number, kind = '', advice = 'Send a smaller image.'): VergeError {
  return new VergeError(
    'input_too_large',
    `The image has ${width} x ${height} pixels; the limit is ${limit}${kind}. ${advice}`,
    { details: { limit_pixels: limit } },
  )
}
