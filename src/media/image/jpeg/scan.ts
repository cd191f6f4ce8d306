import type { StepMeter, Work } from '../../../core/work.ts'
import type { ArithmeticReader } from './arithmetic.ts'
import { damaged, EntropyReader, type HuffmanTable } from './entropy.ts'
import { type Component, type Frame, ZIGZAG } from './frame.ts'
import { ARITHMETIC_DECISION, dataByte, refusal, visitSteps } from './steps.ts'

/** One scan: which components with which tables, which coefficients, how precise (ITU T.81, B.2.3). */
export interface Scan {
  readonly components: readonly ScanComponent[]
  readonly first: number
  readonly last: number
  readonly high: number
  readonly low: number
}

export interface ScanComponent {
  readonly component: Component
  /** Absent where the file has none: an error only for scans that use it. */
  readonly dc: HuffmanTable | undefined
  readonly ac: HuffmanTable | undefined
  /** Numbers of the tables, by which arithmetic coding keeps its statistics. */
  readonly dcNumber: number
  readonly acNumber: number
}

/** What passes from block to block within a scan, reset at restart markers. */
interface State {
  readonly predictions: Int32Array
  endOfBandRun: number
}

type DecodeBlock = (
  reader: EntropyReader,
  part: ScanComponent,
  index: number,
  block: Int16Array,
  state: State,
  scan: Scan,
) => void

/**
 * Decodes a scan into the components' coefficients, row by row.
 * @throws invalid_image, input_too_large
 */
export function* decodeScan(
  frame: Frame,
  scan: Scan,
  reader: EntropyReader | ArithmeticReader,
  restartInterval: number,
  meter: StepMeter,
): Work<void> {
  const state: State = { predictions: new Int32Array(scan.components.length), endOfBandRun: 0 }
  const blockOf = blockReader(frame, scan, reader, state)
  // Within a run of blocks that get nothing new, there is nothing to look at.
  const skips = frame.progressive && scan.first > 0 && scan.high === 0
  const [only, ...more] = scan.components
  if (only === undefined) throw damaged()
  const alone = more.length === 0
  // A scan of one component counts its blocks by themselves; one of several goes by groups of blocks.
  const columns = alone ? only.component.blocksWide : frame.groupsWide
  const rows = alone ? only.component.blocksHigh : frame.groupsHigh
  const perGroup = alone ? 1 : scan.components.reduce((sum, { component: { h, v } }) => sum + h * v, 0)
  const rowSteps = columns * perGroup * visitSteps(frame, scan)
  const walk: Walk = { columns, alone: alone ? only : undefined, skips, restartInterval, untilRestart: restartInterval }
  for (let row = 0; row < rows; row++) {
    const before = work(reader, frame)
    decodeRow(scan, row, walk, reader, state, blockOf)
    meter.spend(rowSteps + work(reader, frame) - before, refusal)
    yield meter.piece()
  }
}

interface Walk {
  readonly columns: number
  /** The scan's only component. */
  readonly alone: ScanComponent | undefined
  readonly skips: boolean
  readonly restartInterval: number
  untilRestart: number
}

function decodeRow(
  scan: Scan,
  row: number,
  walk: Walk,
  reader: EntropyReader | ArithmeticReader,
  state: State,
  blockOf: ReadBlock,
): void {
  const { columns, alone, skips, restartInterval } = walk
  for (let column = 0; column < columns; column++) {
    if (restartInterval > 0 && walk.untilRestart-- === 0) {
      reader.restart()
      state.predictions.fill(0)
      state.endOfBandRun = 0
      walk.untilRestart = restartInterval - 1
    }
    if (alone === undefined) decodeGroup(scan, row, column, blockOf)
    else if (skips && state.endOfBandRun > 0) state.endOfBandRun--
    else {
      const { blocks } = alone.component
      blockOf(alone, 0, blocks.open(row, column))
      blocks.close(row, column)
    }
  }
}

/** Steps that reading has taken: by bytes where each holds so much and no more, else by decisions. */
function work(reader: EntropyReader | ArithmeticReader, { progressive }: Frame): number {
  return reader instanceof EntropyReader
    ? reader.position * dataByte(progressive)
    : reader.decisions * ARITHMETIC_DECISION
}

type ReadBlock = (part: ScanComponent, index: number, block: Int16Array) => void

function blockReader(frame: Frame, scan: Scan, reader: EntropyReader | ArithmeticReader, state: State): ReadBlock {
  if (!(reader instanceof EntropyReader)) {
    const { predictions } = state
    return ({ dcNumber, acNumber }, index, block) => {
      predictions[index] = reader.block(index, dcNumber, acNumber, predictions[index] ?? 0, block)
    }
  }
  const decode = blockDecoder(frame, scan)
  return (part, index, block) => decode(reader, part, index, block, state, scan)
}

