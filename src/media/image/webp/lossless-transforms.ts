import type { StepMeter, Work } from '../../../core/work.ts'
import type { BitReader } from '../huffman.ts'
import { readPixels, squares } from './lossless-pixels.ts'
import { refusal, TRANSFORMED_PIXEL } from './steps.ts'

/** What a lossless picture's pixels went through before they were written, to be undone. */
export type Transform =
  | { readonly kind: 'predict' | 'colour'; readonly bits: number; readonly width: number; readonly data: Uint32Array }
  | { readonly kind: 'green' }
  | { readonly kind: 'palette'; readonly bits: number; readonly width: number; readonly colours: Uint32Array }

/** @param width of the pixels before the transform @returns the transform, and their width after it */
export function* readTransform(
  reader: BitReader,
  kind: number,
  width: number,
  height: number,
  meter: StepMeter,
): Work<{ transform: Transform; width: number }> {
  if (kind === 2) return { transform: { kind: 'green' }, width }
  if (kind === 3) {
    const count = reader.take(8) + 1
    const colours = new Uint32Array(256)
    colours.set(yield* readPixels(reader, count, 1, false, meter))
    for (let i = 1; i < count; i++) colours[i] = added(colours[i] ?? 0, colours[i - 1] ?? 0)
    const bits = count <= 2 ? 3 : count <= 4 ? 2 : count <= 16 ? 1 : 0
    return { transform: { kind: 'palette', bits, width, colours }, width: squares(width, bits) }
  }
  const bits = reader.take(3) + 2
  const data = yield* readPixels(reader, squares(width, bits), squares(height, bits), false, meter)
  return { transform: { kind: kind === 0 ? 'predict' : 'colour', bits, width, data }, width }
}

/** Rows that are undone between two pieces of work. */
const ROWS_PER_PIECE = 64

/** @returns the same pixels, or new ones where there become more of them */
export function* undo(
  transform: Transform,
  pixels: Uint32Array,
  columns: number,
  height: number,
  meter: StepMeter,
): Work<Uint32Array> {
  const width = transform.kind === 'green' ? columns : transform.width
  const packed = transform.kind === 'palette' && transform.bits > 0
  const out = packed ? new Uint32Array(width * height) : pixels
  for (let top = 0; top < height; top += ROWS_PER_PIECE) {
    const bottom = Math.min(height, top + ROWS_PER_PIECE)
    if (transform.kind === 'green') addGreen(pixels, top * width, bottom * width)
    else if (transform.kind === 'palette') lookUp(pixels, transform, out, top, bottom)
    else if (transform.kind === 'colour') addColours(pixels, transform, top, bottom)
    else addPredicted(pixels, transform, top, bottom)
    meter.spend((bottom - top) * width * TRANSFORMED_PIXEL, refusal)
    yield meter.piece()
  }
  return out
}

/** Byte by byte, without carrying. */
function added(a: number, b: number): number {
  const high = ((a & 0xff00ff00) >>> 0) + ((b & 0xff00ff00) >>> 0)
  return ((high & 0xff00ff00) | (((a & 0xff00ff) + (b & 0xff00ff)) & 0xff00ff)) >>> 0
}

function addGreen(pixels: Uint32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const pixel = pixels[i] ?? 0
    const green = (pixel >>> 8) & 0xff
    pixels[i] = ((pixel & 0xff00ff00) | (((pixel & 0xff00ff) + ((green << 16) | green)) & 0xff00ff)) >>> 0
  }
}

type Squared = Extract<Transform, { kind: 'predict' | 'colour' }>

function addColours(pixels: Uint32Array, { width, bits, data }: Squared, top: number, bottom: number): void {
  const columns = squares(width, bits)
  for (let y = top, i = top * width; y < bottom; y++) {
    for (let x = 0; x < width; x++, i++) {
      const factors = data[(y >> bits) * columns + (x >> bits)] ?? 0
      const pixel = pixels[i] ?? 0
      const green = toSigned(pixel >>> 8)
      const red = ((pixel >>> 16) + share(factors, green)) & 0xff
      const blue = (pixel + share(factors >>> 8, green) + share(factors >>> 16, toSigned(red))) & 0xff
      pixels[i] = ((pixel & 0xff00ff00) | (red << 16) | blue) >>> 0
    }
  }
}

