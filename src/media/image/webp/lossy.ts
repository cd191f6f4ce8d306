import type { StepMeter, Work } from '../../../core/work.ts'
import { damaged } from './failures.ts'
import { filterNormal, filterSimple, type MacroblockFilter } from './lossy-filter.ts'
import { type LossyHeader, lossyHeader } from './lossy-header.ts'
import { type Macroblock, ModeReader } from './lossy-modes.ts'
import { type BorderedPlane, borderedPlane, predict, predictBlock } from './lossy-predict.ts'
import { CHROMA, LUMA, LUMA_WITHOUT_DC, readBlock, SECOND_LEVEL } from './lossy-tokens.ts'
import { addInverse, inverseHadamard } from './lossy-transform.ts'
import { LOSSY_BYTE, MACROBLOCK, refusal } from './steps.ts'

/** A picture of brightness and two colour differences, those in half the size. */
export interface Planes {
  readonly width: number
  readonly height: number
  readonly luma: BorderedPlane
  readonly blue: BorderedPlane
  readonly red: BorderedPlane
}

/**
 * Decodes a key frame of VP8 (RFC 6386), bit for bit. It takes 1.5 bytes a pixel and little else.
 * @throws invalid_image
 */
export function* decodeLossy(data: Uint8Array, meter: StepMeter): Work<Planes> {
  const header = lossyHeader(data)
  const { width, height } = header
  if (width === 0 || height === 0) throw damaged()
  const columns = Math.ceil(width / 16)
  const rows = Math.ceil(height / 16)
  const chroma = (): BorderedPlane => borderedPlane(8 * columns, 8 * rows)
  const planes = { width, height, luma: borderedPlane(16 * columns, 16 * rows), blue: chroma(), red: chroma() }
  const frame = new FrameDecoder(header, planes, columns)
  const filters: MacroblockFilter[] = []
  for (let row = 0; row < rows; row++) {
    frame.startRow(row)
    for (let column = 0; column < columns; column++) filters.push(frame.decode(column))
    meter.spend((columns * MACROBLOCK) / 2 + (data.length * LOSSY_BYTE) / rows, refusal)
    yield meter.piece()
  }
  // Prediction goes by samples that are not filtered yet, so that filtering comes last.
  for (let row = 0; row < rows && header.filter !== 'none'; row++) {
    for (let column = 0; column < columns; column++) {
      const filter = filters[row * columns + column]
      if (filter === undefined || filter.strength.level === 0) continue
      if (header.filter === 'simple') {
        filterSimple(planes.luma, column, row, filter)
      } else {
        filterNormal(planes.luma, 16, column, row, filter)
        filterNormal(planes.blue, 8, column, row, filter)
        filterNormal(planes.red, 8, column, row, filter)
      }
    }
    meter.spend((columns * MACROBLOCK) / 2, refusal)
    yield meter.piece()
  }
  return planes
}

/** Whether blocks above or to the left have coefficients: four of luma, two and two of chroma, the second level. */
const CONTEXTS = 9

class FrameDecoder {
  readonly #header: LossyHeader
  readonly #planes: Planes
  readonly #columns: number
  readonly #modes: ModeReader
  readonly #above: Uint8Array
  readonly #left = new Uint8Array(CONTEXTS)
  /** Of the sixteen blocks of luma, then four of either chroma. */
  readonly #coefficients = new Int16Array(24 * 16)
  readonly #second = new Int16Array(16)
  /** Which of them are not zero. */
  readonly #filled = new Uint8Array(24)
  /** The four filters that a segment may have, so that they are not made anew for each macroblock. */
  readonly #filters: readonly MacroblockFilter[]
  #row = 0

