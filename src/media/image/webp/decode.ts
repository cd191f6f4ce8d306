import { type StepMeter, tooManySteps, type Work } from '../../../core/work.ts'
import { paste, type Raster } from '../raster.ts'
import { decodeAlpha } from './alpha.ts'
import { damaged, incomplete } from './failures.ts'
import { decodeLossless, losslessSize } from './lossless.ts'
import { decodeLossy } from './lossy.ts'
import { planesToRgb } from './lossy-colour.ts'
import { lossySize, type Size } from './lossy-header.ts'
import { CHUNK, LOSSLESS_PIXEL, LOSSY_BYTE, LOSSY_PIXEL, MACROBLOCK, refusal, TRANSFORMED_PIXEL } from './steps.ts'

/**
 * WebP, lossy and lossless, with or without opacity, to RGB over white: bit for bit what libwebp, and with it Pillow,
 * makes of it. Of an animated one the first picture, as of an animated PNG. Written here for the reasons that the JPEG
 * decoder is.
 */
export interface WebpFile {
  readonly width: number
  readonly height: number
  /** The picture's own size and its place; an animation's may cover a part of the whole only. */
  readonly frame: Size & { readonly left: number; readonly top: number }
  readonly lossy: boolean
  readonly picture: Uint8Array
  readonly alpha: Uint8Array | undefined
  readonly exif: Uint8Array | undefined
}

export function isWebp(bytes: Uint8Array): boolean {
  return fourCharacters(bytes, 0) === 'RIFF' && fourCharacters(bytes, 8) === 'WEBP'
}

/** An ANMF chunk's own fields, before the chunks of its picture. */
const FRAME_HEADER = 16

/** Finds a file's parts and reads the size from the picture's own header. @throws invalid_image, input_too_large */
export function readWebp(bytes: Uint8Array, meter: StepMeter): WebpFile {
  const parts: { [kind: string]: Uint8Array } = {}
  let place: { left: number; top: number } | undefined
  let exif: Uint8Array | undefined
  let canvas: Size | undefined
  for (const { kind, content, whole } of chunks(bytes, 12, meter)) {
    if (kind === 'EXIF') exif = content
    else if (kind === 'VP8X') canvas = { width: u24(content, 4) + 1, height: u24(content, 7) + 1 }
    else if (kind === 'ANMF' && place === undefined && picturePart(parts) === undefined) {
      place = { left: 2 * u24(content, 0), top: 2 * u24(content, 3) }
      for (const inner of chunks(content, FRAME_HEADER, meter)) take(parts, inner.kind, inner.content, inner.whole)
    } else if (place === undefined) take(parts, kind, content, whole)
  }
  const picture = picturePart(parts)
  if (picture === undefined) throw incomplete()
  const lossy = picture === parts['VP8 ']
  const own = lossy ? lossySize(picture) : losslessSize(picture)
  const { width, height } = place === undefined ? own : (canvas ?? own)
  const frame = { ...own, left: place?.left ?? 0, top: place?.top ?? 0 }
  if (frame.left + own.width > width || frame.top + own.height > height) throw damaged()
  return { width, height, frame, lossy, picture, alpha: parts.ALPH, exif }
}

function picturePart(parts: { readonly [kind: string]: Uint8Array }): Uint8Array | undefined {
  return parts['VP8 '] ?? parts.VP8L
}

/** Keeps the parts of the first picture. */
function take(parts: { [kind: string]: Uint8Array }, kind: string, content: Uint8Array, whole: boolean): void {
  if (kind === 'ALPH') parts.ALPH ??= content
  if ((kind !== 'VP8 ' && kind !== 'VP8L') || picturePart(parts) !== undefined) return
  if (!whole) throw incomplete()
  parts[kind] = content
}

function* chunks(bytes: Uint8Array, from: number, meter: StepMeter) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = from; at + 8 <= bytes.length; ) {
    meter.spend(CHUNK, refusal)
    const length = view.getUint32(at + 4, true)
    const content = bytes.subarray(at + 8, Math.min(bytes.length, at + 8 + length))
    yield { kind: fourCharacters(bytes, at), content, whole: content.length === length }
    at += 8 + length + (length & 1)
  }
}

/**
 * @param file its size checked by the caller
 * @param reduction of a lossy one without opacity alone
 * @throws invalid_image, input_too_large
 */
export function* decodeWebp(file: WebpFile, reduction: number, meter: StepMeter): Work<Raster> {
  const { frame, lossy, picture, alpha, width, height } = file
  priceWebp(file, meter)
  yield meter.piece()
  const raster = lossy
    ? yield* lossyRaster(picture, alpha, frame, reduction, meter)
    : overWhite(yield* decodeLossless(picture, meter), frame)
  if (frame.width === width && frame.height === height) return raster
  if (reduction !== 1) throw damaged()
  // What an animation's first picture does not cover is transparent.
  return paste(raster, frame.left, frame.top, width, height, 255)
}

function priceWebp({ width, height, frame, lossy, picture, alpha }: WebpFile, meter: StepMeter): void {
  const pixels = frame.width * frame.height
  let steps = width * height
  if (lossy) {
    steps += Math.ceil(frame.width / 16) * Math.ceil(frame.height / 16) * MACROBLOCK + pixels * LOSSY_PIXEL
    steps += picture.length * LOSSY_BYTE
  }
  if (!lossy || alpha !== undefined) steps += pixels * (LOSSLESS_PIXEL + TRANSFORMED_PIXEL)
  const what = `This WebP (${frame.width} x ${frame.height} pixels, ${picture.length} bytes)`
  meter.require(steps, tooManySteps(what, 'Send a smaller image'))
}

function* lossyRaster(
  picture: Uint8Array,
  alpha: Uint8Array | undefined,
  { width, height }: Size,
  reduction: number,
  meter: StepMeter,
): Work<Raster> {
  const raster = yield* planesToRgb(yield* decodeLossy(picture, meter), reduction, meter)
  if (alpha === undefined) return raster
  if (reduction !== 1) throw damaged()
  const opacity = yield* decodeAlpha(alpha, width, height, meter)
  layOverWhite(raster.data, opacity)
  return raster
}

function layOverWhite(data: Uint8Array, opacity: Uint8Array): void {
  for (let i = 0, at = 0; i < opacity.length; i++) {
    const share = opacity[i] ?? 0
    for (let channel = 0; channel < 3; channel++, at++) data[at] = blended(data[at] ?? 0, share)
  }
}

/** @param pixels with alpha in their highest byte */
function overWhite(pixels: Uint32Array, { width, height }: Size): Raster {
  const data = new Uint8Array(3 * pixels.length)
  for (let i = 0, at = 0; i < pixels.length; i++, at += 3) {
    const pixel = pixels[i] ?? 0
    const share = pixel >>> 24
    data[at] = blended((pixel >>> 16) & 0xff, share)
    data[at + 1] = blended((pixel >>> 8) & 0xff, share)
    data[at + 2] = blended(pixel & 0xff, share)
  }
  return { width, height, channels: 3, data }
}

/** Rounded to the nearest: for products of two bytes, this is division by 255. */
function blended(sample: number, share: number): number {
  if (share === 255) return sample
  const product = sample * share + 255 * (255 - share) + 128
  return (product + (product >> 8)) >> 8
}

function fourCharacters(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0)
}

function u24(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)
}
