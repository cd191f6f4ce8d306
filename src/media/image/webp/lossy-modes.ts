import type { LossyHeader } from './lossy-header.ts'
import { DC, HORIZONTAL, TRUE_MOTION, VERTICAL } from './lossy-predict.ts'
import { BLOCK_MODE_PROBABILITIES } from './tables.ts'

/** What a macroblock says of itself before its coefficients (RFC 6386, 10 and 11). */
export interface Macroblock {
  segment: number
  /** Whether it has no coefficients. */
  skipped: boolean
  /** Whether its sixteen blocks of luma have modes of their own. */
  inBlocks: boolean
  /** Modes of the blocks; of the whole in the first. */
  readonly modes: Uint8Array
  chroma: number
}

/** Branches of the tree of the blocks' modes: positive ones lead on, others are a mode's number, negated. */
const BLOCK_TREE = [-0, 1, -1, 2, -2, 3, 4, 6, -3, 5, -4, -5, -6, 7, -7, 8, -8, -9]

/** Reads macroblocks in order, from what the ones above and to the left have said. */
export class ModeReader {
  readonly #header: LossyHeader
  /** Modes of the blocks above, for a whole row, and to the left. */
  readonly #above: Uint8Array
  readonly #left = new Uint8Array(4)
  readonly macroblock: Macroblock = {
    ...{ segment: 0, skipped: false, inBlocks: false, chroma: DC },
    modes: new Uint8Array(16),
  }

  constructor(header: LossyHeader, columns: number) {
    this.#header = header
    this.#above = new Uint8Array(4 * columns)
  }

  startRow(): void {
    this.#left.fill(DC)
  }

  /** Reads the next one into `macroblock`. */
  read(column: number): void {
    const { modes: reader, segmentTree, skip } = this.#header
    const block = this.macroblock
    block.segment = 0
    if (segmentTree !== undefined) {
      const [first, low, high] = segmentTree
      block.segment = reader.bit(first) === 0 ? reader.bit(low) : 2 + reader.bit(high)
    }
    block.skipped = skip !== undefined && reader.bit(skip) === 1
    block.inBlocks = reader.bit(145) === 0
    if (block.inBlocks) {
      this.#readBlocks(column)
    } else {
      const mode = this.#wholeMode()
      block.modes[0] = mode
      this.#above.fill(mode, 4 * column, 4 * column + 4)
      this.#left.fill(mode)
    }
    if (reader.bit(142) === 0) block.chroma = DC
    else if (reader.bit(114) === 0) block.chroma = VERTICAL
    else block.chroma = reader.bit(183) === 1 ? TRUE_MOTION : HORIZONTAL
  }

  #wholeMode(): number {
    const { modes: reader } = this.#header
    if (reader.bit(156) === 1) return reader.bit(128) === 1 ? TRUE_MOTION : HORIZONTAL
    return reader.bit(163) === 1 ? VERTICAL : DC
  }

  #readBlocks(column: number): void {
    const { modes: reader } = this.#header
    for (let y = 0; y < 4; y++) {
      let mode = this.#left[y] ?? DC
      for (let x = 0; x < 4; x++) {
        const above = this.#above[4 * column + x] ?? DC
        const probabilities = 90 * above + 9 * mode
        let branch = 0
        let next: number
        do {
          next = BLOCK_TREE[2 * branch + reader.bit(BLOCK_MODE_PROBABILITIES[probabilities + branch] ?? 128)] ?? 0
          branch = next
        } while (next > 0)
        mode = -next
        this.#above[4 * column + x] = mode
        this.macroblock.modes[4 * y + x] = mode
      }
      this.#left[y] = mode
    }
  }
}
