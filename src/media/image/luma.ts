import { type Raster, toRgb } from './raster.ts'
import { resize } from './resize.ts'

/** A picture with the brightness of `luma`, in its size, and the colours of another, by ITU-R 601 as JPEG uses it. */
export function withLuma(colours: Raster, luma: Raster): Raster {
  const { width, height } = luma
  const source = toRgb(resize(colours, width, height, 'bicubic'))
  const data = new Uint8ClampedArray(3 * width * height)
  for (let i = 0, at = 0; i < luma.data.length; i++, at += 3) {
    const [red, green, blue] = [source.data[at] ?? 0, source.data[at + 1] ?? 0, source.data[at + 2] ?? 0]
    // A colour is its difference to its own brightness: moved to another brightness, it stays the same colour.
    const change = (luma.data[i] ?? 0) - (0.299 * red + 0.587 * green + 0.114 * blue)
    data[at] = red + change
    data[at + 1] = green + change
    data[at + 2] = blue + change
  }
  return { width, height, channels: 3, data: new Uint8Array(data.buffer) }
}
