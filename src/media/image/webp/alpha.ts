import type { StepMeter, Work } from '../../../core/work.ts'
import { BitReader } from '../huffman.ts'
import { damaged, incomplete } from './failures.ts'
import { decodeStream } from './lossless.ts'
import { refusal, TRANSFORMED_PIXEL } from './steps.ts'

/** Opacity of a lossy picture, one byte a pixel. @param data content of the ALPH chunk @throws invalid_image */
export function* decodeAlpha(data: Uint8Array, width: number, height: number, meter: StepMeter): Work<Uint8Array> {
  const [header = 0] = data
  const content = data.subarray(1)
  const method = header & 3
  if (method > 1) throw damaged()
  let alpha: Uint8Array
  if (method === 0) {
    if (content.length < width * height) throw incomplete()
    alpha = content.slice(0, width * height)
  } else {
    const pixels = yield* decodeStream(new BitReader(content), width, height, meter)
    alpha = new Uint8Array(pixels.length)
    for (let i = 0; i < pixels.length; i++) alpha[i] = (pixels[i] ?? 0) >>> 8
  }
  for (let top = 0; top < height; top += ROWS_PER_PIECE) {
    const bottom = Math.min(height, top + ROWS_PER_PIECE)
    unfilter(alpha, width, (header >> 2) & 3, top, bottom)
    meter.spend((bottom - top) * width * TRANSFORMED_PIXEL, refusal)
    yield meter.piece()
  }
  return alpha
}

const ROWS_PER_PIECE = 64

/** @param filter none, from the left, from above, or by the gradient */
function unfilter(alpha: Uint8Array, width: number, filter: number, top: number, bottom: number): void {
  if (filter === 0) return
  for (let y = top; y < bottom; y++) {
    const row = y * width
    // Without a row above it is the left, without a left it is the one above.
    if (y > 0) alpha[row] = (alpha[row] ?? 0) + (alpha[row - width] ?? 0)
    const kind = y === 0 ? 1 : filter
    for (let i = row + 1; i < row + width; i++) {
      const left = alpha[i - 1] ?? 0
      const above = alpha[i - width] ?? 0
      let predicted = left
      if (kind === 2) predicted = above
      else if (kind === 3) predicted = Math.min(255, Math.max(0, left + above - (alpha[i - width - 1] ?? 0)))
      alpha[i] = (alpha[i] ?? 0) + predicted
    }
  }
}
