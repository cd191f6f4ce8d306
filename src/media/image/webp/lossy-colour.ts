import type { StepMeter, Work } from '../../../core/work.ts'
import type { Raster } from '../raster.ts'
import { RowAverager } from '../row-averager.ts'
import type { Planes } from './lossy.ts'
import type { BorderedPlane } from './lossy-predict.ts'
import { LOSSY_PIXEL, refusal } from './steps.ts'

const ROWS_PER_PIECE = 16

/**
 * Brightness and colour differences to RGB in libwebp's fixed point, with its "fancy" upsampling.
 * @param reduction averages squares of so many pixels a side
 */
export function* planesToRgb(
  { width, height, luma, blue, red }: Planes,
  reduction: number,
  meter: StepMeter,
): Work<Raster> {
  const averager = reduction === 1 ? undefined : new RowAverager(width, height, 3, reduction)
  const data = averager?.row ?? new Uint8Array(3 * width * height)
  const blues = new Uint8Array(width)
  const reds = new Uint8Array(width)
  const chromaHeight = (height + 1) >> 1
  for (let y = 0; y < height; y++) {
    const near = y >> 1
    const far = Math.min(chromaHeight - 1, Math.max(0, near + (y & 1 ? 1 : -1)))
    upsample(blue, near, far, width, blues)
    upsample(red, near, far, width, reds)
    convertRow(luma, y, blues, reds, data, averager === undefined ? 3 * y * width : 0)
    averager?.add()
    meter.spend(width * LOSSY_PIXEL, refusal)
    if (y % ROWS_PER_PIECE === 0) yield meter.piece()
  }
  return averager === undefined ? { width, height, channels: 3, data } : averager.finish()
}

function convertRow(
  { data: luma, origin, stride }: BorderedPlane,
  y: number,
  blues: Uint8Array,
  reds: Uint8Array,
  out: Uint8Array,
  at: number,
): void {
  const start = origin + y * stride
  for (let x = 0, to = at; x < blues.length; x++, to += 3) {
    const brightness = ((luma[start + x] ?? 0) * 19077) >> 8
    const u = blues[x] ?? 0
    const v = reds[x] ?? 0
    out[to] = clip(brightness + ((v * 26149) >> 8) - 14234)
    out[to + 1] = clip(brightness - ((u * 6419) >> 8) - ((v * 13320) >> 8) + 8708)
    out[to + 2] = clip(brightness + ((u * 33050) >> 8) - 17685)
  }
}

function clip(value: number): number {
  return value < 0 ? 0 : value > 16383 ? 255 : value >> 6
}

/** A row of differences in the picture's width: each from its nearest sample, and three others with less weight. */
function upsample(
  { data, stride, origin }: BorderedPlane,
  near: number,
  far: number,
  width: number,
  out: Uint8Array,
): void {
  const nearRow = origin + near * stride
  const farRow = origin + far * stride
  const last = (width - 1) >> 1
  let here = data[nearRow] ?? 0
  let below = data[farRow] ?? 0
  out[0] = (3 * here + below + 2) >> 2
  for (let i = 0; i < last; i++) {
    const beside = data[nearRow + i + 1] ?? 0
    const across = data[farRow + i + 1] ?? 0
    const sum = here + below + beside + across + 8
    out[2 * i + 1] = (((sum + 2 * (below + beside)) >> 3) + here) >> 1
    out[2 * i + 2] = (((sum + 2 * (here + across)) >> 3) + beside) >> 1
    here = beside
    below = across
  }
  if (width % 2 === 0) out[width - 1] = (3 * here + below + 2) >> 2
}
