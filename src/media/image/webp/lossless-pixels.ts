import type { StepMeter, Work } from '../../../core/work.ts'
import type { BitReader } from '../huffman.ts'
import { damaged } from './failures.ts'
import { type CodeGroup, readGroups, readSymbol } from './lossless-codes.ts'
import { CODE_GROUP, LOSSLESS_PIXEL, refusal } from './steps.ts'
import { NEAR_DISTANCES } from './tables.ts'

/** Pixels of WebP's lossless format, alpha, red, green and blue from the highest byte down. */

const LENGTHS_END = 256 + 24

/** Which codes a part of a picture is written in: by its square. */
interface Parts {
  readonly bits: number
  readonly columns: number
  readonly groups: Uint32Array
}

/**
 * @param whole whether it is the picture itself, which may be written in several codes
 * @throws invalid_image
 */
export function* readPixels(
  reader: BitReader,
  width: number,
  height: number,
  whole: boolean,
  meter: StepMeter,
): Work<Uint32Array> {
  const cacheBits = reader.take(1) === 1 ? reader.take(4) : 0
  if (cacheBits > 11) throw damaged()
  const parts = whole && reader.take(1) === 1 ? yield* readParts(reader, width, height, meter) : undefined
  const count = parts === undefined ? 1 : parts.groups.reduce((most, group) => Math.max(most, group), 0) + 1
  meter.spend(count * CODE_GROUP, refusal)
  const groups = readGroups(reader, count, cacheBits > 0 ? 1 << cacheBits : 0)
  return yield* decodePixels(reader, width, height, groups, parts, cacheBits, meter)
}

function* readParts(reader: BitReader, width: number, height: number, meter: StepMeter): Work<Parts> {
  const bits = reader.take(3) + 2
  const [columns, rows] = [squares(width, bits), squares(height, bits)]
  const pixels = yield* readPixels(reader, columns, rows, false, meter)
  for (let i = 0; i < pixels.length; i++) pixels[i] = ((pixels[i] ?? 0) >>> 8) & 0xffff
  return { bits, columns, groups: pixels }
}

/** How many squares of 2^bits a length takes. */
export function squares(length: number, bits: number): number {
  return (length + (1 << bits) - 1) >> bits
}

const PIXELS_PER_PIECE = 16_384

function* decodePixels(
  reader: BitReader,
  width: number,
  height: number,
  groups: readonly CodeGroup[],
  parts: Parts | undefined,
  cacheBits: number,
  meter: StepMeter,
): Work<Uint32Array> {
  const pixels = new Uint32Array(width * height)
  const cache = new Uint32Array(1 << cacheBits)
  for (let at = 0; at < pixels.length; ) {
    const end = decodeSome(reader, width, groups, parts, cacheBits, { pixels, cache, at })
    meter.spend((end - at) * LOSSLESS_PIXEL, refusal)
    at = end
    yield meter.piece()
  }
  return pixels
}

/** @returns how many pixels there are now; a repetition may run past what was asked for */
function decodeSome(
  reader: BitReader,
  width: number,
  groups: readonly CodeGroup[],
  parts: Parts | undefined,
  cacheBits: number,
  { pixels, cache, at: begin }: { readonly pixels: Uint32Array; readonly cache: Uint32Array; readonly at: number },
): number {
  const enough = Math.min(pixels.length, begin + PIXELS_PER_PIECE)
  const remember = (pixel: number): void => {
    if (cacheBits > 0) cache[Math.imul(0x1e35a7bd, pixel) >>> (32 - cacheBits)] = pixel
  }
  let at = begin
  let x = at % width
  let y = (at - x) / width
  while (at < enough) {
    const part = parts === undefined ? 0 : (parts.groups[(y >> parts.bits) * parts.columns + (x >> parts.bits)] ?? 0)
    const group = groups[part]
    if (group === undefined) throw damaged()
    const symbol = readSymbol(reader, group.green)
    if (symbol >= 256 && symbol < LENGTHS_END) {
      const length = prefixed(reader, symbol - 256)
      const distance = distanceOf(prefixed(reader, readSymbol(reader, group.distance)), width)
      if (distance > at || at + length > pixels.length) throw damaged()
      for (const end = at + length; at < end; at++) {
        const pixel = pixels[at - distance] ?? 0
        pixels[at] = pixel
        remember(pixel)
      }
      x += length
      y += Math.floor(x / width)
      x %= width
      continue
    }
    let pixel: number
    if (symbol < 256) {
      const red = readSymbol(reader, group.red)
      const blue = readSymbol(reader, group.blue)
      const alpha = readSymbol(reader, group.alpha)
      pixel = ((alpha << 24) | (red << 16) | (symbol << 8) | blue) >>> 0
    } else {
      pixel = cache[symbol - LENGTHS_END] ?? 0
    }
    pixels[at++] = pixel
    remember(pixel)
    if (++x === width) {
      x = 0
      y++
    }
  }
  return at
}

/** A number from its prefix and the bits behind it. */
function prefixed(reader: BitReader, prefix: number): number {
  if (prefix < 4) return prefix + 1
  const bits = (prefix - 2) >> 1
  return ((2 + (prefix & 1)) << bits) + takeMany(reader, bits) + 1
}

/** The reader gives sixteen bits at once; a far distance has eighteen. */
function takeMany(reader: BitReader, bits: number): number {
  if (bits <= 16) return reader.take(bits)
  const low = reader.take(16)
  return low | (reader.take(bits - 16) << 16)
}

function distanceOf(code: number, width: number): number {
  if (code > NEAR_DISTANCES.length) return code - NEAR_DISTANCES.length
  const near = NEAR_DISTANCES[code - 1] ?? 0
  return Math.max(1, (near >> 4) * width + 8 - (near & 15))
}
