import { concatBytes } from '../src/core/bytes.ts'

export interface PngKind {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colour: number
  readonly interlaced?: boolean
}

/**
 * A PNG file, apart from the encoder in `src`.
 * @param data the compressed rows
 * @param extra chunks between header and data
 */
export function png(kind: PngKind, data: Uint8Array, extra: readonly Uint8Array[] = []): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, kind.width)
  view.setUint32(4, kind.height)
  header.set([kind.depth, kind.colour, 0, 0, kind.interlaced ? 1 : 0], 8)
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
  const end = pngChunk('IEND', new Uint8Array(0))
  return concatBytes([signature, pngChunk('IHDR', header), ...extra, pngChunk('IDAT', data), end])
}

/** A chunk without its checksum, which decoders of pictures do not read. */
export function pngChunk(type: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12 + content.length)
  new DataView(bytes.buffer).setUint32(0, content.length)
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i)
  bytes.set(content, 8)
  return bytes
}

/** An 8-bit grey PNG. `padding` adds that many zero bytes to the uncompressed data, behind the picture. */
export async function greyPng(
  width: number,
  height: number,
  pixels: Uint8Array,
  padding = 0,
): Promise<Uint8Array<ArrayBuffer>> {
  const rows = new Uint8Array((width + 1) * height + padding)
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1)
  const compressed = new Response(new Response(rows).body?.pipeThrough(new CompressionStream('deflate')))
  return png({ width, height, depth: 8, colour: 0 }, new Uint8Array(await compressed.arrayBuffer()))
}
