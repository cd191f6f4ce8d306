/** Opens a picture as a browser can, and makes of it what a request may have. */
import { type PictureLimits, planPicture, sizeWithin } from './fit-picture.ts'
import { type PictureFormat, pictureHeader } from './picture-header.ts'

export interface Picture {
  /** As it is sent. */
  readonly blob: Blob
  readonly name: string
  /** As it is to be seen: boxes count these pixels. */
  readonly width: number
  readonly height: number
  /** What was done to it, for whoever chose it. */
  readonly note?: string | undefined
}

/** What was made of a file, or why nothing was: what is wrong, then what to do. */
export type Loaded<T> = { readonly ok: T } | { readonly problem: string }

/** Bytes that a header is looked for in: a telephone's JPEG has a small picture and notes of its maker in front. */
const HEADER_BYTES = 512 * 1024
const JPEG_QUALITY = 0.92

const TYPES: Readonly<Partial<Record<PictureFormat, string>>> = {
  PNG: 'image/png',
  JPEG: 'image/jpeg',
  WebP: 'image/webp',
}

export async function loadPicture(file: Blob, name: string, limits: PictureLimits): Promise<Loaded<Picture>> {
  let beginning: Uint8Array
  try {
    beginning = new Uint8Array(await file.slice(0, HEADER_BYTES).arrayBuffer())
  } catch {
    return { problem: `The file "${name}" cannot be read any more. Choose it again.` }
  }
  const header = pictureHeader(beginning)
  const plan = planPicture(header, { name, bytes: file.size }, limits)
  if (plan.do === 'refuse') return { problem: plan.message }
  const format = header?.format ?? 'PNG'
  const type = TYPES[format]
  // The type follows the bytes: the name of a file may lie.
  const typed = type === undefined || file.type === type ? file : new Blob([file], { type })
  // Unlike an image element, it refuses a picture of which a part is missing.
  const image = await createImageBitmap(typed).catch(() => undefined)
  if (image === undefined) {
    return {
      problem:
        type === undefined
          ? `This browser cannot open ${format} pictures. Save "${name}" as PNG, JPEG or WebP, and choose that file.`
          : `The picture "${name}" is damaged or incomplete. Choose another one.`,
    }
  }
  try {
    const { width, height } = image
    if (plan.do === 'send') return { ok: { blob: typed, name, width, height } }
    if (width * height > limits.openedPixels) {
      return {
        problem: `The picture has ${width} × ${height} pixels, more than this page opens. Choose a smaller one.`,
      }
    }
    const size = sizeWithin({ width, height }, plan.maxPixels)
    const photo = format === 'JPEG' || format === 'HEIC' || format === 'AVIF'
    const blob = await redrawn(image, size, photo ? 'image/jpeg' : 'image/png', limits.bytes)
    if (blob === undefined)
      return { problem: `The picture "${name}" cannot be scaled down here. Choose a smaller one.` }
    const made = blob.type === 'image/jpeg' ? 'JPEG' : 'PNG'
    const scaled = size.width !== width || size.height !== height
    const what = scaled
      ? `It was scaled down from ${width} × ${height} to ${size.width} × ${size.height} pixels, and is sent as ${made}.`
      : `It was converted, and is sent as ${made}.`
    return { ok: { blob, name, ...size, note: `${plan.why}. ${what}` } }
  } finally {
    image.close()
  }
}

async function redrawn(
  image: CanvasImageSource,
  { width, height }: { readonly width: number; readonly height: number },
  type: string,
  maxBytes: number,
): Promise<Blob | undefined> {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  const pen = canvas.getContext('2d')
  if (pen === null) return undefined
  // As the server does it with what is transparent.
  pen.fillStyle = '#ffffff'
  pen.fillRect(0, 0, width, height)
  pen.imageSmoothingQuality = 'high'
  pen.drawImage(image, 0, 0, width, height)
  for (const one of type === 'image/png' ? ['image/png', 'image/jpeg'] : [type]) {
    const blob = await canvasBlob(canvas, one)
    if (blob !== undefined && blob.size <= maxBytes) return blob
  }
  return undefined
}

export function canvasBlob(canvas: HTMLCanvasElement, type = 'image/png'): Promise<Blob | undefined> {
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? undefined), type, JPEG_QUALITY))
}
