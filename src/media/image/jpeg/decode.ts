import { VergeError } from '../../../core/errors.ts'
import type { Raster } from '../raster.ts'
import { type ColourSpace, toRaster } from './colour.ts'
import { damaged, EntropyReader, type HuffmanTable, huffmanTable, incomplete } from './entropy.ts'
import { type Component, type ComponentSpec, type Frame, layOut, type Reduction, ZIGZAG } from './frame.ts'
import { decodeScan, type Scan } from './scan.ts'
import { segments } from './segments.ts'

/**
 * JPEG (ITU T.81), 8 bits a sample, sequential and progressive, Huffman-coded: what cameras and browsers write.
 *
 * Written here rather than taken as wasm: a damaged picture makes a C decoder leave its stack and memory behind, a wasm
 * memory never shrinks, and an isolate has none to lose. The arithmetic is libjpeg's, so that a model sees the pixels
 * that it saw in training.
 */

export interface JpegHeader {
  readonly width: number
  readonly height: number
}

const SOF_FIRST = 0xc0
const SOF_LAST = 0xcf
const DHT = 0xc4
const JPG = 0xc8
const DAC = 0xcc
const SOS = 0xda
const EOI = 0xd9
const DQT = 0xdb
const DRI = 0xdd
const APP0 = 0xe0
const APP14 = 0xee

function unsupported(what: string): VergeError {
  return new VergeError('invalid_image', `${what} JPEGs are not supported. Save it as a baseline or progressive one.`)
}

function isFrameHeader(marker: number): boolean {
  return marker >= SOF_FIRST && marker <= SOF_LAST && marker !== DHT && marker !== JPG && marker !== DAC
}

/** Reads the size alone. @throws invalid_image */
export function readJpegHeader(bytes: Uint8Array): JpegHeader {
  for (const { marker, content } of segments(bytes, 2)) {
    if (marker === SOS || marker === EOI) break
    if (!isFrameHeader(marker)) continue
    if (content.length < 6) throw incomplete()
    return { height: u16(content, 1), width: u16(content, 3) }
  }
  throw new VergeError('invalid_image', 'The JPEG has no frame header. Send the whole picture.')
}

export interface JpegOptions {
  /** Most scans of a progressive picture. */
  readonly maxScans: number
  /** Decodes the picture so many times smaller, its size rounded up. By default 1. */
  readonly reduction?: Reduction
}

/** @throws invalid_image */
export function decodeJpeg(bytes: Uint8Array, { maxScans, reduction = 1 }: JpegOptions): Raster {
  const quantisation: (Uint16Array | undefined)[] = []
  const dc: (HuffmanTable | undefined)[] = []
  const ac: (HuffmanTable | undefined)[] = []
  let frame: Frame | undefined
  let restartInterval = 0
  let adobeTransform: number | undefined
  let jfif = false
  const scanned = new Set<Component>()
  let scans = 0
  let complete = false
  let at = 2
  let more = true
  while (more) {
    more = false
    for (const { marker, content, end } of segments(bytes, at)) {
      if (marker === EOI) {
        complete = true
        break
      }
      if (marker === SOS) {
        if (frame === undefined) throw damaged()
        if (++scans > maxScans) {
          throw new VergeError('invalid_image', `The JPEG has more than ${maxScans} scans. Save it again with fewer.`)
        }
        const reader = new EntropyReader(bytes, end)
        const scan = scanHeader(content, frame, dc, ac)
        for (const { component } of scan.components) beginScan(frame, component, quantisation)
        decodeScan(frame, scan, reader, restartInterval)
        for (const { component } of scan.components) scanned.add(component)
        at = reader.position
        more = true
        break
      }
      if (isFrameHeader(marker)) {
        if (frame !== undefined) throw damaged()
        frame = frameHeader(marker, content, reduction)
      } else if (marker === DHT) {
        readHuffmanTables(content, dc, ac)
      } else if (marker === DQT) {
        readQuantisation(content, quantisation)
      } else if (marker === DRI) {
        restartInterval = u16(content, 0)
      } else if (marker === APP0) {
        jfif ||= ascii(content, 0, 4) === 'JFIF'
      } else if (marker === APP14 && ascii(content, 0, 5) === 'Adobe') {
        adobeTransform = content[11]
      }
    }
  }
  if (frame === undefined || scanned.size < frame.components.length) throw incomplete()
  // Only its end marker says that a progressive picture will not become any finer.
  if (frame.progressive && !complete) throw incomplete()
  return finish(frame, quantisation, colourSpace(frame, adobeTransform, jfif), adobeTransform !== undefined)
}

