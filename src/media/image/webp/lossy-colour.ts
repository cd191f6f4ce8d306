import type { Raster } from '../raster.ts'
import { RowAverager } from '../row-averager.ts'
import type { Planes } from './lossy.ts'
import type { BorderedPlane } from './lossy-predict.ts'

/**
 * Brightness and colour differences to RGB in libwebp's fixed point, with its "fancy" upsampling.
 * @param reduction averages squares of so many pixels a side
 */
export function planesToRgb({ width, height, luma, blue, red }: Planes, reduction: number): Raster {
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
    let from = luma.origin + y * luma.stride
    for (let x = 0, to = averager === undefined ? 3 * y * width : 0; x < width; x++, to += 3) {
      const brightness = ((luma.data[from++] ?? 0) * 19077) >> 8
      const [u, v] = [blues[x] ?? 0, reds[x] ?? 0]
      data[to] = clip(brightness + ((v * 26149) >> 8) - 14234)
      data[to + 1] = clip(brightness - ((u * 6419) >> 8) - ((v * 13320) >> 8) + 8708)
      data[to + 2] = clip(brightness + ((u * 33050) >> 8) - 17685)
    }
    averager?.add()
  }
  return averager === undefined ? { width, height, channels: 3, data } : averager.finish()
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
  for (let x = 0; x < width; x++) {
    const i = x >> 1
    const here = data[nearRow + i] ?? 0
    const below = data[farRow + i] ?? 0
    if (x === 0 || (x === width - 1 && (x & 1) === 1)) {
      out[x] = (3 * here + below + 2) >> 2
      continue
    }
    const j = x & 1 ? i + 1 : i - 1
    const beside = data[nearRow + j] ?? 0
    const across = data[farRow + j] ?? 0
    const sum = here + below + beside + across + 8
    out[x] = (((sum + 2 * (below + beside)) >> 3) + here) >> 1
  }
}
