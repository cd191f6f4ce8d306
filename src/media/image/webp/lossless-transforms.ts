import type { BitReader } from '../huffman.ts'
import { readPixels, squares } from './lossless-pixels.ts'

/** What a lossless picture's pixels went through before they were written, to be undone. */
export type Transform =
  | { readonly kind: 'predict' | 'colour'; readonly bits: number; readonly width: number; readonly data: Uint32Array }
  | { readonly kind: 'green' }
  | { readonly kind: 'palette'; readonly bits: number; readonly width: number; readonly colours: Uint32Array }

/** @param width of the pixels before the transform @returns the transform, and their width after it */
export function readTransform(
  reader: BitReader,
  kind: number,
  width: number,
  height: number,
): { transform: Transform; width: number } {
  if (kind === 2) return { transform: { kind: 'green' }, width }
  if (kind === 3) {
    const count = reader.take(8) + 1
    const colours = new Uint32Array(256)
    colours.set(readPixels(reader, count, 1, false))
    for (let i = 1; i < count; i++) colours[i] = added(colours[i] ?? 0, colours[i - 1] ?? 0)
    const bits = count <= 2 ? 3 : count <= 4 ? 2 : count <= 16 ? 1 : 0
    return { transform: { kind: 'palette', bits, width, colours }, width: squares(width, bits) }
  }
  const bits = reader.take(3) + 2
  const data = readPixels(reader, squares(width, bits), squares(height, bits), false)
  return { transform: { kind: kind === 0 ? 'predict' : 'colour', bits, width, data }, width }
}

/** @returns the same pixels, or new ones where there become more of them */
export function undo(transform: Transform, pixels: Uint32Array, height: number): Uint32Array {
  switch (transform.kind) {
    case 'green':
      addGreen(pixels)
      return pixels
    case 'colour':
      addColours(pixels, transform.width, transform.bits, transform.data)
      return pixels
    case 'predict':
      addPredicted(pixels, transform.width, transform.bits, transform.data)
      return pixels
    case 'palette':
      return looked(pixels, transform.width, height, transform.bits, transform.colours)
  }
}

/** Byte by byte, without carrying. */
function added(a: number, b: number): number {
  const high = ((a & 0xff00ff00) >>> 0) + ((b & 0xff00ff00) >>> 0)
  return ((high & 0xff00ff00) | (((a & 0xff00ff) + (b & 0xff00ff)) & 0xff00ff)) >>> 0
}

function addGreen(pixels: Uint32Array): void {
  for (let i = 0; i < pixels.length; i++) {
    const pixel = pixels[i] ?? 0
    const green = (pixel >>> 8) & 0xff
    pixels[i] = ((pixel & 0xff00ff00) | (((pixel & 0xff00ff) + ((green << 16) | green)) & 0xff00ff)) >>> 0
  }
}

function addColours(pixels: Uint32Array, width: number, bits: number, data: Uint32Array): void {
  const columns = squares(width, bits)
  for (let i = 0, x = 0, y = 0; i < pixels.length; i++) {
    const factors = data[(y >> bits) * columns + (x >> bits)] ?? 0
    const pixel = pixels[i] ?? 0
    const green = toSigned(pixel >>> 8)
    const red = ((pixel >>> 16) + share(factors, green)) & 0xff
    const blue = (pixel + share(factors >>> 8, green) + share(factors >>> 16, toSigned(red))) & 0xff
    pixels[i] = ((pixel & 0xff00ff00) | (red << 16) | blue) >>> 0
    if (++x === width) {
      x = 0
      y++
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

function looked(pixels: Uint32Array, width: number, height: number, bits: number, colours: Uint32Array): Uint32Array {
  const packed = squares(width, bits)
  const size = 8 >> bits
  const mask = (1 << size) - 1
  const out = bits === 0 ? pixels : new Uint32Array(width * height)
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const green = (pixels[y * packed + (x >> bits)] ?? 0) >>> 8
      out[to] = colours[(green >>> (size * (x & ((1 << bits) - 1)))) & mask] ?? 0
    }
  }
  return out
}

function addPredicted(pixels: Uint32Array, width: number, bits: number, data: Uint32Array): void {
  const columns = squares(width, bits)
  const height = pixels.length / width
  for (let y = 0, i = 0; y < height; y++) {
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
      return byChannel((shift) => at(left, shift) + at(above, shift) - at(corner, shift))
    case 13: {
      const middle = mean(left, above)
      return byChannel((shift) => at(middle, shift) + Math.trunc((at(middle, shift) - at(corner, shift)) / 2))
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

function byChannel(value: (shift: number) => number): number {
  let pixel = 0
  for (let shift = 0; shift < 32; shift += 8) pixel |= Math.min(255, Math.max(0, value(shift))) << shift
  return pixel >>> 0
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
