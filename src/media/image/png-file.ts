import { concatBytes } from '../../core/bytes.ts'
import { crc32 } from '../../core/crc32.ts'

/** A PNG file (ISO/IEC 15948) around rows that are compressed already. */

/** Colour types, by their numbers in the file. */
export const COLOUR = { grey: 0, rgb: 2, palette: 3, rgba: 6 } as const

export interface PngForm {
  readonly width: number
  readonly height: number
  readonly depth: 8 | 16
  readonly colour: (typeof COLOUR)[keyof typeof COLOUR]
  /** Red, green and blue of each index, where the colour type is a palette. */
  readonly palette?: Uint8Array
}

/** @param compressed the filtered rows as a zlib stream */
export function pngFile(
  { width, height, depth, colour, palette }: PngForm,
  compressed: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header.set([depth, colour, 0, 0, 0], 8)
  return concatBytes([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', header),
    ...(palette === undefined ? [] : [chunk('PLTE', palette)]),
    chunk('IDAT', compressed),
    chunk('IEND', new Uint8Array(0)),
  ])
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(content.length + 12)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, content.length)
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i)
  bytes.set(content, 8)
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(4, -4)))
  return bytes
}
