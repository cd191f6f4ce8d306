import type { FloatWeights } from './floats.ts'
import { ROUNDER } from './rounding.ts'
import { LEAST_SCALE, type Loss } from './weights.ts'

export const BLOCK_SIZES = [16, 32, 64, 128, 256] as const
export type BlockSize = (typeof BLOCK_SIZES)[number]

export interface BlockOptions {
  /** Consecutive elements that share a scale. */
  readonly blockSize: BlockSize
  /** Levels -8 to 7 around zero; otherwise 0 to 15 with a zero point for each block. */
  readonly symmetric: boolean
  /** Precision that scales are stored in, and so rounded to before the levels are chosen. */
  readonly scales: 'fp32' | 'fp16'
}

/** Vectors of equal length, to be cut into blocks along it. */
export interface Vectors {
  /** Finite. The last row may be cut short; it is filled up with zeros. */
  readonly floats: FloatWeights
  readonly count: number
  readonly length: number
  /** Whether they are the columns of the matrix in `floats`, and not its rows. */
  readonly columns: boolean
}

/** Vectors in four bits: `(level - zero point) * scale`, levels 0 to 15. */
export interface Blocks extends Loss {
  /** [count, rowBytes]: two levels a byte, the earlier in the lower half. */
  readonly levels: Uint8Array<ArrayBuffer>
  /** [count, blocks]. */
  readonly scales: Float32Array<ArrayBuffer>
  /** [count, blocks / 2 rounded up], packed like the levels; undefined where all are 8. */
  readonly zeroPoints: Uint8Array<ArrayBuffer> | undefined
}

const MIDDLE = 8
const MOST = 15

/** Vectors copied out of a matrix's columns at a time: a line of the processor's cache has 16 floats. */
const TILE = 64

/**
 * Quantizes vectors to four bits by blocks, each with the scale that loses least of it, as far as a search finds it.
 * @param rowBytes of a vector's levels, at least half its length; what lies beyond the vector stands for zeros
 */
export function quantizeBlocks(vectors: Vectors, rowBytes: number, options: BlockOptions): Blocks {
  const { floats, count, length, columns } = vectors
  const { blockSize, symmetric } = options
  const blocks = Math.ceil(length / blockSize)
  const zeroBytes = Math.ceil(blocks / 2)
  const levels = new Uint8Array(count * rowBytes)
  const scales = new Float32Array(count * blocks)
  const zeroPoints = symmetric ? undefined : new Uint8Array(count * zeroBytes)
  const search = new BlockSearch(options)

  const quantize = (source: Float32Array, start: number, vector: number, at: number): void => {
    search.run(source, start, Math.min(blockSize, length - at * blockSize, source.length - start))
    scales[vector * blocks + at] = search.scale
    if (zeroPoints) {
      const byte = vector * zeroBytes + (at >> 1)
      zeroPoints[byte] = (zeroPoints[byte] as number) | (search.zero << (4 * (at & 1)))
    }
    const offset = (at * blockSize) >> 1
    const target = vector * rowBytes + offset
    const bytes = Math.min(blockSize >> 1, rowBytes - offset)
    for (let index = 0; index < bytes; index++) {
      const high = search.levels[2 * index + 1] as number
      levels[target + index] = (search.levels[2 * index] as number) | (high << 4)
    }
  }

  if (columns) {
    const tile = new Float32Array(TILE * blockSize)
    for (let at = 0; at < blocks; at++) {
      const first = at * blockSize * count
      const rows = floats.read(first, Math.min(blockSize * count, floats.length - first))
      for (let vector = 0; vector < count; vector++) {
        const column = vector % TILE
        if (column === 0) copyTile(rows, vector, count, tile, blockSize)
        quantize(tile, column * blockSize, vector, at)
      }
    }
  } else {
    for (const { start, values } of floats.pieces(length)) {
      for (let offset = 0; offset < values.length; offset += length) {
        const vector = (start + offset) / length
        for (let at = 0; at < blocks; at++) quantize(values, offset + at * blockSize, vector, at)
      }
    }
  }
  return { levels, scales, zeroPoints, signal: search.signal, noise: search.noise }
}

