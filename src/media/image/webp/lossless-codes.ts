import { VergeError } from '../../../core/errors.ts'
import { type BitReader, type Huffman, huffman } from '../huffman.ts'
import { damaged } from './failures.ts'

/** A prefix code, or the only symbol there is, which takes no bits. */
export type Code = Huffman | number

/** The five codes that pixels of one part of a picture are written in. */
export interface CodeGroup {
  readonly green: Code
  readonly red: Code
  readonly blue: Code
  readonly alpha: Code
  readonly distance: Code
}

/** Each takes some kilobytes; encoders make a few hundred groups for the busiest pictures. */
const MOST_GROUPS = 1_000

const LENGTH_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]

export function readSymbol(reader: BitReader, code: Code): number {
  return typeof code === 'number' ? code : reader.symbol(code)
}

/** @param cacheSize colours that may be named instead of written */
export function readGroups(reader: BitReader, count: number, cacheSize: number): CodeGroup[] {
  if (count > MOST_GROUPS) {
    throw new VergeError(
      'invalid_image',
      `The WebP uses more than ${MOST_GROUPS} code groups. Save it again with another program.`,
    )
  }
  return Array.from({ length: count }, () => ({
    green: readCode(reader, 256 + 24 + cacheSize),
    red: readCode(reader, 256),
    blue: readCode(reader, 256),
    alpha: readCode(reader, 256),
    distance: readCode(reader, 40),
  }))
}

function readCode(reader: BitReader, symbols: number): Code {
  const lengths = new Uint8Array(symbols)
  if (reader.take(1) === 1) readFew(reader, lengths)
  else readLengths(reader, lengths)
  let used = 0
  let only = 0
  for (let symbol = 0; symbol < symbols; symbol++) {
    if (lengths[symbol] === 0) continue
    used++
    only = symbol
  }
  if (used === 0) throw damaged()
  return used === 1 ? only : huffman(lengths)
}

/** One symbol or two. */
function readFew(reader: BitReader, lengths: Uint8Array): void {
  const count = reader.take(1) + 1
  const first = reader.take(reader.take(1) === 0 ? 1 : 8)
  const second = count === 2 ? reader.take(8) : first
  if (Math.max(first, second) >= lengths.length) throw damaged()
  lengths[first] = 1
  lengths[second] = 1
}

function readLengths(reader: BitReader, lengths: Uint8Array): void {
  const codeLengths = new Uint8Array(19)
  const count = 4 + reader.take(4)
  for (let i = 0; i < count; i++) codeLengths[LENGTH_ORDER[i] ?? 0] = reader.take(3)
  const used = codeLengths.reduce((sum, length) => sum + Number(length > 0), 0)
  if (used === 0) throw damaged()
  const code: Code = used === 1 ? codeLengths.findIndex((length) => length > 0) : huffman(codeLengths)
  let left = reader.take(1) === 1 ? 2 + reader.take(2 + 2 * reader.take(3)) : lengths.length
  let previous = 8
  for (let symbol = 0; symbol < lengths.length && left > 0; left--) {
    const length = readSymbol(reader, code)
    if (length < 16) {
      lengths[symbol++] = length
      if (length > 0) previous = length
      continue
    }
    const times = length === 16 ? 3 + reader.take(2) : length === 17 ? 3 + reader.take(3) : 11 + reader.take(7)
    if (symbol + times > lengths.length) throw damaged()
    lengths.fill(length === 16 ? previous : 0, symbol, symbol + times)
    symbol += times
  }
}
