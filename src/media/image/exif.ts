/** EXIF's orientation, 1 to 8, wherever a picture's format keeps it; 1 where there is none or it cannot be read. */

const ORIENTATION = 0x0112
const SHORT = 3
const LONG = 4
const EXIF_MARK = [0x45, 0x78, 0x69, 0x66, 0, 0]

/** Whether a segment begins as a JPEG's APP1 segment with EXIF does. */
export function isExif(content: Uint8Array): boolean {
  return EXIF_MARK.every((byte, i) => content[i] === byte)
}

/** @param exif a TIFF structure, with JPEG's mark before it or without, as in a WebP's EXIF and a PNG's eXIf chunk */
export function orientationOf(exif: Uint8Array | undefined): number {
  if (exif === undefined) return 1
  return tiffOrientation(isExif(exif) ? exif.subarray(EXIF_MARK.length) : exif)
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
    if (view.getUint16(entry, little) !== ORIENTATION) continue
    const type = view.getUint16(entry + 2, little)
    // Some programs write it in four bytes.
    if (type !== SHORT && type !== LONG) continue
    const value = type === SHORT ? view.getUint16(entry + 8, little) : view.getUint32(entry + 8, little)
    return value >= 1 && value <= 8 ? value : 1
  }
  return 1
}
