import * as z from 'zod'
import type { Manifest } from '../../../catalog/manifest.ts'
import { VergeError } from '../../../core/errors.ts'
import type { Limits } from '../../../core/limits.ts'
import type { StepMeter, Work } from '../../../core/work.ts'
import { base64FromBytes } from '../../../media/base64.ts'
import { maskPng, mostMaskBytes } from '../../../media/image/mask-png.ts'
import { findingRuns, NO_LABEL } from '../../../media/image/mask-runs.ts'
import { refuseMap } from '../../../media/image/planes.ts'
import { encodePng } from '../../../media/image/png-encode.ts'
import { WITH_TARGET } from './map.ts'
import type { Segment, SegmentMap } from './segments.ts'

/** Segments as a caller reads them: a mask of each, or one map of all. */

const png = z.string().meta({ contentEncoding: 'base64', contentMediaType: 'image/png' })

const maskSchema = z.object({
  label: z.string(),
  score: z.number().optional().meta({ description: 'Only of instance and panoptic segmentation' }),
  mask: png.meta({ description: 'PNG in base64: 255 inside the segment, 0 outside' }),
})

const mapSchema = z.object({
  map: png.meta({ description: 'PNG in base64 whose pixels are the `id` of a segment, with a palette' }),
  segments: z.array(
    z.object({
      id: z.number().int(),
      label: z.string(),
      score: z.number().optional(),
      pixels: z.number().int(),
      color: z.string().meta({ description: 'Its colour in the palette, as #rrggbb' }),
    }),
  ),
})

export const segmentsSchema = z.union([z.array(maskSchema), mapSchema]).meta({ id: 'Segments' })
export type Segments = z.infer<typeof segmentsSchema>

/** Indexes of a palette. */
const MOST_INDEXES = 256
/** A piece of a row takes at least this many bytes of the PNG, and 8 while it is held. */
const BYTES_PER_RUN = 8
/** Steps (docs/limits.md): of a piece of a row that is written, and of the repetitions for 64 pixels. */
const RUN = 60
const BYTES_ENCODED = 10

/**
 * Refuses masks that would take more bytes than an answer may have even if each were empty.
 * @param count masks at most
 */
export function checkMasks(width: number, height: number, count: number, { pixelBytes }: Limits): void {
  const masks = Math.min(count, width * height)
  if (masks * mostMaskBytes(width * height, height, 0) > pixelBytes)
    throw tooManyMasks(width, height, masks, pixelBytes)
}

function tooManyMasks(width: number, height: number, masks: number, pixelBytes: number): VergeError {
  return new VergeError(
    'input_too_large',
    `Masks of ${width} x ${height} pixels for up to ${masks} segments may take more than the ${pixelBytes} bytes of an answer. ${WITH_TARGET} Or set "parameters.format" to "map".`,
    { details: { limit_bytes: pixelBytes } },
  )
}

interface Frame {
  readonly width: number
  readonly height: number
}

/** One mask for each segment that has a pixel. @throws input_too_large */
export function* masksOf(
  { map, segments }: SegmentMap,
  { width, height }: Frame,
  manifest: Manifest,
  { pixelBytes }: Limits,
  meter: StepMeter,
): Work<Segments> {
  const tooMany = (): VergeError => tooManyMasks(width, height, segments.length, pixelBytes)
  const mostRuns = Math.floor(pixelBytes / BYTES_PER_RUN)
  const runs = yield* findingRuns(map, width, height, segments.length, { mostRuns, tooMany }, meter)
  const answer: z.infer<typeof maskSchema>[] = []
  let bytes = 0
  for (const [i, segment] of segments.entries()) {
    const pieces = (runs.offsets[i + 1] ?? 0) - (runs.offsets[i] ?? 0)
    if (pieces === 0) continue
    const file = maskPng(runs, i)
    bytes += file.length
    if (bytes > pixelBytes) throw tooMany()
    answer.push({ ...named(segment, manifest), mask: base64FromBytes(file) })
    meter.spend(pieces * RUN + (width * height) / 64 + file.length * BYTES_ENCODED, refuseMap)
    yield meter.piece()
  }
  return answer
}

/** One map of all segments. */
export interface IndexedMap {
  readonly data: Uint8Array
  readonly palette: Uint8Array
  readonly segments: z.infer<typeof mapSchema>['segments']
}

/**
 * The map with a byte for each pixel. Of classes it is the number of the class; else segments count from 1, and 0 is what
 * belongs to none.
 * @throws input_too_large
 */
export function* indexing(
  { map, segments }: SegmentMap,
  { width, height }: Frame,
  manifest: Manifest,
  meter: StepMeter,
): Work<IndexedMap> {
  const areas = new Uint32Array(segments.length)
  let some = false
  for (let i = 0; i < map.length; i++) {
    const number = map[i] ?? NO_LABEL
    if (number === NO_LABEL) some = true
    else areas[number] = (areas[number] ?? 0) + 1
  }
  meter.spend(width * height, refuseMap)
  yield meter.piece()
  const first = some || segments.some(({ score }) => score !== undefined) ? 1 : 0
  const last = areas.findLastIndex((area) => area > 0) + first
  if (last >= MOST_INDEXES) {
    throw new VergeError(
      'unsupported_output',
      `The image has a segment of number ${last}; a map has ${MOST_INDEXES} at most. Set "parameters.format" to "masks".`,
    )
  }
  const data = new Uint8Array(map.length)
  for (let i = 0; i < map.length; i++) {
    const number = map[i] ?? NO_LABEL
    data[i] = number === NO_LABEL ? 0 : number + first
  }
  meter.spend(width * height, refuseMap)
  yield meter.piece()
  const palette = paletteOf(last + 1, first)
  const listed = segments.flatMap((segment, i) => {
    const pixels = areas[i] ?? 0
    const id = i + first
    return pixels === 0 ? [] : [{ id, ...named(segment, manifest), pixels, color: colourOf(palette, id) }]
  })
  return { data, palette, segments: listed }
}

/** @throws nothing of its own */
export async function mapAnswer({ data, palette, segments }: IndexedMap, { width, height }: Frame): Promise<Segments> {
  return { map: base64FromBytes(await encodePng({ width, height, channels: 1, data, palette })), segments }
}

function named({ label, score }: Segment, { labels }: Manifest): { readonly label: string; readonly score?: number } {
  return { label: labels?.[label] ?? `LABEL_${label}`, ...(score !== undefined && { score }) }
}

/** Colours as far apart as can be, by the bits of the number, as PASCAL VOC has them; what belongs to none is black. */
function paletteOf(count: number, first: 0 | 1): Uint8Array {
  const palette = new Uint8Array(3 * count)
  for (let id = first; id < count; id++) {
    for (let bit = 0, rest = id + 1 - first; bit < 8; bit++, rest >>= 3) {
      for (let channel = 0; channel < 3; channel++) {
        palette[3 * id + channel] = (palette[3 * id + channel] ?? 0) | (((rest >> channel) & 1) << (7 - bit))
      }
    }
  }
  return palette
}

function colourOf(palette: Uint8Array, id: number): string {
  return `#${[0, 1, 2].map((channel) => (palette[3 * id + channel] ?? 0).toString(16).padStart(2, '0')).join('')}`
}
