import { damaged, type EntropyReader, type HuffmanTable } from './entropy.ts'
import { type Component, type Frame, ZIGZAG } from './frame.ts'

/** One scan's header: which components, which coefficients, how precise (ITU T.81, B.2.3). */
export interface Scan {
  readonly components: readonly ScanComponent[]
  readonly first: number
  readonly last: number
  readonly high: number
  readonly low: number
}

export interface ScanComponent {
  readonly component: Component
  readonly dc: HuffmanTable | undefined
  readonly ac: HuffmanTable | undefined
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

/** Decodes a scan into the components' coefficients. @throws invalid_image */
export function decodeScan(frame: Frame, scan: Scan, reader: EntropyReader, restartInterval: number): void {
  const decode = blockDecoder(frame, scan)
  const empties = decode === acFirst
  const state: State = { predictions: new Int32Array(scan.components.length), endOfBandRun: 0 }
  const [only, ...more] = scan.components
  if (only === undefined) throw damaged()
  const alone = more.length === 0
  // A scan of one component counts its blocks by themselves; one of several goes by groups of blocks.
  const columns = alone ? only.component.blocksWide : frame.groupsWide
  const rows = alone ? only.component.blocksHigh : frame.groupsHigh
  let untilRestart = restartInterval
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (restartInterval > 0 && untilRestart-- === 0) {
        reader.restart()
        state.predictions.fill(0)
        state.endOfBandRun = 0
        untilRestart = restartInterval - 1
      }
      if (alone) {
        // Within a run of blocks that get nothing new, there is nothing to look at.
        if (empties && state.endOfBandRun > 0) {
          state.endOfBandRun--
          continue
        }
        const { blocks } = only.component
        decode(reader, only, 0, blocks.open(row, column), state, scan)
        blocks.close(row, column)
      } else {
        decodeGroup(reader, scan, row, column, state, decode)
      }
    }
  }
}

function decodeGroup(
  reader: EntropyReader,
  scan: Scan,
  row: number,
  column: number,
  state: State,
  decode: DecodeBlock,
): void {
  for (let index = 0; index < scan.components.length; index++) {
    const part = scan.components[index]
    if (part === undefined) return
    const { h, v, blocks } = part.component
    for (let y = 0; y < v; y++) {
      for (let x = 0; x < h; x++) {
        decode(reader, part, index, blocks.open(row * v + y, column * h + x), state, scan)
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
  const plus = 1 << scan.low
  let k = scan.first
  if (state.endOfBandRun === 0) {
    const ac = table(part.ac)
    for (; k <= scan.last; k++) {
      const symbol = reader.symbol(ac)
      const size = symbol & 15
      let zeros = symbol >> 4
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
      for (; k <= scan.last; k++) {
        if (block[ZIGZAG[k] ?? 0] !== 0) correct(reader, block, k, plus)
        else if (--zeros < 0) break
      }
      if (value !== 0 && k <= scan.last) block[ZIGZAG[k] ?? 0] = value
    }
  }
  if (state.endOfBandRun > 0) {
    for (; k <= scan.last; k++) if (block[ZIGZAG[k] ?? 0] !== 0) correct(reader, block, k, plus)
    state.endOfBandRun--
  }
}

function correct(reader: EntropyReader, block: Int16Array, k: number, plus: number): void {
  if (reader.bit() === 0) return
  const at = ZIGZAG[k] ?? 0
  const value = block[at] ?? 0
  if ((value & plus) === 0) block[at] = value >= 0 ? value + plus : value - plus
}
