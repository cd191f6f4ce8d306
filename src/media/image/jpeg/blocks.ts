import type { StepMeter, Work } from '../../../core/work.ts'
import { inverse, type Plane } from './idct.ts'
import { refusal, transformSteps } from './steps.ts'

/**
 * Where a component's blocks are kept between being decoded and becoming samples. A sequential picture's need no place:
 * each is whole when it has been decoded. A progressive picture's grow over its scans, and are most of what it costs.
 */
export interface BlockStore {
  /** Before a scan. @param quantization as it stands then */
  begin(quantization: Uint16Array | undefined): void
  /** A block's 64 coefficients in natural order, to read and change until `close`. */
  open(row: number, column: number): Int16Array
  /** Keeps what `open` gave out last. */
  close(row: number, column: number): void
  /** Samples of all blocks; the store is empty afterwards. */
  finish(quantization: Uint16Array, meter: StepMeter): Work<Plane>
}

export interface BlockLayout {
  readonly blocksWide: number
  readonly blocksHigh: number
  /** Blocks of a row as stored. */
  readonly stride: number
  /** Samples that a block becomes in either direction. */
  readonly side: number
  readonly width: number
  readonly height: number
}

/** @param rows of blocks as stored: whole groups */
export function blockStore(layout: BlockLayout, rows: number, progressive: boolean): BlockStore {
  if (!progressive) return new PassingBlocks(layout)
  return layout.side === 8 ? new WholeBlocks(layout, rows) : new LowBlocks(layout, rows)
}

function planeOf({ stride, side, blocksHigh, width, height }: BlockLayout): Plane {
  return { data: new Uint8Array(stride * side * blocksHigh * side), stride: stride * side, width, height }
}

/** Blocks of a sequential picture: transformed at once. */
class PassingBlocks implements BlockStore {
  readonly #layout: BlockLayout
  readonly #plane: Plane
  readonly #block = new Int16Array(64)
  #quantization: Uint16Array = NO_STEPS

  constructor(layout: BlockLayout) {
    this.#layout = layout
    this.#plane = planeOf(layout)
  }

  begin(quantization: Uint16Array | undefined): void {
    this.#quantization = quantization ?? NO_STEPS
  }

  open(): Int16Array {
    return this.#block.fill(0)
  }

  close(row: number, column: number): void {
    const { blocksWide, blocksHigh, side } = this.#layout
    // Groups may reach beyond the picture.
    if (row >= blocksHigh || column >= blocksWide) return
    const { data, stride } = this.#plane
    inverse(this.#block, this.#quantization, side, data, row * side * stride + column * side, stride)
  }

  // biome-ignore lint/correctness/useYield: the work is done already
  *finish(): Work<Plane> {
    return this.#plane
  }
}

const NO_STEPS = new Uint16Array(64)

/** All coefficients of a progressive picture. */
class WholeBlocks implements BlockStore {
  readonly #layout: BlockLayout
  #coefficients: Int16Array

  constructor(layout: BlockLayout, rows: number) {
    this.#layout = layout
    this.#coefficients = new Int16Array(layout.stride * rows * 64)
  }

  begin(): void {}

  open(row: number, column: number): Int16Array {
    const at = (row * this.#layout.stride + column) * 64
    return this.#coefficients.subarray(at, at + 64)
  }

  close(): void {}

  *finish(quantization: Uint16Array, meter: StepMeter): Work<Plane> {
    const plane = yield* transformed(this.#layout, quantization, meter, (row, column) => this.open(row, column))
    this.#coefficients = new Int16Array(0)
    return plane
  }
}

/**
 * The low coefficients of a progressive picture that is decoded smaller: those that its samples are made of. Of the
 * others only a bit each is kept, whether it is zero, because that decides how later scans are read.
 */
class LowBlocks implements BlockStore {
  readonly #layout: BlockLayout
  readonly #block = new Int16Array(64)
  #low: Int16Array
  #known: Uint32Array

  constructor(layout: BlockLayout, rows: number) {
    const blocks = layout.stride * rows
    this.#layout = layout
    this.#low = new Int16Array(blocks * layout.side * layout.side)
    this.#known = new Uint32Array(blocks * 2)
  }

  begin(): void {}

  open(row: number, column: number): Int16Array {
    const { stride, side } = this.#layout
    const index = row * stride + column
    const block = this.#block
    const upper = this.#known[2 * index] ?? 0
    const lower = this.#known[2 * index + 1] ?? 0
    if (upper === 0 && lower === 0) {
      block.fill(0)
    } else {
      for (let i = 0; i < 32; i++) {
        block[i] = (upper >>> i) & 1
        block[i + 32] = (lower >>> i) & 1
      }
    }
    for (let y = 0, at = index * side * side; y < side; y++) {
      for (let x = 0; x < side; x++) block[8 * y + x] = this.#low[at++] ?? 0
    }
    return block
  }

  close(row: number, column: number): void {
    const { stride, side } = this.#layout
    const index = row * stride + column
    const block = this.#block
    let upper = 0
    let lower = 0
    for (let i = 0; i < 32; i++) {
      if (block[i] !== 0) upper |= 1 << i
      if (block[i + 32] !== 0) lower |= 1 << i
    }
    this.#known[2 * index] = upper
    this.#known[2 * index + 1] = lower
    for (let y = 0, at = index * side * side; y < side; y++) {
      for (let x = 0; x < side; x++) this.#low[at++] = block[8 * y + x] ?? 0
    }
  }

  *finish(quantization: Uint16Array, meter: StepMeter): Work<Plane> {
    const plane = yield* transformed(this.#layout, quantization, meter, (row, column) => this.open(row, column))
    this.#low = new Int16Array(0)
    this.#known = new Uint32Array(0)
    return plane
  }
}

function* transformed(
  layout: BlockLayout,
  quantization: Uint16Array,
  meter: StepMeter,
  block: (row: number, column: number) => Int16Array,
): Work<Plane> {
  const plane = planeOf(layout)
  const { blocksWide, blocksHigh, side } = layout
  for (let row = 0; row < blocksHigh; row++) {
    transformRow(layout, quantization, plane, row, block)
    meter.spend(blocksWide * transformSteps(side), refusal)
    yield meter.piece()
  }
  return plane
}

function transformRow(
  { blocksWide, side }: BlockLayout,
  quantization: Uint16Array,
  { data, stride }: Plane,
  row: number,
  block: (row: number, column: number) => Int16Array,
): void {
  for (let column = 0; column < blocksWide; column++) {
    inverse(block(row, column), quantization, side, data, row * side * stride + column * side, stride)
  }
}
