/**
 * A decoded picture: 8-bit samples, row by row from the top, one (grey) or three (red, green, blue) to a pixel.
 * Transparency has been laid over white.
 */
export interface Raster {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3
  readonly data: Uint8Array
}

/** Greyscale by ITU-R 601 luma, in the fixed-point arithmetic that Pillow uses. */
export function toGrey(image: Raster): Raster {
  if (image.channels === 1) return image
  const { width, height, data } = image
  const grey = new Uint8Array(width * height)
  for (let i = 0, at = 0; i < grey.length; i++, at += 3) {
    grey[i] = ((data[at] ?? 0) * 19595 + (data[at + 1] ?? 0) * 38470 + (data[at + 2] ?? 0) * 7471 + 0x8000) >> 16
  }
  return { width, height, channels: 1, data: grey }
}

export function toRgb(image: Raster): Raster {
  if (image.channels === 3) return image
  const { width, height, data } = image
  const rgb = new Uint8Array(3 * width * height)
  for (let i = 0, at = 0; i < data.length; i++, at += 3) {
    const sample = data[i] ?? 0
    rgb[at] = sample
    rgb[at + 1] = sample
    rgb[at + 2] = sample
  }
  return { width, height, channels: 3, data: rgb }
}

/** The part of a picture that begins at (left, top); what lies outside of it is black, as Pillow's crop has it. */
export function crop(image: Raster, left: number, top: number, width: number, height: number): Raster {
  const { channels } = image
  const data = new Uint8Array(width * height * channels)
  for (let y = 0; y < height; y++) {
    const from = y + top
    if (from < 0 || from >= image.height) continue
    const x0 = Math.max(0, -left)
    const x1 = Math.min(width, image.width - left)
    if (x1 <= x0) continue
    const start = (from * image.width + left + x0) * channels
    data.set(image.data.subarray(start, start + (x1 - x0) * channels), (y * width + x0) * channels)
  }
  return { width, height, channels, data }
}

/** A picture of a size with another one, no larger, in it; what is left around it has one grey level. */
export function paste(image: Raster, left: number, top: number, width: number, height: number, grey: number): Raster {
  const { channels } = image
  const data = new Uint8Array(width * height * channels).fill(grey)
  for (let y = 0; y < image.height; y++) {
    const from = y * image.width * channels
    data.set(image.data.subarray(from, from + image.width * channels), ((y + top) * width + left) * channels)
  }
  return { width, height, channels, data }
}

/**
 * Turns a picture the way its EXIF orientation says it is to be seen.
 * @param orientation 1 to 8; anything else leaves the picture as it is
 */
export function orient(image: Raster, orientation: number): Raster {
  if (!(orientation >= 2 && orientation <= 8)) return image
  const { width, height, channels, data } = image
  const transposed = orientation >= 5
  const [outWidth, outHeight] = transposed ? [height, width] : [width, height]
  // Orientation 2, 3: mirrored in x; 3, 4: in y; 5 to 8 the same after transposing.
  const flipX = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8
  const flipY = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7
  const out = new Uint8Array(data.length)
  let at = 0
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const [sx, sy] = transposed ? [y, x] : [x, y]
      const from = ((flipY ? height - 1 - sy : sy) * width + (flipX ? width - 1 - sx : sx)) * channels
      for (let channel = 0; channel < channels; channel++) out[at++] = data[from + channel] ?? 0
    }
  }
  return { width: outWidth, height: outHeight, channels, data: out }
}

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
