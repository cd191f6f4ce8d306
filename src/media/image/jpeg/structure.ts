import { VergeError } from '../../../core/errors.ts'
import { type StepMeter, tooManySteps } from '../../../core/work.ts'
import { isExif, orientationOf } from '../raster.ts'
import { incomplete } from './entropy.ts'
import { type Reduction, sideOf } from './frame.ts'
import { type FrameHeader, isFrameHeader, readFrameHeader, readScanHeader, type ScanHeader } from './header.ts'
import { segments } from './segments.ts'
import { dataByte, PIXEL, refusal, SCAN, SEGMENT, transformSteps, visitSteps } from './steps.ts'

/** What a JPEG's segments say, before anything is decoded. */
export interface JpegStructure {
  readonly bytes: Uint8Array
  readonly frame: FrameHeader
  /** EXIF's, 1 to 8. */
  readonly orientation: number
  readonly scans: readonly ScanHeader[]
}

const APP1 = 0xe1
const SOS = 0xda
const EOI = 0xd9

/**
 * Reads all segments' headers.
 * @param maxScans of a picture
 * @throws invalid_image, input_too_large
 */
export function readStructure(bytes: Uint8Array, maxScans: number, meter: StepMeter): JpegStructure {
  let frame: FrameHeader | undefined
  let orientation: number | undefined
  const scans: ScanHeader[] = []
  for (const { marker, content } of segments(bytes, 2)) {
    meter.spend(SEGMENT, refusal)
    if (marker === EOI) break
    if (marker === SOS) {
      if (frame === undefined) break
      if (scans.length >= maxScans) throw manyScans(frame, maxScans)
      scans.push(readScanHeader(content, frame))
    } else if (marker === APP1 && scans.length === 0 && isExif(content)) {
      orientation ??= orientationOf(content)
    } else if (isFrameHeader(marker)) {
      frame ??= readFrameHeader(marker, content)
    }
  }
  if (frame === undefined) {
    throw new VergeError('invalid_image', 'The JPEG has no frame header. Send the whole file.')
  }
  if (scans.length === 0) throw incomplete()
  return { bytes, frame, orientation: orientation ?? 1, scans }
}

function manyScans({ width, height }: FrameHeader, most: number): VergeError {
  return new VergeError(
    'input_too_large',
    `The JPEG (${width} x ${height} pixels) has more than ${most} scans. Save it again with fewer, or as a baseline JPEG.`,
    { details: { limit_scans: most } },
  )
}

/** Refuses a picture that takes too long, by its pixels, its scans and its bytes. @throws input_too_large */
export function checkDecodingSteps(
  { bytes, frame, scans }: JpegStructure,
  reduction: Reduction,
  meter: StepMeter,
): void {
  const { width, height, specs, progressive, arithmetic } = frame
  const counted = blocksOf(frame, reduction)
  let steps = Math.ceil(width / reduction) * Math.ceil(height / reduction) * PIXEL
  if (!arithmetic) steps += bytes.length * dataByte(progressive)
  if (progressive) for (const { blocks, side } of counted) steps += blocks * transformSteps(side)
  for (const scan of scans) {
    steps += SCAN
    for (const { component } of scan.parts) {
      const { blocks, side } = counted[component] ?? { blocks: 0, side: 8 }
      steps += blocks * visitSteps({ progressive, side }, scan)
    }
  }
  const kind = progressive ? `progressive, ${scans.length} scans` : `${specs.length} components`
  const what = `This JPEG (${width} x ${height} pixels, ${kind}, ${bytes.length} bytes)`
  const advice = progressive ? 'Send a smaller image, or save it as a baseline JPEG' : 'Send a smaller image'
  meter.require(steps, tooManySteps(what, advice))
}

/** Blocks of each component, whole groups counted, and the samples that each becomes in either direction. */
function blocksOf({ width, height, specs }: FrameHeader, reduction: Reduction): { blocks: number; side: number }[] {
  const maxH = Math.max(...specs.map(({ h }) => h))
  const maxV = Math.max(...specs.map(({ v }) => v))
  const groups = Math.ceil(width / (8 * maxH)) * Math.ceil(height / (8 * maxV))
  return specs.map(({ h, v }) => ({ blocks: groups * h * v, side: sideOf(8 / reduction, maxH / h, maxV / v) }))
}