/** A sequential picture's blocks become samples while they are decoded, so that its steps have to be known by then. */
function beginScan(
  { progressive }: Frame,
  component: Component,
  quantisation: readonly (Uint16Array | undefined)[],
): void {
  const steps = quantisation[component.quantisation]
  if (steps === undefined && !progressive) throw damaged()
  component.blocks.begin(steps)
}

function finish(
  frame: Frame,
  quantisation: readonly (Uint16Array | undefined)[],
  space: ColourSpace,
  inverted: boolean,
): Raster {
  const { width, height, side, maxH, maxV } = frame
  const planes = frame.components.map((component) => {
    const steps = quantisation[component.quantisation]
    if (steps === undefined) throw damaged()
    // Coefficients take twice the room of samples: each component's are let go before the next one's samples are made.
    const plane = component.blocks.finish(steps)
    const finer = side / component.side
    return { plane, scaleX: (maxH / component.h) * finer, scaleY: (maxV / component.v) * finer }
  })
  return toRaster(planes, width, height, space, inverted)
}

function frameHeader(marker: number, content: Uint8Array, reduction: Reduction): Frame {
  if (marker > 0xc2) throw unsupported(marker >= 0xc9 ? 'Arithmetic-coded' : 'Lossless and hierarchical')
  if (content.length < 6) throw incomplete()
  if (content[0] !== 8) throw unsupported(`${content[0]}-bit`)
  const height = u16(content, 1)
  const width = u16(content, 3)
  const count = content[5] ?? 0
  if (width === 0 || height === 0) throw damaged()
  if (count !== 1 && count !== 3 && count !== 4) throw unsupported(`${count}-component`)
  if (content.length < 6 + 3 * count) throw incomplete()
  const specs: ComponentSpec[] = Array.from({ length: count }, (_, i) => {
    const from = 6 + 3 * i
    const factors = content[from + 1] ?? 0
    return { id: content[from] ?? 0, h: factors >> 4, v: factors & 15, quantisation: content[from + 2] ?? 0 }
  })
  if (specs.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4)) throw damaged()
  // T.81 allows ten blocks in a group; without this a picture could claim sixteen times its size in memory.
  if (specs.reduce((sum, { h, v }) => sum + h * v, 0) > 10) throw damaged()
  return layOut(marker === 0xc2, width, height, specs, reduction)
}

function scanHeader(
  content: Uint8Array,
  frame: Frame,
  dc: readonly (HuffmanTable | undefined)[],
  ac: readonly (HuffmanTable | undefined)[],
): Scan {
  const count = content[0] ?? 0
  if (count < 1 || count > frame.components.length || content.length < 4 + 2 * count) throw damaged()
  const components = Array.from({ length: count }, (_, i) => {
    const component = frame.components.find(({ id }) => id === content[1 + 2 * i])
    if (component === undefined) throw damaged()
    const tables = content[2 + 2 * i] ?? 0
    return { component, dc: dc[tables >> 4], ac: ac[tables & 15] }
  })
  const first = content[1 + 2 * count] ?? 0
  const last = content[2 + 2 * count] ?? 0
  const precision = content[3 + 2 * count] ?? 0
  const scan: Scan = { components, first, last, high: precision >> 4, low: precision & 15 }
  if (!frame.progressive) return scan
  // DC and AC never share a progressive scan, and AC scans have one component (T.81, G.1.1.1).
  if (last > 63 || first > last || scan.low > 13) throw damaged()
  if (first === 0 ? last !== 0 : count !== 1) throw damaged()
  return scan
}

function readHuffmanTables(
  content: Uint8Array,
  dc: (HuffmanTable | undefined)[],
  ac: (HuffmanTable | undefined)[],
): void {
  for (let at = 0; at < content.length; ) {
    const kind = content[at] ?? 0
    const counts = content.subarray(at + 1, at + 17)
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (counts.length < 16 || total > 256 || at + 17 + total > content.length) throw damaged()
    if ((kind & 15) > 3) throw damaged()
    const table = huffmanTable(counts, content.slice(at + 17, at + 17 + total))
    if (kind >> 4 === 0) dc[kind & 15] = table
    else ac[kind & 15] = table
    at += 17 + total
  }
}

function readQuantisation(content: Uint8Array, tables: (Uint16Array | undefined)[]): void {
  for (let at = 0; at < content.length; ) {
    const kind = content[at++] ?? 0
    const wide = kind >> 4 === 1
    const size = wide ? 128 : 64
    if ((kind & 15) > 3 || at + size > content.length) throw damaged()
    const table = new Uint16Array(64)
    for (let k = 0; k < 64; k++) table[ZIGZAG[k] ?? 0] = wide ? u16(content, at + 2 * k) : (content[at + k] ?? 0)
    tables[kind & 15] = table
    at += size
  }
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

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to))
}
