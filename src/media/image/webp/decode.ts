import { VergeError } from '../../../core/errors.ts'
import type { Raster } from '../raster.ts'
import { decodeAlpha } from './alpha.ts'
import { damaged, incomplete } from './failures.ts'
import { decodeLossless, losslessSize } from './lossless.ts'
import { decodeLossy } from './lossy.ts'
import { planesToRgb } from './lossy-colour.ts'
import { lossySize } from './lossy-header.ts'

/**
 * WebP, lossy and lossless, with or without opacity, to RGB over white: bit for bit what libwebp, and with it Pillow,
 * makes of it. Written here for the reasons that the JPEG decoder is.
 */
export interface WebpFile {
  readonly width: number
  readonly height: number
  readonly lossy: boolean
  readonly picture: Uint8Array
  readonly alpha: Uint8Array | undefined
  readonly exif: Uint8Array | undefined
}

export function isWebp(bytes: Uint8Array): boolean {
  return fourCharacters(bytes, 0) === 'RIFF' && fourCharacters(bytes, 8) === 'WEBP'
}

/** Finds a file's parts and reads the size from the picture's own header. @throws invalid_image */
export function readWebp(bytes: Uint8Array): WebpFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let picture: Uint8Array | undefined
  let lossy = false
  let alpha: Uint8Array | undefined
  let exif: Uint8Array | undefined
  for (let at = 12; at + 8 <= bytes.length; ) {
    const kind = fourCharacters(bytes, at)
    const length = view.getUint32(at + 4, true)
    const content = bytes.subarray(at + 8, Math.min(bytes.length, at + 8 + length))
    if (kind === 'ANIM' || kind === 'ANMF') {
      throw new VergeError('invalid_image', 'The WebP is animated. Send one of its pictures.')
    }
    if ((kind === 'VP8 ' || kind === 'VP8L') && picture === undefined) {
      if (content.length < length) throw incomplete()
      picture = content
      lossy = kind === 'VP8 '
    } else if (kind === 'ALPH') {
      alpha = content
    } else if (kind === 'EXIF') {
      exif = content
    }
    at += 8 + length + (length & 1)
  }
  if (picture === undefined) throw incomplete()
  const { width, height } = lossy ? lossySize(picture) : losslessSize(picture)
  return { width, height, lossy, picture, alpha, exif }
}

/** @param file its size checked by the caller @param reduction of a lossy one without opacity alone */
export function decodeWebp({ width, height, lossy, picture, alpha }: WebpFile, reduction: number): Raster {
  if (!lossy) return overWhite(decodeLossless(picture), width, height)
  const raster = planesToRgb(decodeLossy(picture), reduction)
  if (alpha === undefined) return raster
  if (reduction !== 1) throw damaged()
  const opacity = decodeAlpha(alpha, width, height)
  const { data } = raster
  for (let i = 0, at = 0; i < opacity.length; i++) {
    const share = opacity[i] ?? 0
    for (let channel = 0; channel < 3; channel++, at++) data[at] = blended(data[at] ?? 0, share)
  }
  return raster
}

function overWhite(pixels: Uint32Array, width: number, height: number): Raster {
  const data = new Uint8Array(3 * pixels.length)
  for (let i = 0, at = 0; i < pixels.length; i++, at += 3) {
    const pixel = pixels[i] ?? 0
    const share = pixel >>> 24
    data[at] = blended((pixel >>> 16) & 0xff, share)
    data[at + 1] = blended((pixel >>> 8) & 0xff, share)
    data[at + 2] = blended(pixel & 0xff, share)
  }
  return { width, height, channels: 3, data }
}

function blended(sample: number, share: number): number {
  return share === 255 ? sample : Math.round((sample * share + 255 * (255 - share)) / 255)
}

function fourCharacters(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4))
}