  constructor(header: LossyHeader, planes: Planes, columns: number) {
    this.#header = header
    this.#planes = planes
    this.#columns = columns
    this.#modes = new ModeReader(header, columns)
    this.#above = new Uint8Array(CONTEXTS * columns)
    this.#filters = header.strengths.flatMap(({ whole, blocks }) => [
      { strength: whole, inner: false },
      { strength: whole, inner: true },
      { strength: blocks, inner: true },
    ])
  }

  startRow(row: number): void {
    this.#row = row
    this.#modes.startRow()
    this.#left.fill(0)
  }

  decode(column: number): MacroblockFilter {
    this.#modes.read(column)
    const block = this.#modes.macroblock
    const coded = block.skipped ? this.#skip(column, block) : this.#readCoefficients(column, block)
    this.#reconstruct(column, block)
    const filter = this.#filters[3 * block.segment + (block.inBlocks ? 2 : coded ? 1 : 0)]
    if (filter === undefined) throw damaged()
    return filter
  }

  #skip(column: number, { inBlocks }: Macroblock): boolean {
    this.#filled.fill(0)
    // What a second level said stays, where there is none.
    const kept = inBlocks ? 8 : 9
    this.#left.fill(0, 0, kept)
    this.#above.fill(0, CONTEXTS * column, CONTEXTS * column + kept)
    return false
  }

  #readCoefficients(column: number, { inBlocks, segment }: Macroblock): boolean {
    const { tokens, probabilities, steps } = this.#header
    const reader = tokens[this.#row & (tokens.length - 1)]
    const own = steps[segment]
    if (reader === undefined || own === undefined) throw damaged()
    const coefficients = this.#coefficients.fill(0)
    const above = this.#above.subarray(CONTEXTS * column, CONTEXTS * column + CONTEXTS)
    const left = this.#left
    const filled = this.#filled
    if (!inBlocks) {
      const second = this.#second.fill(0)
      const context = (above[8] ?? 0) + (left[8] ?? 0)
      const end = readBlock(reader, probabilities, SECOND_LEVEL, context, 0, own.second, second, 0)
      above[8] = left[8] = Number(end > 0)
      inverseHadamard(second, coefficients)
    }
    const first = inBlocks ? 0 : 1
    const read = (
      kind: number,
      at: number,
      x: number,
      y: number,
      from: 0 | 1,
      step: readonly [number, number],
    ): void => {
      const context = (above[x] ?? 0) + (left[y] ?? 0)
      const end = readBlock(reader, probabilities, kind, context, from, step, coefficients, 16 * at)
      above[x] = left[y] = Number(end > from)
      filled[at] = Number(end > 1 || coefficients[16 * at] !== 0)
    }
    for (let i = 0; i < 16; i++) read(inBlocks ? LUMA : LUMA_WITHOUT_DC, i, i & 3, i >> 2, first, own.luma)
    for (let i = 0; i < 8; i++) {
      const plane = 4 + 2 * (i >> 2)
      read(CHROMA, 16 + i, plane + (i & 1), plane + ((i >> 1) & 1), 0, own.chroma)
    }
    return filled.includes(1)
  }

  #reconstruct(column: number, block: Macroblock): void {
    const row = this.#row
    const { luma, blue, red } = this.#planes
    const { data, stride } = luma
    const at = luma.origin + 16 * (row * stride + column)
    if (block.inBlocks) {
      // Blocks on the right look at the macroblock above to the right, all four at the same place.
      const beyond = at - stride + 16
      if (row > 0 && column === this.#columns - 1) data.fill(data[beyond - 1] ?? 0, beyond, beyond + 4)
      for (let i = 0; i < 16; i++) {
        const to = at + 4 * (i & 3) + 4 * (i >> 2) * stride
        predictBlock(luma, to, block.modes[i] ?? 0, (i & 3) === 3 ? beyond : to - stride + 4)
        if (this.#filled[i] === 1) addInverse(this.#coefficients, 16 * i, data, to, stride)
      }
    } else {
      predict(luma, at, 16, block.modes[0] ?? 0, row > 0, column > 0)
      this.#add(luma, at, 0, 4)
    }
    for (const [plane, first] of [
      [blue, 16],
      [red, 20],
    ] as const) {
      const to = plane.origin + 8 * (row * plane.stride + column)
      predict(plane, to, 8, block.chroma, row > 0, column > 0)
      this.#add(plane, to, first, 2)
    }
  }

  /** @param side of the macroblock, in blocks */
  #add({ data, stride }: BorderedPlane, at: number, first: number, side: 2 | 4): void {
    for (let i = 0; i < side * side; i++) {
      if (this.#filled[first + i] !== 1) continue
      const to = at + 4 * (i % side) + 4 * Math.floor(i / side) * stride
      addInverse(this.#coefficients, 16 * (first + i), data, to, stride)
    }
  }
}
