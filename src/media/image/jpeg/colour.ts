import type { StepMeter, Work } from '../../../core/work.ts'
import type { Raster } from '../raster.ts'
import type { Plane } from './idct.ts'
import { PIXEL, refusal } from './steps.ts'

/** Samples of components to pixels, as libjpeg does it: triangle-filtered upsampling, colour in 16-bit fixed point. */

export type ColourSpace = 'grey' | 'ycc' | 'rgb' | 'cmyk' | 'ycck'

/** Writes row `y` of the picture, in the picture's width, from a component's samples. */
type RowReader = (y: number, out: Uint8Array) => void

/** CMYK samples mean the absence of ink, as Adobe's do: Pillow and libvips take them so with Adobe's marker or without. */
export function* toRaster(
  planes: readonly { readonly plane: Plane; readonly scaleX: number; readonly scaleY: number }[],
  width: number,
  height: number,
  space: ColourSpace,
  meter: StepMeter,
): Work<Raster> {
  const readers = planes.map(({ plane, scaleX, scaleY }) => rowReader(plane, scaleX, scaleY))
  // Upsampling may write a little past the picture's edge.
  const rows = planes.map(() => new Uint8Array(width + 8))
  const channels = space === 'grey' ? 1 : 3
  const data = new Uint8Array(width * height * channels)
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < readers.length; i++) {
      const row = rows[i]
      if (row !== undefined) readers[i]?.(y, row)
    }
    const line = data.subarray(y * width * channels, (y + 1) * width * channels)
    convertRow(rows, line, width, space)
    meter.spend(width * PIXEL, refusal)
    if (y % ROWS_PER_PIECE === 0) yield meter.piece()
  }
  return { width, height, channels, data }
}

const ROWS_PER_PIECE = 16

function convertRow(rows: readonly Uint8Array[], line: Uint8Array, width: number, space: ColourSpace): void {
  const [a, b, c, k] = rows
  if (a === undefined) return
  if (space === 'grey') {
    line.set(a.subarray(0, width))
    return
  }
  if (b === undefined || c === undefined) return
  if (space === 'rgb' || space === 'cmyk') {
    for (let x = 0, at = 0; x < width; x++, at += 3) {
      line[at] = a[x] ?? 0
      line[at + 1] = b[x] ?? 0
      line[at + 2] = c[x] ?? 0
    }
  } else {
    for (let x = 0, at = 0; x < width; x++, at += 3) {
      const luma = a[x] ?? 0
      const cb = (b[x] ?? 0) - 128
      const cr = (c[x] ?? 0) - 128
      line[at] = clamp(luma + ((91881 * cr + 32768) >> 16))
      line[at + 1] = clamp(luma + ((-22554 * cb - 46802 * cr + 32768) >> 16))
      line[at + 2] = clamp(luma + ((116130 * cb + 32768) >> 16))
    }
  }
  if (k !== undefined) applyBlack(line, k, width, space)
}

/** Ink to light. YCCK's conversion gives the complement of what the file holds, which is the ink itself. */
function applyBlack(line: Uint8Array, k: Uint8Array, width: number, space: ColourSpace): void {
  const complement = space === 'cmyk'
  for (let x = 0, at = 0; x < width; x++, at += 3) {
    const light = k[x] ?? 0
    for (let channel = at; channel < at + 3; channel++) {
      const sample = line[channel] ?? 0
      const ink = complement ? 255 - sample : sample
      const product = ink * light + 128
      line[channel] = light - (((product >> 8) + product) >> 8)
    }
  }
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value
}

function rowReader(plane: Plane, scaleX: number, scaleY: number): RowReader {
  const { data, stride, width, height } = plane
  const line = (y: number): number => Math.min(Math.max(y, 0), height - 1) * stride
  // libjpeg's own conditions: its triangle filter needs three samples in a row.
  if (scaleX === 2 && scaleY === 1 && width > 2) {
    return (y, out) => twiceAsWide(data, line(y), width, out)
  }
  if (scaleX === 1 && scaleY === 2) {
    return (y, out) => {
      const near = line(y >> 1)
      const far = line((y >> 1) + (y & 1 ? 1 : -1))
      const bias = y & 1 ? 2 : 1
      const end = Math.min(width, out.length)
      for (let x = 0; x < end; x++) out[x] = (3 * (data[near + x] ?? 0) + (data[far + x] ?? 0) + bias) >> 2
    }
  }
  if (scaleX === 2 && scaleY === 2 && width > 2) {
    return (y, out) => twiceAsBig(data, line(y >> 1), line((y >> 1) + (y & 1 ? 1 : -1)), width, out)
  }
  return (y, out) => {
    const from = line(Math.floor(y / scaleY))
    for (let x = 0; x < out.length; x++) out[x] = data[from + Math.min(width - 1, Math.floor(x / scaleX))] ?? 0
  }
}

function twiceAsWide(data: Uint8Array, from: number, width: number, out: Uint8Array): void {
  for (let i = 0; i < width; i++) {
    const sample = data[from + i] ?? 0
    const left = data[from + i - 1] ?? 0
    const right = data[from + i + 1] ?? 0
    out[2 * i] = i === 0 ? sample : (3 * sample + left + 1) >> 2
    out[2 * i + 1] = i === width - 1 ? sample : (3 * sample + right + 2) >> 2
  }
}

function twiceAsBig(data: Uint8Array, near: number, far: number, width: number, out: Uint8Array): void {
  let before = 0
  let here = 3 * (data[near] ?? 0) + (data[far] ?? 0)
  for (let i = 0; i < width; i++) {
    const after = 3 * (data[near + i + 1] ?? 0) + (data[far + i + 1] ?? 0)
    out[2 * i] = i === 0 ? (4 * here + 8) >> 4 : (3 * here + before + 8) >> 4
    out[2 * i + 1] = i === width - 1 ? (4 * here + 7) >> 4 : (3 * here + after + 7) >> 4
    before = here
    here = after
  }
}