function decodeGroup(scan: Scan, row: number, column: number, blockOf: ReadBlock): void {
  for (let index = 0; index < scan.components.length; index++) {
    const part = scan.components[index]
    if (part === undefined) return
    const { h, v, blocks } = part.component
    for (let y = 0; y < v; y++) {
      for (let x = 0; x < h; x++) {
        blockOf(part, index, blocks.open(row * v + y, column * h + x))
        blocks.close(row * v + y, column * h + x)
      }
    }
  }
}

function blockDecoder(frame: Frame, scan: Scan): DecodeBlock {
  if (!frame.progressive) return sequential
  if (scan.first === 0) return scan.high === 0 ? dcFirst : dcRefine
  return scan.high === 0 ? acFirst : acRefine
}

function table(candidate: HuffmanTable | undefined): HuffmanTable {
  if (candidate === undefined) throw damaged()
  return candidate
}

/** The difference of a block's DC coefficient to the one before it, added up. */
function dcValue(reader: EntropyReader, part: ScanComponent, index: number, state: State): number {
  const size = reader.symbol(table(part.dc))
  if (size > 15) throw damaged()
  const value = (state.predictions[index] ?? 0) + reader.signed(size)
  state.predictions[index] = value
  return value
}

const sequential: DecodeBlock = (reader, part, index, block, state) => {
  block[0] = dcValue(reader, part, index, state)
  const ac = table(part.ac)
  for (let k = 1; k < 64; k++) {
    const symbol = reader.symbol(ac)
    const size = symbol & 15
    const zeros = symbol >> 4
    if (size === 0) {
      if (zeros < 15) return
      k += 15
      continue
    }
    k += zeros
    if (k > 63) throw damaged()
    block[ZIGZAG[k] ?? 0] = reader.signed(size)
  }
}

const dcFirst: DecodeBlock = (reader, part, index, block, state, scan) => {
  block[0] = dcValue(reader, part, index, state) << scan.low
}

const dcRefine: DecodeBlock = (reader, _part, _index, block, _state, scan) => {
  if (reader.bit() === 1) block[0] = (block[0] ?? 0) | (1 << scan.low)
}

const acFirst: DecodeBlock = (reader, part, _index, block, state, scan) => {
  const ac = table(part.ac)
  for (let k = scan.first; k <= scan.last; k++) {
    const symbol = reader.symbol(ac)
    const size = symbol & 15
    const zeros = symbol >> 4
    if (size === 0) {
      if (zeros < 15) {
        state.endOfBandRun = (1 << zeros) - 1 + (zeros > 0 ? reader.bits(zeros) : 0)
        return
      }
      k += 15
      continue
    }
    k += zeros
    if (k > 63) throw damaged()
    block[ZIGZAG[k] ?? 0] = reader.signed(size) << scan.low
  }
}

/** ITU T.81, G.1.2.3: new coefficients come between correction bits for those that are already there. */
const acRefine: DecodeBlock = (reader, part, _index, block, state, scan) => {
  const { last } = scan
  const plus = 1 << scan.low
  let k = scan.first
  if (state.endOfBandRun === 0) {
    const ac = table(part.ac)
    for (; k <= last; k++) {
      const symbol = reader.symbol(ac)
      const size = symbol & 15
      const zeros = symbol >> 4
      let value = 0
      if (size === 0) {
        if (zeros < 15) {
          state.endOfBandRun = (1 << zeros) + (zeros > 0 ? reader.bits(zeros) : 0)
          break
        }
      } else {
        if (size !== 1) throw damaged()
        value = reader.bit() === 1 ? plus : -plus
      }
      k = corrected(reader, block, k, last, zeros, plus)
      if (value !== 0 && k <= last) block[ZIGZAG[k] ?? 0] = value
    }
  }
  if (state.endOfBandRun > 0) {
    corrected(reader, block, k, last, 64, plus)
    state.endOfBandRun--
  }
}

/** Refines what is not zero from `k` on. @returns the place of the zero after so many others, or the one behind `last` */
function corrected(reader: EntropyReader, block: Int16Array, k: number, last: number, zeros: number, plus: number) {
  let left = zeros
  let place = k
  for (; place <= last; place++) {
    const at = ZIGZAG[place] ?? 0
    const value = block[at] ?? 0
    if (value === 0) {
      if (--left < 0) break
    } else if (reader.bit() === 1 && (value & plus) === 0) {
      block[at] = value >= 0 ? value + plus : value - plus
    }
  }
  return place
}
