import type { Raster } from './raster.ts'

/** Makes a picture smaller while its rows come: each square of `side` x `side` pixels becomes their mean. */
export class RowAverager {
  /** Where the next row is to be put before `add`. */
  readonly row: Uint8Array
  readonly #width: number
  readonly #channels: 1 | 3
  readonly #side: number
  readonly #out: Raster
  readonly #sums: Uint32Array
  #rows = 0
  #y = 0

  constructor(width: number, height: number, channels: 1 | 3, side: number) {
    const [outWidth, outHeight] = [Math.ceil(width / side), Math.ceil(height / side)]
    this.row = new Uint8Array(width * channels)
    this.#width = width
    this.#channels = channels
    this.#side = side
    this.#sums = new Uint32Array(outWidth * channels)
    const data = new Uint8Array(outWidth * outHeight * channels)
    this.#out = { width: outWidth, height: outHeight, channels, data }
  }

  add(): void {
    if (this.#channels === 1) this.#addGrey()
    else this.#addColour()
    if (++this.#rows === this.#side) this.#write()
  }

  #addGrey(): void {
    const { row } = this
    const sums = this.#sums
    const side = this.#side
    const width = this.#width
    for (let x = 0, to = 0; x < width; to++) {
      let sum = sums[to] ?? 0
      for (const end = Math.min(width, x + side); x < end; x++) sum += row[x] ?? 0
      sums[to] = sum
    }
  }

  #addColour(): void {
    const { row } = this
    const sums = this.#sums
    const side = 3 * this.#side
    const width = 3 * this.#width
    for (let from = 0, to = 0; from < width; to += 3) {
      let red = sums[to] ?? 0
      let green = sums[to + 1] ?? 0
      let blue = sums[to + 2] ?? 0
      for (const end = Math.min(width, from + side); from < end; from += 3) {
        red += row[from] ?? 0
        green += row[from + 1] ?? 0
        blue += row[from + 2] ?? 0
      }
      sums[to] = red
      sums[to + 1] = green
      sums[to + 2] = blue
    }
  }

  finish(): Raster {
    if (this.#rows > 0) this.#write()
    return this.#out
  }

  #write(): void {
    const { width, channels, data } = this.#out
    const sums = this.#sums
    for (let x = 0, at = this.#y * width * channels; x < width; x++) {
      const columns = Math.min(this.#side, this.#width - x * this.#side)
      const count = columns * this.#rows
      for (let channel = 0; channel < channels; channel++) {
        data[at++] = ((sums[x * channels + channel] ?? 0) + (count >> 1)) / count
      }
    }
    sums.fill(0)
    this.#rows = 0
    this.#y++
  }
}
