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
    const { row } = this
    const sums = this.#sums
    const channels = this.#channels
    const side = this.#side
    for (let x = 0, from = 0; x < this.#width; x++) {
      const to = Math.floor(x / side) * channels
      for (let channel = 0; channel < channels; channel++)
        sums[to + channel] = (sums[to + channel] ?? 0) + (row[from++] ?? 0)
    }
    if (++this.#rows === side) this.#write()
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