/** Copies the columns from `first` on, as many as a tile takes, so that each lies in one piece. */
function copyTile(rows: Float32Array, first: number, stride: number, tile: Float32Array, blockSize: number): void {
  const width = Math.min(TILE, stride - first)
  const height = rows.length / stride
  for (let row = 0; row < height; row++) {
    const from = first + row * stride
    for (let column = 0; column < width; column++) tile[column * blockSize + row] = rows[from + column] as number
  }
}

/**
 * Finds one block's scale: tries grids that reach a little less and a little more far than the block does, rounds to
 * each, takes the scale that fits the rounded levels best in the sense of least squares, and keeps the best of all.
 * (llama.cpp chooses the scales of its 4-bit formats in this way, `make_qx_quants` and `make_qkx2_quants` in
 * ggml-quants.c.) With the scale fixed, the nearest level is the best one, so a last rounding loses nothing.
 */
class BlockSearch {
  readonly levels: Uint8Array
  scale = 1
  zero = MIDDLE
  /** Sums of squares over all blocks so far. */
  signal = 0
  noise = 0
  /** The block at hand, filled up with zeros. */
  readonly #block: Float32Array
  readonly #symmetric: boolean
  readonly #half: boolean

  constructor({ blockSize, symmetric, scales }: BlockOptions) {
    this.#block = new Float32Array(blockSize)
    this.levels = new Uint8Array(blockSize)
    this.#symmetric = symmetric
    this.#half = scales === 'fp16'
  }

  /** Quantizes `length` elements of `source`, at most a block. */
  run(source: Float32Array, start: number, length: number): void {
    const block = this.#block
    let [low, high] = [0, 0]
    for (let index = 0; index < length; index++) {
      const value = source[start + index] as number
      block[index] = value
      if (value < low) low = value
      else if (value > high) high = value
    }
    block.fill(0, length)
    const scale = low === 0 && high === 0 ? 1 : this.#symmetric ? this.#around(low, high) : this.#between(low, high)
    this.scale = this.#stored(scale)
    this.#round()
  }

  /** The scale as it will be read; 1 where it would be read as zero, for a block that then is zero. */
  #stored(scale: number): number {
    const stored = this.#half ? Math.f16round(scale) : Math.fround(scale)
    return Math.abs(stored) < LEAST_SCALE ? 1 : stored
  }

  /** Zero in the middle. The side that reaches further gets the eight levels, so that scales are negative at times. */
  #around(low: number, high: number): number {
    this.zero = MIDDLE
    const peak = high > -low ? high : low
    let [best, scale] = [-1, 1]
    for (let reach = 7; reach <= 9; reach += 0.25) {
      const fit = this.#fit(-reach / peak)
      if (fit > best) {
        best = fit
        scale = this.scale
      }
    }
    return scale
  }

  /** The zero point that the block's ends ask for: trying its neighbours as well gained less than 0.01 dB. */
  #between(low: number, high: number): number {
    const span = (high - low) / MOST
    this.zero = Math.round(-low / span)
    let [best, scale] = [-1, 1]
    for (let shrink = 0.8; shrink < 1.1; shrink += 0.05) {
      const fit = this.#fit(1 / (span * shrink))
      if (fit > best) {
        best = fit
        scale = this.scale
      }
    }
    return scale
  }

  /** Rounds the block by an inverse scale. Sets the scale that fits best, and returns how much of the signal it has. */
  #fit(inverse: number): number {
    const block = this.#block
    const low = -this.zero
    const high = MOST - this.zero
    let [product, square] = [0, 0]
    for (let index = 0; index < block.length; index++) {
      const value = block[index] as number
      let level = value * inverse + ROUNDER - ROUNDER
      if (level < low) level = low
      else if (level > high) level = high
      product += value * level
      square += level * level
    }
    if (square === 0) return 0
    this.scale = product / square
    return (product * product) / square
  }

  #round(): void {
    const { levels, scale, zero } = this
    const block = this.#block
    const inverse = 1 / scale
    let [signal, noise] = [0, 0]
    for (let index = 0; index < block.length; index++) {
      const value = block[index] as number
      let level = value * inverse + ROUNDER - ROUNDER + zero
      if (level < 0) level = 0
      else if (level > MOST) level = MOST
      levels[index] = level
      const lost = value - (level - zero) * scale
      signal += value * value
      noise += lost * lost
    }
    this.signal += signal
    this.noise += noise
  }
}
