import { crc32, deflateSync } from 'node:zlib'

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
const DEPTH_8 = 8
const COLOUR_GREY = 0
const FILTER_NONE = 0

/** Writes an 8-bit grey PNG. @param pixels row by row, 0 black to 255 white */
export function encodeGreyPng(width: number, height: number, pixels: Uint8Array): Uint8Array<ArrayBuffer> {
  if (pixels.length !== width * height) throw new RangeError(`${width} x ${height} needs ${width * height} pixels`)
  const header = new DataView(new ArrayBuffer(13))
  header.setUint32(0, width)
  header.setUint32(4, height)
  header.setUint8(8, DEPTH_8)
  header.setUint8(9, COLOUR_GREY)
  const rows = new Uint8Array((width + 1) * height)
  for (let row = 0; row < height; row++) {
    rows[row * (width + 1)] = FILTER_NONE
    rows.set(pixels.subarray(row * width, (row + 1) * width), row * (width + 1) + 1)
  }
  const chunks = [
    SIGNATURE,
    chunk('IHDR', new Uint8Array(header.buffer)),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', new Uint8Array(0)),
  ]
  const png = new Uint8Array(chunks.reduce((total, part) => total + part.length, 0))
  let offset = 0
  for (const part of chunks) {
    png.set(part, offset)
    offset += part.length
  }
  return png
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, data.length)
  bytes.set(new TextEncoder().encode(type), 4)
  bytes.set(data, 8)
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)))
  return bytes
}
