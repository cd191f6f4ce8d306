import { VergeError } from '../../../core/errors.ts'
import { damaged, incomplete } from './entropy.ts'
import type { ComponentSpec } from './frame.ts'

/** What a JPEG's frame header says (ITU T.81, B.2.2), before any memory is given for it. */
export interface FrameHeader {
  readonly width: number
  readonly height: number
  readonly progressive: boolean
  readonly arithmetic: boolean
  readonly specs: readonly ComponentSpec[]
}

const SOF_FIRST = 0xc0
const SOF_LAST = 0xcf
const PROGRESSIVE = 0xc2
const ARITHMETIC = 0xc9
const ARITHMETIC_PROGRESSIVE = 0xca
const DHT = 0xc4
const JPG = 0xc8
const DAC = 0xcc

export function isFrameHeader(marker: number): boolean {
  return marker >= SOF_FIRST && marker <= SOF_LAST && marker !== DHT && marker !== JPG && marker !== DAC
}

function unsupported(what: string): VergeError {
  return new VergeError(
    'invalid_image',
    `${what} JPEGs are not supported. Save the image as a baseline or progressive JPEG.`,
  )
}

/** @throws invalid_image */
export function readFrameHeader(marker: number, content: Uint8Array): FrameHeader {
  const arithmetic = marker === ARITHMETIC
  if (marker === ARITHMETIC_PROGRESSIVE) throw unsupported('Progressive arithmetic-coded')
  if (marker > PROGRESSIVE && !arithmetic) throw unsupported('Lossless and hierarchical')
  if (content.length < 6) throw incomplete()
  if (content[0] !== 8) throw unsupported(`${content[0]}-bit`)
  const height = u16(content, 1)
  const width = u16(content, 3)
  const count = content[5] ?? 0
  if (count !== 1 && count !== 3 && count !== 4) throw unsupported(`${count}-component`)
  if (content.length < 6 + 3 * count) throw incomplete()
  const specs = Array.from({ length: count }, (_, i): ComponentSpec => {
    const from = 6 + 3 * i
    const factors = content[from + 1] ?? 0
    return { id: content[from] ?? 0, h: factors >> 4, v: factors & 15, quantization: content[from + 2] ?? 0 }
  })
  if (specs.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4)) throw damaged()
  // T.81 allows ten blocks in a group; without this a picture could claim sixteen times its size in memory.
  if (specs.reduce((sum, { h, v }) => sum + h * v, 0) > 10) throw damaged()
  return { width, height, progressive: marker === PROGRESSIVE, arithmetic, specs }
}

/** What a scan's header says (T.81, B.2.3): which components, which coefficients, how precise. */
export interface ScanHeader {
  /** Of each component its number in the frame and the tables that it names. */
  readonly parts: readonly { readonly component: number; readonly dc: number; readonly ac: number }[]
  readonly first: number
  readonly last: number
  readonly high: number
  readonly low: number
}

/** @throws invalid_image */
export function readScanHeader(content: Uint8Array, { specs, progressive }: FrameHeader): ScanHeader {
  const count = content[0] ?? 0
  if (count < 1 || count > specs.length || content.length < 4 + 2 * count) throw damaged()
  const parts = Array.from({ length: count }, (_, i) => {
    const component = specs.findIndex(({ id }) => id === content[1 + 2 * i])
    if (component < 0) throw damaged()
    const tables = content[2 + 2 * i] ?? 0
    return { component, dc: tables >> 4, ac: tables & 15 }
  })
  const first = content[1 + 2 * count] ?? 0
  const last = content[2 + 2 * count] ?? 0
  const precision = content[3 + 2 * count] ?? 0
  const scan: ScanHeader = { parts, first, last, high: precision >> 4, low: precision & 15 }
  if (!progressive) return scan
  // DC and AC never share a progressive scan, and AC scans have one component (T.81, G.1.1.1).
  if (last > 63 || first > last || scan.low > 13) throw damaged()
  if (first === 0 ? last !== 0 : count !== 1) throw damaged()
  return scan
}

export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}
