import { COLOUR, type PngForm, pngFile } from './png-file.ts'

/** PNG of pictures, deflated by the platform. */

/** Samples row by row: one (grey, or an index into the palette), three (RGB) or four (RGBA) to a pixel. */
export interface PngPicture {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3 | 4
  /** Of 16 bits: two bytes a sample, the higher one first. */
  readonly data: Uint8Array
  /** Bits of a sample, by default 8. */
  readonly depth?: 8 | 16
  /** Red, green and blue of each index. Only with one channel of 8 bits. */
  readonly palette?: Uint8Array
}

const COLOUR_OF = { 1: COLOUR.grey, 3: COLOUR.rgb, 4: COLOUR.rgba } as const
const FILTER_UP = 2
const FILTER_NONE = 0

/** @returns the file; as large as the samples at most, and a little */
export async function encodePng(image: PngPicture): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, channels, depth = 8, palette } = image
  const form: PngForm =
    palette === undefined
      ? { width, height, depth, colour: COLOUR_OF[channels] }
      : { width, height, depth: 8, colour: COLOUR.palette, palette }
  return pngFile(form, await deflated(filtered(image)))
}

/** Bytes that are filtered before they are deflated: the rows are never held as a whole beside the picture and the file. */
const PIECE_BYTES = 256 * 1024

/**
 * Rows, some at a time, with the difference to the row above each: cheap, and half the size of none at all for what is
 * continuous. Indexes of a palette are not.
 */
function* filtered(image: PngPicture): Generator<Uint8Array<ArrayBuffer>> {
  const { width, height, channels, depth = 8 } = image
  const rows = Math.max(1, Math.floor(PIECE_BYTES / ((width * channels * depth) / 8 + 1)))
  for (let y = 0; y < height; y += rows) yield filteredRows(image, y, Math.min(height, y + rows))
}

function filteredRows(
  { width, channels, data, depth = 8, palette }: PngPicture,
  first: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  const stride = (width * channels * depth) / 8
  const rows = new Uint8Array((stride + 1) * (end - first))
  for (let y = first, to = 0; y < end; y++) {
    const from = y * stride
    if (y === 0 || palette !== undefined) {
      rows[to++] = FILTER_NONE
      rows.set(data.subarray(from, from + stride), to)
      to += stride
      continue
    }
    rows[to++] = FILTER_UP
    for (let at = from; at < from + stride; at++) rows[to++] = (data[at] ?? 0) - (data[at - stride] ?? 0)
  }
  return rows
}

async function deflated(pieces: Iterable<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new CompressionStream('deflate')
  const writing = writeAll(writable.getWriter(), pieces)
  const [packed] = await Promise.all([new Response(readable).arrayBuffer(), writing])
  return new Uint8Array(packed)
}

async function writeAll(
  writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>,
  pieces: Iterable<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  for (const piece of pieces) await writer.write(piece)
  await writer.close()
}
