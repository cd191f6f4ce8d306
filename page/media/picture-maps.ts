/** Answers of tasks that say something of each pixel, as far as they are what the panels show. Pure. */
import type { PictureSize } from './boxes.ts'
import { isNumber, isRecord, listOf } from './read-answer.ts'

export interface MapSegment {
  readonly label: string
  /** Undefined where the model scores no segments. */
  readonly score: number | undefined
  /** Pixels of the map. */
  readonly pixels: number
  readonly color: string
}

export interface SegmentMap {
  /** A PNG with a palette. */
  readonly map: Blob
  /** The largest first. */
  readonly segments: readonly MapSegment[]
}

export interface DepthMap {
  readonly depth: Blob
  readonly minimum: number
  readonly maximum: number
}

export function segmentMapIn(output: unknown): SegmentMap | undefined {
  if (!isRecord(output)) return undefined
  const map = pngIn(output.map)
  const segments = listOf(output.segments, (item) => {
    if (!isRecord(item)) return undefined
    const { label, score, pixels, color } = item
    if (typeof label !== 'string' || !isNumber(pixels) || typeof color !== 'string') return undefined
    if (!/^#[0-9a-f]{6}$/.test(color)) return undefined
    return { label, score: isNumber(score) ? score : undefined, pixels, color }
  })
  return map && segments && { map, segments: [...segments].sort((a, b) => b.pixels - a.pixels) }
}

export function depthIn(output: unknown): DepthMap | undefined {
  if (!isRecord(output)) return undefined
  const depth = pngIn(output.depth)
  const { minimum, maximum } = output
  return depth && isNumber(minimum) && isNumber(maximum) ? { depth, minimum, maximum } : undefined
}

function pngIn(value: unknown): Blob | undefined {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]+=*$/.test(value)) return undefined
  return new Blob([Uint8Array.from(atob(value), (character) => character.charCodeAt(0))], { type: 'image/png' })
}

/** More pixels of an answer than a screen shows of it. */
const SHOWN_PIXELS = 1_000_000

/** Asks for an answer in a smaller size than the picture's where nobody would see the difference. */
export function shownSize({ width, height }: PictureSize): { readonly target_size?: PictureSize } {
  const scale = Math.sqrt(SHOWN_PIXELS / (width * height))
  if (scale >= 1) return {}
  const side = (length: number): number => Math.max(1, Math.round(length * scale))
  return { target_size: { width: side(width), height: side(height) } }
}
