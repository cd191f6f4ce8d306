/** Whether a picture is sent as it is, converted, scaled down or refused. Pure: `load-picture.ts` does what is decided here. */
import type { PictureHeader } from './picture-header.ts'
import { sizeInWords } from './size-words.ts'

export interface PictureLimits {
  /** Bytes of a picture in a request. */
  readonly bytes: number
  /** Pixels of a picture in a request. */
  readonly fullPixels: number
  /** Pixels of a picture that the server cannot decode in parts. */
  readonly pixels: number
  /** Bytes of a file that the page opens to scale it down. */
  readonly openedBytes: number
  /** Pixels of a picture that the page opens to scale it down. */
  readonly openedPixels: number
}

export type PicturePlan =
  | { readonly do: 'send' }
  /** Draw it in this size, or in its own if undefined, and write it anew. */
  | { readonly do: 'redraw'; readonly maxPixels: number; readonly why: string }
  | { readonly do: 'refuse'; readonly message: string }

const SENT_AS_IS: readonly string[] = ['PNG', 'JPEG', 'WebP']
/** Largest side that the server decodes. */
const LONGEST_SIDE = 65_535

export function planPicture(
  header: PictureHeader | undefined,
  file: { readonly name: string; readonly bytes: number },
  limits: PictureLimits,
): PicturePlan {
  const { name } = file
  if (file.bytes === 0) return refuse(`The file ${quoted(name)} is empty. Choose another picture.`)
  if (header === undefined) {
    return refuse(`The file ${quoted(name)} is not a picture. Choose a PNG, JPEG or WebP picture.`)
  }
  const { format, size, heldWhole } = header
  if (format === 'SVG' || format === 'TIFF') {
    return refuse(
      `${format} pictures cannot be read here. Save ${quoted(name)} as PNG, JPEG or WebP, and choose that file.`,
    )
  }
  if (file.bytes > limits.openedBytes) {
    return refuse(
      `The file ${quoted(name)} has ${sizeInWords(file.bytes)}; this page opens pictures of at most ${sizeInWords(limits.openedBytes)}. Save it smaller, and choose that file.`,
    )
  }
  const pixels = size === undefined ? undefined : size.width * size.height
  if (pixels !== undefined && pixels > limits.openedPixels) {
    return refuse(
      `The picture has ${dimensions(size)} pixels; this page opens pictures of at most ${millions(limits.openedPixels)} million pixels. Scale it down, and choose the smaller file.`,
    )
  }
  if (pixels === 0) return refuse(`The picture ${quoted(name)} has no pixels. Choose another picture.`)
  const redraw = (why: string): PicturePlan => ({ do: 'redraw', maxPixels: limits.pixels, why })
  if (!SENT_AS_IS.includes(format)) return redraw(`Models take no ${format} pictures`)
  if (file.bytes > limits.bytes) {
    return redraw(`The file has ${sizeInWords(file.bytes)}, and a request may have ${sizeInWords(limits.bytes)}`)
  }
  const most = heldWhole ? limits.pixels : format === 'WebP' ? limits.fullPixels / 2 : limits.fullPixels
  if (pixels !== undefined && pixels > most) {
    return redraw(
      `The picture has ${dimensions(size)} pixels, and a ${format} like this one may have ${millions(most)} million`,
    )
  }
  if (size !== undefined && Math.max(size.width, size.height) > LONGEST_SIDE) {
    return redraw(`A side of the picture has more than ${LONGEST_SIDE} pixels`)
  }
  return { do: 'send' }
}

/** The size of a picture with at most so many pixels, in the same shape. Never larger than it is. */
export function sizeWithin(
  { width, height }: { readonly width: number; readonly height: number },
  maxPixels: number,
): { readonly width: number; readonly height: number } {
  const scale = Math.min(1, Math.sqrt(maxPixels / (width * height)))
  return { width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale)) }
}

function refuse(message: string): PicturePlan {
  return { do: 'refuse', message }
}

function quoted(name: string): string {
  const short = name.length > 60 ? `${name.slice(0, 57)}...` : name
  return short === '' ? 'that you chose' : `"${short}"`
}

function dimensions(size: { readonly width: number; readonly height: number } | undefined): string {
  return size === undefined ? '' : `${size.width} × ${size.height}`
}

function millions(pixels: number): string {
  return `${Math.round(pixels / 100_000) / 10}`
}
