import { BitReader } from '../huffman.ts'
import { damaged, incomplete } from './failures.ts'
import { decodeStream } from './lossless.ts'

/** Opacity of a lossy picture, one byte a pixel. @param data content of the ALPH chunk @throws invalid_image */
export function decodeAlpha(data: Uint8Array, width: number, height: number): Uint8Array {
  const [header = 0] = data
  const content = data.subarray(1)
  const method = header & 3
  if (method > 1) throw damaged()
  let alpha: Uint8Array
  if (method === 0) {
    if (content.length < width * height) throw incomplete()
    alpha = content.slice(0, width * height)
  } else {
    alpha = Uint8Array.from(decodeStream(new BitReader(content), width, height), (pixel) => (pixel >>> 8) & 0xff)
  }
  unfilter(alpha, width, (header >> 2) & 3)
  return alpha
}

/** @param filter none, from the left, from above, or by the gradient */
function unfilter(alpha: Uint8Array, width: number, filter: number): void {
  if (filter === 0) return
  for (let i = 1; i < alpha.length; i++) {
    const first = i % width === 0
    const left = first ? undefined : (alpha[i - 1] ?? 0)
    const above = i < width ? undefined : (alpha[i - width] ?? 0)
    let predicted: number
    if (above === undefined) predicted = left ?? 0
    else if (left === undefined) predicted = above
    else if (filter === 1) predicted = left
    else if (filter === 2) predicted = above
    else predicted = Math.min(255, Math.max(0, left + above - (alpha[i - width - 1] ?? 0)))
    alpha[i] = (alpha[i] ?? 0) + predicted
  }
}
