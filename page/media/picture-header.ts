/** What a picture's first bytes say, before anything is decoded. Pure. */

export type PictureFormat = 'PNG' | 'JPEG' | 'WebP' | 'GIF' | 'BMP' | 'AVIF' | 'HEIC' | 'TIFF' | 'SVG'

export interface PictureHeader {
  readonly format: PictureFormat
  /** As the file has it, before it is turned by EXIF. Undefined where the first bytes do not say. */
  readonly size: { readonly width: number; readonly height: number } | undefined
  /** The server has to hold all of it to decode it: interlaced, lossless or transparent. */
  readonly heldWhole: boolean
}

/** @param bytes the beginning of a file; undefined if it is no picture */
export function pictureHeader(bytes: Uint8Array): PictureHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = (at: number, length: number): string => String.fromCharCode(...bytes.subarray(at, at + length))
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return png(view)
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return { format: 'JPEG', size: jpegSize(view), heldWhole: false }
  if (text(0, 4) === 'RIFF' && text(8, 4) === 'WEBP') return webp(view, text(12, 4))
  if (text(0, 4) === 'GIF8') return { format: 'GIF', size: sizeAt(view, 6, 8, 2), heldWhole: false }
  if (text(0, 2) === 'BM') return { format: 'BMP', size: sizeAt(view, 18, 22, 4), heldWhole: false }
  if (text(0, 4) === 'II*\0' || text(0, 4) === 'MM\0*') return { format: 'TIFF', size: undefined, heldWhole: false }
  if (text(4, 4) === 'ftyp') return byBrand(text(8, 4))
  if (/^\s*(?:<\?xml|<!--|<svg)/i.test(text(0, 256)) && /<svg/i.test(text(0, 4096))) {
    return { format: 'SVG', size: undefined, heldWhole: false }
  }
  return undefined
}

function byBrand(brand: string): PictureHeader | undefined {
  if (brand === 'avif' || brand === 'avis') return { format: 'AVIF', size: undefined, heldWhole: false }
  return /^(?:hei|hev|mif1)/.test(brand) ? { format: 'HEIC', size: undefined, heldWhole: false } : undefined
}

function png(view: DataView): PictureHeader {
  if (view.byteLength < 29) return { format: 'PNG', size: undefined, heldWhole: false }
  return {
    format: 'PNG',
    size: { width: view.getUint32(16), height: view.getUint32(20) },
    heldWhole: view.getUint8(28) === 1,
  }
}

function sizeAt(view: DataView, width: number, height: number, bytes: 2 | 4): PictureHeader['size'] {
  if (view.byteLength < height + bytes) return undefined
  const read = (at: number): number => (bytes === 2 ? view.getUint16(at, true) : Math.abs(view.getInt32(at, true)))
  return { width: read(width), height: read(height) }
}

/** By the first frame header among the segments; undefined where none lies in these bytes. */
function jpegSize(view: DataView): PictureHeader['size'] {
  let at = 2
  while (at + 9 <= view.byteLength) {
    if (view.getUint8(at) !== 0xff) return undefined
    const marker = view.getUint8(at + 1)
    // Fill bytes, and markers without content.
    if (marker === 0xff) at += 1
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) }
    } else at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

function webp(view: DataView, chunk: string): PictureHeader {
  const lossless = { format: 'WebP', size: undefined, heldWhole: true } as const
  if (view.byteLength < 30) return lossless
  if (chunk === 'VP8 ') {
    const size = { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff }
    return { format: 'WebP', size, heldWhole: false }
  }
  if (chunk === 'VP8L') {
    const bits = view.getUint32(21, true)
    return { ...lossless, size: { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 } }
  }
  if (chunk === 'VP8X') {
    const side = (at: number): number => view.getUint16(at, true) + (view.getUint8(at + 2) << 16) + 1
    return { ...lossless, size: { width: side(24), height: side(27) } }
  }
  return lossless
}
