import type { StepMeter, Work } from '../../../core/work.ts'
import type { Raster } from '../raster.ts'
import { ArithmeticReader } from './arithmetic.ts'
import { type ColourSpace, toRaster } from './colour.ts'
import { damaged, EntropyReader, incomplete } from './entropy.ts'
import { type Component, type Frame, layOut, type Reduction } from './frame.ts'
import { type FrameHeader, isFrameHeader, readScanHeader, u16 } from './header.ts'
import { decodeScan, type Scan } from './scan.ts'
import { segments } from './segments.ts'
import { refusal, SCAN } from './steps.ts'
import { checkDecodingSteps, type JpegStructure } from './structure.ts'
import { Tables } from './tables.ts'

/**
 * JPEG (ITU T.81), 8 bits a sample: sequential and progressive with Huffman codes, sequential with arithmetic coding.
 *
 * Written here rather than taken as wasm: a damaged picture makes a C decoder leave its stack and memory behind, a wasm
 * memory never shrinks, and an isolate has none to lose. The arithmetic is libjpeg's, so that a model sees the pixels
 * that it saw in training.
 */

const DHT = 0xc4
const DAC = 0xcc
const SOS = 0xda
const EOI = 0xd9
const DQT = 0xdb
const DRI = 0xdd
const APP0 = 0xe0
const APP14 = 0xee

/**
 * @param survey of the same bytes, its size checked by the caller
 * @param reduction decodes the picture so many times smaller, its size rounded up
 * @throws invalid_image, input_too_large
 */
export function* decodeJpeg(survey: JpegStructure, reduction: Reduction, meter: StepMeter): Work<Raster> {
  checkDecodingSteps(survey, reduction, meter)
  yield meter.piece()
  const { bytes, frame: header } = survey
  const frame = layOut(header, reduction)
  const tables = new Tables()
  let framed = false
  let restartInterval = 0
  let adobeTransform: number | undefined
  let jfif = false
  const scanned = new Set<Component>()
  let complete = false
  for (let at = 2, more = true; more; ) {
    more = false
    for (const { marker, content, end } of segments(bytes, at)) {
      if (marker === EOI) {
        complete = true
        break
      }
      if (marker === SOS) {
        if (!framed) throw damaged()
        meter.spend(SCAN, refusal)
        const scan = scanOf(content, header, frame, tables)
        const reader = header.arithmetic
          ? new ArithmeticReader(bytes, end, tables.conditioning)
          : new EntropyReader(bytes, end)
        for (const { component } of scan.components) beginScan(header, component, tables.quantization)
        yield* decodeScan(frame, scan, reader, restartInterval, meter)
        for (const { component } of scan.components) scanned.add(component)
        at = reader.position
        more = true
        break
      }
      if (isFrameHeader(marker)) {
        if (framed) throw damaged()
        framed = true
      } else if (marker === DHT) {
        tables.readHuffman(content)
      } else if (marker === DQT) {
        tables.readQuantization(content)
      } else if (marker === DAC) {
        tables.readConditioning(content)
      } else if (marker === DRI) {
        restartInterval = u16(content, 0)
      } else if (marker === APP0) {
        jfif ||= ascii(content, 0, 4) === 'JFIF'
      } else if (marker === APP14 && ascii(content, 0, 5) === 'Adobe') {
        adobeTransform = content[11]
      }
    }
  }
  if (scanned.size < frame.components.length) throw incomplete()
  // Only its end marker says that a progressive picture will not become any finer.
  if (frame.progressive && !complete) throw incomplete()
  return yield* finished(frame, tables.quantization, colourSpace(frame, adobeTransform, jfif), meter)
}

function scanOf(content: Uint8Array, header: FrameHeader, frame: Frame, tables: Tables): Scan {
  const { parts, ...rest } = readScanHeader(content, header)
  const components = parts.map(({ component: number, dc, ac }) => {
    const component = frame.components[number]
    if (component === undefined) throw damaged()
    const huffman = !header.arithmetic
    return {
      component,
      dc: huffman ? tables.huffman('dc', dc, !header.progressive) : undefined,
      ac: huffman ? tables.huffman('ac', ac, !header.progressive) : undefined,
      dcNumber: dc,
      acNumber: ac,
    }
  })
  return { components, ...rest }
}

/** A sequential picture's blocks become samples while they are decoded, so that its steps have to be known by then. */
function beginScan(
  { progressive }: FrameHeader,
  component: Component,
  quantization: readonly (Uint16Array | undefined)[],
): void {
  const steps = quantization[component.quantization]
  if (steps === undefined && !progressive) throw damaged()
  component.blocks.begin(steps)
}

function* finished(
  frame: Frame,
  quantization: readonly (Uint16Array | undefined)[],
  space: ColourSpace,
  meter: StepMeter,
): Work<Raster> {
  const { width, height, side, maxH, maxV } = frame
  const planes = []
  for (const component of frame.components) {
    const steps = quantization[component.quantization]
    if (steps === undefined) throw damaged()
    // Coefficients take twice the room of samples: each component's are let go before the next one's samples are made.
    const plane = yield* component.blocks.finish(steps, meter)
    const finer = side / component.side
    planes.push({ plane, scaleX: (maxH / component.h) * finer, scaleY: (maxV / component.v) * finer })
  }
  return yield* toRaster(planes, width, height, space, meter)
}

/** What the components mean, by the same rules as libjpeg. */
function colourSpace(frame: Frame, adobeTransform: number | undefined, jfif: boolean): ColourSpace {
  const ids = frame.components.map(({ id }) => String.fromCharCode(id)).join('')
  switch (frame.components.length) {
    case 1:
      return 'grey'
    case 4:
      return adobeTransform === 2 ? 'ycck' : 'cmyk'
    default:
      if (jfif) return 'ycc'
      if (adobeTransform !== undefined) return adobeTransform === 0 ? 'rgb' : 'ycc'
      return ids === 'RGB' ? 'rgb' : 'ycc'
  }
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to))
}