function toSigned(byte: number): number {
  return (byte << 24) >> 24
}

/** A part of another colour, in 32ths. */
function share(factor: number, colour: number): number {
  return (toSigned(factor) * colour) >> 5
}

type Palette = Extract<Transform, { kind: 'palette' }>

function lookUp(pixels: Uint32Array, palette: Palette, out: Uint32Array, top: number, bottom: number): void {
  const { width, bits, colours } = palette
  const packed = squares(width, bits)
  const size = 8 >> bits
  const mask = (1 << size) - 1
  for (let y = top, to = top * width; y < bottom; y++) {
    for (let x = 0; x < width; x++, to++) {
      const green = (pixels[y * packed + (x >> bits)] ?? 0) >>> 8
      out[to] = colours[(green >>> (size * (x & ((1 << bits) - 1)))) & mask] ?? 0
    }
  }
}

function addPredicted(pixels: Uint32Array, { width, bits, data }: Squared, top: number, bottom: number): void {
  const columns = squares(width, bits)
  for (let y = top, i = top * width; y < bottom; y++) {
    for (let x = 0; x < width; x++, i++) {
      let predicted: number
      if (y === 0) predicted = x === 0 ? 0xff000000 : (pixels[i - 1] ?? 0)
      else if (x === 0) predicted = pixels[i - width] ?? 0
      else {
        const mode = ((data[(y >> bits) * columns + (x >> bits)] ?? 0) >>> 8) & 15
        predicted = prediction(mode, pixels, i, width)
      }
      pixels[i] = added(pixels[i] ?? 0, predicted)
    }
  }
}

/** By the pixels to the left, above, and above to the right, which of the last column is the first of its own row. */
function prediction(mode: number, pixels: Uint32Array, i: number, width: number): number {
  const left = pixels[i - 1] ?? 0
  const above = pixels[i - width] ?? 0
  const corner = pixels[i - width - 1] ?? 0
  const beyond = pixels[i - width + 1] ?? 0
  switch (mode) {
    case 1:
      return left
    case 2:
      return above
    case 3:
      return beyond
    case 4:
      return corner
    case 5:
      return mean(mean(left, beyond), above)
    case 6:
      return mean(left, corner)
    case 7:
      return mean(left, above)
    case 8:
      return mean(corner, above)
    case 9:
      return mean(above, beyond)
    case 10:
      return mean(mean(left, corner), mean(above, beyond))
    case 11:
      return nearer(left, above, corner)
    case 12:
      return (
        (full(left >>> 24, above >>> 24, corner >>> 24) << 24) |
        (full(at(left, 16), at(above, 16), at(corner, 16)) << 16) |
        (full(at(left, 8), at(above, 8), at(corner, 8)) << 8) |
        full(left & 0xff, above & 0xff, corner & 0xff)
      )
    case 13: {
      const middle = mean(left, above)
      return (
        (half(middle >>> 24, corner >>> 24) << 24) |
        (half(at(middle, 16), at(corner, 16)) << 16) |
        (half(at(middle, 8), at(corner, 8)) << 8) |
        half(middle & 0xff, corner & 0xff)
      )
    }
    default:
      return 0xff000000
  }
}

function mean(a: number, b: number): number {
  return ((((a ^ b) & 0xfefefefe) >>> 1) + (a & b)) >>> 0
}

function at(pixel: number, shift: number): number {
  return (pixel >>> shift) & 0xff
}

function full(left: number, above: number, corner: number): number {
  return byte(left + above - corner)
}

function half(middle: number, corner: number): number {
  const difference = middle - corner
  // Halved towards zero.
  return byte(middle + ((difference + (difference >>> 31)) >> 1))
}

function byte(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value
}

/** Whichever of two the sum of both less the corner is nearer to. */
function nearer(left: number, above: number, corner: number): number {
  let toLeft = 0
  let toAbove = 0
  for (let shift = 0; shift < 32; shift += 8) {
    toLeft += Math.abs(at(above, shift) - at(corner, shift))
    toAbove += Math.abs(at(left, shift) - at(corner, shift))
  }
  return toLeft < toAbove ? left : above
}
