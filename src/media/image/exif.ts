import { segments } from './jpeg/segments.ts'

const APP1 = 0xe1
const SOS = 0xda
const ORIENTATION = 0x0112
const SHORT = 3

/** The EXIF orientation of a JPEG, 1 to 8; 1 where there is none or it cannot be read. */
export function jpegOrientation(bytes: Uint8Array): number {
  for (const { marker, content } of segments(bytes, 2)) {
    if (marker === SOS) break
    if (marker === APP1 && isExif(content)) return tiffOrientation(content.subarray(EXIF_MARK.length))
  }
  return 1
}

/** Orientation as a WebP says it: in a TIFF structure, with JPEG's mark before it or without. */
export function webpOrientation(exif: Uint8Array | undefined): number {
  if (exif === undefined) return 1
  return tiffOrientation(isExif(exif) ? exif.subarray(EXIF_MARK.length) : exif)
}

const EXIF_MARK = 'Exif\0\0'

function isExif(content: Uint8Array): boolean {
  return String.fromCharCode(...content.subarray(0, EXIF_MARK.length)) === EXIF_MARK
}

/** From the first image file directory of a TIFF structure. */
function tiffOrientation(tiff: Uint8Array): number {
  if (tiff.length < 8) return 1
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength)
  const little = view.getUint16(0) === 0x4949
  if (!little && view.getUint16(0) !== 0x4d4d) return 1
  const directory = view.getUint32(4, little)
  if (directory + 2 > tiff.length) return 1
  const entries = view.getUint16(directory, little)
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i
    if (entry + 12 > tiff.length) return 1
    if (view.getUint16(entry, little) !== ORIENTATION || view.getUint16(entry + 2, little) !== SHORT) continue
    const value = view.getUint16(entry + 8, little)
    return value >= 1 && value <= 8 ? value : 1
  }
  return 1
}
