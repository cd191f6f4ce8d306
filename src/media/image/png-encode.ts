import { concatBytes } from '../../core/bytes.ts'
import type { Raster } from './raster.ts'

/** PNG (ISO/IEC 15948) of 8-bit grey or RGB, deflated by the platform. */

const GREY = 0
const RGB = 2
const FILTER_UP = 2
const FILTER_NONE = 0

/** @returns the file; as large as the samples at most, and a little */
export async function encodePng(image: Raster): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, channels } = image
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header.set([8, channels === 1 ? GREY : RGB, 0, 0, 0], 8)
  const data = await deflated(filtered(image))
  return concatBytes([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', header),
    chunk('IDAT', data),
    chunk('IEND', new Uint8Array(0)),
  ])
}

/** Rows with the difference to the row above each: cheap, and half the size of none at all for what is continuous. */
function filtered({ width, height, channels, data }: Raster): Uint8Array<ArrayBuffer> {
  const stride = width * channels
  const rows = new Uint8Array((stride + 1) * height)
  for (let y = 0, to = 0; y < height; y++) {
    rows[to++] = y === 0 ? FILTER_NONE : FILTER_UP
    for (let x = 0, from = y * stride; x < stride; x++, from++) {
      rows[to++] = (data[from] ?? 0) - (y === 0 ? 0 : (data[from - stride] ?? 0))
    }
  }
  return rows
}

async function deflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Response(bytes).body?.pipeThrough(new CompressionStream('deflate'))
  return new Uint8Array(await new Response(packed).arrayBuffer())
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

let crcTable: Uint32Array | undefined

function crc32(bytes: Uint8Array): number {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
    return value
  })
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
  return ~crc >>> 0
}
